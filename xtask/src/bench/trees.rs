//! Boosted trees on flights: fit and predict, beside LightGBM and XGBoost, with the quality of each.
//!
//! Our side is `bench/trees`, a package of its own that needs no query engine; the peers' side is its `peer.py`.

use anyhow::Result;

use super::Arguments;
use super::contest::{Contender, compare, hold, table};
use crate::paths;
use crate::shell::{self, cargo, command};

/// Fitting: seconds over the faster peer's. Predicting: rows a second over the faster peer's.
const GOALS: (f64, f64) = (1.0, 3.0);

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    shell::run(cargo().args(["build", "--release", "--manifest-path", "bench/trees/Cargo.toml"]))?;
    let python = paths::python("bench")?.join("python");
    let data = paths::cache()?.join("bench/trees");
    std::fs::create_dir_all(&data)?;
    let threads = arguments.threads.to_string();
    shell::run(command(&python).arg("bench/trees/peer.py").arg("prepare").arg(&data).arg(&threads))?;
    let ours = {
        let (data, threads) = (data.clone(), threads.clone());
        Contender::new("lakemill", move || {
            let mut process = command(paths::target().join("release/bench-trees"));
            process.arg(&data).arg(&threads);
            process
        })
    };
    let peer = |name: &'static str| {
        let (python, data, threads) = (python.clone(), data.clone(), threads.clone());
        Contender::new(name, move || {
            let mut process = command(&python);
            process.arg("bench/trees/peer.py").arg(name).arg(&data).arg(&threads);
            process
        })
    };
    let standings = hold(&[ours, peer("lightgbm"), peer("xgboost")], arguments.rounds)?;
    let names = ["fit_seconds", "predict_rows_per_second", "auc", "log_loss"].map(str::to_owned);
    table(&compare(&standings, &names, 4));
    let fit = standings[0].figure("fit_seconds")?
        / standings[1].figure("fit_seconds")?.min(standings[2].figure("fit_seconds")?);
    let rate = "predict_rows_per_second";
    let predict = standings[0].figure(rate)? / standings[1].figure(rate)?.max(standings[2].figure(rate)?);
    println!("\nfit: {fit:.2} of the faster peer's time (goal: {:.1})", GOALS.0);
    println!("predict: {predict:.2} times the faster peer's rows per second (goal: {:.1})", GOALS.1);
    Ok(())
}
