//! Coefficients and metrics of the flights models against scikit-learn, which computes them afresh.

mod full {
    use lakemill_testkit::{Result, process};

    #[test]
    fn flights_models_equal_scikit_learns() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let lakemill = process::lakemill()?.display().to_string();
        let lake = folder.path().display().to_string();
        let said = process::python("bench/reference/check_flights.py", &[&lakemill, &lake], &[])?;
        println!("{said}");
        assert!(said.lines().last().is_some_and(|line| line.contains("equal")), "{said}");
        Ok(())
    }
}
