//! `ML.GENERATE_TEXT` over a thousand rows of a template beside 16 clients that ask llama.cpp's server row by row.

use anyhow::Result;

use super::contest::{Contender, compare, hold, table};
use super::{Arguments, peers};
use crate::paths;
use crate::shell::{self, cargo, command};

/// Rows a second over the best peer's.
const GOAL: f64 = 3.0;

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    shell::run(cargo().args(["build", "--release", "--workspace", "--bin", "lakemill"]))?;
    let mut names = vec!["lakemill"];
    names.extend(peers::prepare(arguments)?);
    let (python, folder) = (paths::python("bench")?.join("python"), peers::folder()?);
    let contender = |name: &&'static str| {
        let (python, folder, threads, name) = (python.clone(), folder.clone(), arguments.threads.to_string(), *name);
        Contender::new(name, move || {
            let mut process = command(&python);
            process.arg("bench/generate/job.py").arg(name).arg(&folder).arg(&threads).arg(paths::lakemill());
            process
        })
    };
    let standings = hold(&names.iter().map(contender).collect::<Vec<_>>(), arguments.rounds)?;
    table(&compare(&standings, &["rows_per_s", "seconds"].map(str::to_owned), 3));
    let mut same = command(&python);
    same.args(["bench/generate/job.py", "compare"]).arg(&folder).arg(arguments.threads.to_string());
    print!("{}", shell::output(same.arg(paths::lakemill()).args(&names))?);
    let best = standings[1..].iter().filter_map(|peer| peer.figures.get("rows_per_s")).copied().fold(0.0, f64::max);
    let ratio = standings[0].figure("rows_per_s")? / best;
    println!("\nrows of ML.GENERATE_TEXT: {ratio:.2} times the best peer's (goal: at least {GOAL:.1})");
    Ok(())
}
