//! TPC-H: Lakemill's tables, plain DataFusion, DuckDB and Polars on the same Parquet files.
//!
//! The queries are those in DataFusion's own test files, found where `cargo xtask setup` fetched them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Arguments;
use super::contest::{Contender, Standing, compare, hold, table};
use crate::shell::{self, cargo, command};
use crate::{paths, setup};

const QUERIES: usize = 22;
/// What Lakemill may cost over plain DataFusion.
const OVERHEAD_MAX: f64 = 1.10;

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let build = ["build", "--release", "--workspace", "--features", "lakemill-testkit/bench", "--bin", "bench-tpch"];
    shell::run(cargo().args(build))?;
    let data = paths::cache()?.join(format!("bench/tpch-{}", arguments.scale));
    generate(&data, arguments.scale)?;
    let queries = data.join("queries");
    write_queries(&queries)?;
    let answers = data.join("answers");
    fs::create_dir_all(&answers)?;
    let words = [data.clone(), queries, answers.clone(), PathBuf::from(arguments.threads.to_string())];
    shell::run(command(program()).arg("prepare").args(&words))?;
    let python = paths::python("bench")?.join("python");
    let rust = |name: &'static str| {
        let words = words.clone();
        Contender::new(name, move || {
            let mut process = command(program());
            process.arg(name).args(&words);
            process
        })
    };
    let peer = |name: &'static str| {
        let (words, python) = (words.clone(), python.clone());
        Contender::new(name, move || {
            let mut process = command(&python);
            process.arg("bench/tpch/peer.py").arg(name).args(&words);
            process
        })
    };
    let contenders = [rust("lakemill"), rust("datafusion"), peer("duckdb"), peer("polars")];
    let mut standings = hold(&contenders, arguments.rounds)?;
    for standing in &mut standings {
        standing.figures.insert("total".to_owned(), standing.figures.values().sum());
    }
    let names: Vec<String> = (1..=QUERIES).map(|number| format!("q{number}")).chain(["total".to_owned()]).collect();
    table(&compare(&standings, &names, 3));
    check_answers(&answers, &standings)?;
    let (ours, plain) = (standings[0].figure("total")?, standings[1].figure("total")?);
    println!(
        "\nseconds, medians of {} rounds, {} threads, scale {}",
        arguments.rounds, arguments.threads, arguments.scale
    );
    println!(
        "overhead over plain DataFusion: {:+.1} % (goal: at most {:.0} %)",
        (ours / plain - 1.0) * 100.0,
        (OVERHEAD_MAX - 1.0) * 100.0
    );
    Ok(())
}

fn program() -> PathBuf {
    paths::program("bench-tpch")
}

fn generate(data: &Path, scale: f64) -> Result<()> {
    if data.join("region.parquet").exists() {
        return Ok(());
    }
    let fresh = data.with_extension("new");
    fs::create_dir_all(&fresh)?;
    let generator = paths::python("bench")?.join("tpchgen-cli");
    shell::run(command(generator).args(["parquet", "--scale-factor", &scale.to_string(), "--output-dir"]).arg(&fresh))?;
    fs::rename(&fresh, data).with_context(|| format!("cannot make {}", data.display()))
}

/// A query stands in its test file between the line `query ..` and the line `----`.
fn write_queries(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let arguments = ["metadata", "--format-version=1", "--locked", "--manifest-path", setup::UPSTREAM_MANIFEST];
    let metadata: Value = serde_json::from_str(&shell::output(cargo().args(arguments))?)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let package = packages.iter().find(|package| package["name"] == "datafusion-sqllogictest");
    let manifest = package.and_then(|package| package["manifest_path"].as_str()).context("run 'cargo xtask setup'")?;
    let source = Path::new(manifest).with_file_name("test_files").join("tpch/answers");
    for number in 1..=QUERIES {
        let text = fs::read_to_string(source.join(format!("q{number}.slt.part")))?;
        let lines = text.lines().skip_while(|line| !line.starts_with("query ")).skip(1);
        let query: Vec<&str> = lines.take_while(|line| *line != "----").collect();
        if query.is_empty() {
            bail!("no query in {}", source.join(format!("q{number}.slt.part")).display());
        }
        fs::write(folder.join(format!("q{number}.sql")), query.join("\n"))?;
    }
    Ok(())
}

/// All engines must answer alike: text equal, numbers within a cent or a millionth.
fn check_answers(folder: &Path, standings: &[Standing]) -> Result<()> {
    let read = |standing: &Standing| -> Result<Value> {
        Ok(serde_json::from_str(&fs::read_to_string(folder.join(format!("{}.json", standing.name)))?)?)
    };
    let ours = read(&standings[0])?;
    let mut wrong = Vec::new();
    for other in &standings[1..] {
        let theirs = read(other)?;
        for number in 1..=QUERIES {
            let name = format!("q{number}");
            if !same(&ours[&name], &theirs[&name]) {
                wrong.push(format!("{name} of {}", other.name));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("answers differ from ours: {}", wrong.join(", "));
    }
    println!("\nthe answers of all {} engines are equal", standings.len());
    Ok(())
}

fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Value::String(ours), Value::String(theirs)) => ours.trim_end() == theirs.trim_end(),
        _ => match (ours.as_f64(), theirs.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 0.01_f64.max(a.abs() * 1e-6),
            _ => ours == theirs,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::same;
    use serde_json::json;

    #[test]
    fn answers_may_differ_in_rounding_alone() {
        assert!(same(&json!([[1, "a "], [2.0, null]]), &json!([[1.004, "a"], [2, null]])));
        assert!(!same(&json!([[1.0]]), &json!([[1.02]])));
        assert!(!same(&json!([[1.0]]), &json!([[1.0], [1.0]])));
    }
}
