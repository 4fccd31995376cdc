//! `lakemill serve` beside the servers that people write or run for the same work.
//!
//! Single-row predictions over HTTP beside FastAPI with LightGBM and with ONNX Runtime; a million rows over Flight SQL
//! beside an Arrow stream on a plain socket and DuckDB in the client's process, and over PostgreSQL's protocol beside
//! PostgreSQL.

use anyhow::Result;

use super::Arguments;
use super::contest::{Contender, Standing, compare, hold, table};
use crate::shell::{self, cargo, command};
use crate::{paths, setup};

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    setup::debian("wrk", "wrk")?;
    setup::postgres()?;
    shell::run(cargo().args(["build", "--release", "--workspace", "--bin", "lakemill"]))?;
    predictions(arguments)?;
    rows(arguments)
}

fn predictions(arguments: &Arguments) -> Result<()> {
    let folder = paths::cache()?.join("bench/serve");
    let python = paths::python("bench")?.join("python");
    shell::run(command(python).arg("bench/serve/prepare.py").arg(folder).arg(paths::lakemill()))?;
    let names =
        ["lakemill", "fastapi+lightgbm", "fastapi+onnxruntime", "bare-fastapi+lightgbm", "bare-fastapi+onnxruntime"];
    let standings = contest(arguments, "bench/serve/predict.py", &names)?;
    table(&compare(&standings, &["predictions_per_s", "p50_ms", "p99_ms"].map(str::to_owned), 2));
    let rate = |place: usize| standings[place].figure("predictions_per_s");
    println!(
        "\npredictions of single rows (goal: 10 times): with declared types {:.1} times FastAPI with LightGBM and {:.1} \
         times with ONNX Runtime, without them {:.1} and {:.1} times",
        rate(0)? / rate(1)?,
        rate(0)? / rate(2)?,
        rate(0)? / rate(3)?,
        rate(0)? / rate(4)?
    );
    Ok(())
}

fn rows(arguments: &Arguments) -> Result<()> {
    let names = ["flight", "flight-pyarrow", "stream", "stream-parquet", "duckdb", "lakemill-pg", "postgresql"];
    let standings = contest(arguments, "bench/serve/rows.py", &names)?;
    table(&compare(&standings, &["mb_per_s", "seconds"].map(str::to_owned), 2));
    let speed = |place: usize| standings[place].figure("mb_per_s");
    println!(
        "\na million rows over Flight, by ADBC and by Arrow's client: {:.2} and {:.2} of a plain stream from memory (goal: at \
         least 0.50), {:.2} and {:.2} of one that reads the same Parquet; PostgreSQL's protocol at {:.2} of PostgreSQL",
        speed(0)? / speed(2)?,
        speed(1)? / speed(2)?,
        speed(0)? / speed(3)?,
        speed(1)? / speed(3)?,
        speed(5)? / speed(6)?
    );
    Ok(())
}

fn contest(arguments: &Arguments, script: &'static str, names: &[&'static str]) -> Result<Vec<Standing>> {
    let python = paths::python("bench")?.join("python");
    let folder = paths::cache()?.join("bench/serve");
    let contender = |name: &&'static str| {
        let (python, folder, threads, name) = (python.clone(), folder.clone(), arguments.threads.to_string(), *name);
        Contender::new(name, move || {
            let mut process = command(&python);
            process.arg(script).arg(name).arg(&folder).arg(&threads).arg(paths::lakemill());
            process
        })
    };
    hold(&names.iter().map(contender).collect::<Vec<_>>(), arguments.rounds)
}
