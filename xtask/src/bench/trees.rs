//! Boosted trees on flights: fit and predict, beside LightGBM and XGBoost, with the quality of each.
//!
//! Our side is an example of `learn`, which needs no query engine; the peers' side is `bench/trees/peer.py`. All read
//! the same Arrow file, that `bench/trees/prepare.py` writes, and grow the same number of trees and leaves.

use anyhow::Result;

use super::Arguments;
use super::contest::{Contender, compare, hold, table};
use crate::paths;
use crate::shell::{self, cargo, command};

/// Fitting: seconds over the faster peer's. Predicting: rows a second over the faster peer's.
const GOALS: (f64, f64) = (1.0, 3.0);

const TREES: &str = "200";
const LEAVES: &str = "63";

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    shell::run(cargo().args(["build", "--release", "--package", "lakemill-learn", "--example", "bench_trees"]))?;
    let python = paths::python("bench")?.join("python");
    let folder = paths::cache()?.join("bench/trees");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("flights.arrow");
    if !file.exists() {
        shell::run(command(&python).arg("bench/trees/prepare.py").arg(&folder))?;
    }
    let threads = arguments.threads.to_string();
    let ours = {
        let (file, threads) = (file.clone(), threads.clone());
        Contender::new("lakemill", move || {
            let mut process = command(paths::target().join("release/examples/bench_trees"));
            process.arg(&file).args([threads.as_str(), TREES, LEAVES, "1"]);
            process
        })
    };
    let peer = |name: &'static str| {
        let (python, file, threads) = (python.clone(), file.clone(), threads.clone());
        Contender::new(name, move || {
            let mut process = command(&python);
            process.arg("bench/trees/peer.py").arg(&file).args(["--peer", name, "--repeat", "1"]);
            process.args(["--threads", &threads, "--trees", TREES, "--leaves", LEAVES]);
            process
        })
    };
    let standings = hold(&[ours, peer("lightgbm"), peer("xgboost")], arguments.rounds)?;
    let names = ["fit_s", "predict_rows_per_s", "auc", "log_loss"].map(str::to_owned);
    table(&compare(&standings, &names, 4));
    let peers = |name: &str| -> Result<(f64, f64)> { Ok((standings[1].figure(name)?, standings[2].figure(name)?)) };
    let (lightgbm, xgboost) = peers("fit_s")?;
    let fit = standings[0].figure("fit_s")? / lightgbm.min(xgboost);
    let (lightgbm, xgboost) = peers("predict_rows_per_s")?;
    let predict = standings[0].figure("predict_rows_per_s")? / lightgbm.max(xgboost);
    println!("\nfit: {fit:.2} of the faster peer's time (goal: {:.1})", GOALS.0);
    println!("predict: {predict:.2} times the faster peer's rows per second (goal: {:.1})", GOALS.1);
    Ok(())
}
