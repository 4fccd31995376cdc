//! The console in a browser, over the lake of `examples/flights`. What is checked is in `console/e2e`.

mod full {
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
        let mut browser = Command::new("node");
        browser.arg("e2e/run.mjs").arg(page).current_dir(repository().join("console"));
        let output =
            browser.output().map_err(|error| format!("cannot start node: {error}; run 'cargo xtask setup'"))?;
        process::said("console/e2e/run.mjs", output).map(|_| ())
    }
}
