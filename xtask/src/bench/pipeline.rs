//! The whole flights job: `lakemill run examples/flights` beside a Polars and LightGBM script that does the same.
//!
//! Same raw files, cleaning, join, features, time split, two models, evaluation, scoring of December and outputs.

use anyhow::Result;

use super::Arguments;
use super::contest::{Contender, compare, hold, table};
use crate::paths;
use crate::shell::{self, cargo, command};

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    shell::run(cargo().args(["build", "--release", "--workspace", "--bin", "lakemill"]))?;
    let python = paths::python("bench")?.join("python");
    let folder = paths::cache()?.join("bench/pipeline");
    std::fs::create_dir_all(&folder)?;
    let contender = |name: &'static str| {
        let (python, folder, threads) = (python.clone(), folder.clone(), arguments.threads.to_string());
        Contender::new(name, move || {
            let mut process = command(&python);
            process.arg("bench/pipeline/job.py").arg(name).arg(folder.join(name)).arg(&threads).arg(paths::lakemill());
            process
        })
    };
    let standings = hold(&[contender("lakemill"), contender("polars+lightgbm")], arguments.rounds)?;
    let names = ["seconds", "auc", "log_loss", "logistic_auc", "scored_rows"].map(str::to_owned);
    table(&compare(&standings, &names, 4));
    let ratio = standings[0].figure("seconds")? / standings[1].figure("seconds")?;
    println!("\nthe whole job takes {ratio:.2} of the script's time (goal: at most 1.00)");
    Ok(())
}
