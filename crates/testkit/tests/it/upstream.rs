//! DataFusion's own `.slt` files through our session.

mod full {
    use lakemill_testkit::{Result, upstream};

    /// Fewer files than this ran: the list of those left out has swallowed the check.
    const FILES_MIN: usize = 200;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn datafusions_own_files_pass() -> Result<()> {
        let folder = tempfile::tempdir()?;
        upstream::lay_out(folder.path())?;
        let report = upstream::run(&upstream::LeftOut::read()?).await?;
        println!("{} files, {} records, {} files left out", report.files, report.records, report.left_out);
        // For those who make the list anew.
        if let Some(path) = std::env::var_os("UPSTREAM_FAILURES") {
            let failed =
                |(file, line, text): &(String, u32, String)| format!("{file}\t{line}\t{}\n", text.escape_debug());
            let stale = |(file, line): &(String, u32)| format!("{file}\t{line}\tpasses\n");
            let lines = report.failures.iter().map(failed).chain(report.stale.iter().map(stale));
            std::fs::write(path, lines.collect::<String>())?;
        }
        for (file, line, text) in report.failures.iter().take(20) {
            println!("{file}:{line}: {text}\n");
        }
        for (file, line) in &report.stale {
            println!("{file}:{line} passes, and stands in the list of those left out: take it out");
        }
        assert_eq!(report.failures.len(), 0, "records failed; the first are above");
        assert_eq!(report.stale.len(), 0, "records of the list pass; they are above");
        assert!(report.files >= FILES_MIN || std::env::var_os("SLT").is_some(), "only {} files ran", report.files);
        Ok(())
    }
}
