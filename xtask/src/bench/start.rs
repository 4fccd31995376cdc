//! A cold start: how long `SELECT 1` takes from an empty shell.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Arguments;
use super::contest::{median, table};
use crate::paths;
use crate::shell::{self, cargo, command};

/// Starts are short, so there are many.
const STARTS_PER_ROUND: usize = 4;

/// Makes the process to start.
type Start = Box<dyn Fn() -> Command>;

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    shell::run(cargo().args(["build", "--release", "--workspace", "--bin", "lakemill"]))?;
    let lake = paths::cache()?.join("bench/start");
    let python = paths::python("bench")?.join("python");
    let ours = move || {
        let mut process = command(paths::lakemill());
        process.arg("--lake").arg(&lake).args(["sql", "-c", "SELECT 1"]);
        process
    };
    let select = python.clone();
    let selecting = move || {
        let mut process = command(&select);
        process.args(["-c", "import duckdb; print(duckdb.sql('SELECT 1'))"]);
        process
    };
    let importing = move || {
        let mut process = command(&python);
        process.args(["-c", "import duckdb"]);
        process
    };
    let contenders: [(&str, Start); 3] = [
        ("lakemill sql -c 'SELECT 1'", Box::new(ours)),
        ("python -c 'import duckdb; SELECT 1'", Box::new(selecting)),
        ("python -c 'import duckdb'", Box::new(importing)),
    ];
    let mut seconds = [Vec::new(), Vec::new(), Vec::new()];
    for (_, process) in &contenders {
        time(&mut process())?; // fills the page cache
    }
    for _ in 0..arguments.rounds * STARTS_PER_ROUND {
        for ((_, process), seconds) in contenders.iter().zip(&mut seconds) {
            seconds.push(time(&mut process())?.as_secs_f64());
        }
    }
    let medians = seconds.map(median);
    let mut rows = vec![vec![String::new(), "milliseconds".to_owned(), "lakemill / this".to_owned()]];
    for ((name, _), seconds) in contenders.iter().zip(medians) {
        rows.push(vec![(*name).to_owned(), format!("{:.1}", seconds * 1e3), format!("{:.2}", medians[0] / seconds)]);
    }
    table(&rows);
    Ok(())
}

fn time(process: &mut Command) -> Result<Duration> {
    #[expect(clippy::disallowed_methods, reason = "xtask depends on no other crate, and only measures")]
    let start = std::time::Instant::now();
    shell::output(process).context("a start failed")?;
    Ok(start.elapsed())
}
