//! The console in a browser, over the lake of `examples/flights`. What is checked is in `console/e2e`.

mod full {
    use std::path::Path;
    use std::process::Command;

    use lakemill_testkit::servers::Lakemill;
    use lakemill_testkit::{Result, process, repository};

    #[test]
    fn a_browser_finds_what_the_console_promises() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let lake = folder.path().join("lake").display().to_string();
        let mut run = Command::new(process::lakemill()?);
        run.args(["--lake", &lake, "run", "examples/flights"]).current_dir(repository());
        process::said("the example", run.output()?)?;
        let server = Lakemill::serve(&lake, &[])?;
        let page = format!("http://{}/console/", server.address("http")?);
        // One of the checks runs the example again while a page watches.
        let program = process::lakemill()?;
        browser("e2e/run.mjs", &[&page], &[("LAKEMILL_BIN", &program), ("LAKEMILL_LAKE", Path::new(&lake))])
    }

    #[test]
    fn who_comes_is_asked_where_users_log_in() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let lake = folder.path().join("lake").display().to_string();
        let lakemill = |arguments: &[&str], input: &str| -> Result<String> {
            process::piped(Command::new(process::lakemill()?).args(["--lake", &lake]).args(arguments), input)
        };
        lakemill(&["users", "add", "ann"], "correct horse\n")?;
        lakemill(
            &["sql"],
            "CREATE TABLE open AS SELECT 1 AS x; CREATE TABLE shut AS SELECT 1 AS x; GRANT SELECT ON open TO ann",
        )?;
        let server = Lakemill::serve(&lake, &["--auth", "required"])?;
        browser("e2e/login.mjs", &[&format!("http://{}/console/", server.address("http")?), "correct horse"], &[])
    }

    /// Runs a script of the console, with more in its environment.
    fn browser(script: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Result<()> {
        let mut browser = Command::new("node");
        browser.arg(script).args(arguments).envs(environment.iter().copied()).current_dir(repository().join("console"));
        let output =
            browser.output().map_err(|error| format!("cannot start node: {error}; run 'cargo xtask setup'"))?;
        process::said(script, output).map(drop)
    }
}
