//! Runs the TPC-H queries through Lakemill's tables or through plain DataFusion, and prints one line of JSON.
//!
//!     bench-tpch ENGINE DATA QUERIES ANSWERS THREADS
//!
//! ENGINE is `prepare` (loads DATA/TABLE.parquet into the lake DATA/lake), `lakemill` or `datafusion`. The peers' side is
//! `bench/tpch/peer.py`. Both engines here share the allocator, the compiler's flags and DataFusion itself, so that
//! their difference is what Lakemill's tables and session cost.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::record_batch::RecordBatch;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use lakemill_base::Stopwatch;
use lakemill_kernels::allocator::{MiMalloc, give_back_lazily};
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::{Session, SessionOptions};
use lakemill_testkit::Result;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const TABLES: [&str; 8] = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];
const QUERIES: usize = 22;

enum Engine {
    Lakemill(Session),
    DataFusion(SessionContext),
}

impl Engine {
    async fn open(name: &str, data: &str, threads: usize) -> Result<Self> {
        if name == "datafusion" {
            let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads));
            for table in TABLES {
                context
                    .register_parquet(table, format!("{data}/{table}.parquet"), ParquetReadOptions::default())
                    .await?;
            }
            return Ok(Self::DataFusion(context));
        }
        let lake = Lake::open(LakeOptions::new(format!("{data}/lake"))).await?;
        let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
        Ok(Self::Lakemill(Session::open(lake, options)?))
    }

    async fn run(&self, query: &str) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Lakemill(session) => Ok(session.sql(query).await?),
            Self::DataFusion(context) => Ok(context.sql(query).await?.collect().await?),
        }
    }
}

/// Makes the lake's tables once; a lake that is there is kept.
async fn prepare(data: &str, threads: usize) -> Result<()> {
    let Engine::Lakemill(session) = Engine::open("lakemill", data, threads).await? else { return Ok(()) };
    for table in TABLES {
        session.sql(&format!("CREATE TABLE IF NOT EXISTS {table} AS SELECT * FROM '{data}/{table}.parquet'")).await?;
    }
    Ok(())
}

async fn measure(name: &str, data: &str, queries: &Path, answers: &Path, threads: usize) -> Result<()> {
    let engine = Engine::open(name, data, threads).await?;
    let (mut seconds, mut rows) = (BTreeMap::new(), BTreeMap::new());
    for number in 1..=QUERIES {
        let query = std::fs::read_to_string(queries.join(format!("q{number}.sql")))?;
        let watch = Stopwatch::start();
        let batches = engine.run(&query).await.map_err(|error| format!("query {number}: {error}"))?;
        seconds.insert(format!("q{number}"), watch.seconds());
        rows.insert(format!("q{number}"), table(&batches)?);
    }
    std::fs::write(answers.join(format!("{name}.json")), serde_json::to_string(&rows)?)?;
    let version = if name == "datafusion" { datafusion::DATAFUSION_VERSION } else { env!("CARGO_PKG_VERSION") };
    println!("{}", json!({ "version": version, "figures": seconds }));
    Ok(())
}

/// Rows as JSON: numbers as numbers, everything else as text.
fn table(batches: &[RecordBatch]) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Result<Vec<Vec<Value>>> = batch.columns().iter().map(values).collect();
        let columns = columns?;
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()));
    }
    Ok(rows)
}

fn values(column: &ArrayRef) -> Result<Vec<Value>> {
    if column.data_type().is_numeric() {
        let column = cast(column, &DataType::Float64)?;
        return Ok(column.as_primitive::<Float64Type>().iter().map(|value| json!(value)).collect());
    }
    let column = cast(column, &DataType::Utf8)?;
    let column = column.as_string::<i32>();
    Ok((0..column.len())
        .map(|row| column.is_valid(row).then(|| column.value(row)).map_or(Value::Null, |text| json!(text)))
        .collect())
}

#[tokio::main]
async fn main() -> Result<()> {
    give_back_lazily();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [engine, data, queries, answers, threads] = arguments.as_slice() else {
        return Err("usage: bench-tpch prepare|lakemill|datafusion DATA QUERIES ANSWERS THREADS".into());
    };
    let threads = threads.parse()?;
    match engine.as_str() {
        "prepare" => prepare(data, threads).await,
        "lakemill" | "datafusion" => measure(engine, data, Path::new(queries), Path::new(answers), threads).await,
        other => Err(format!("unknown engine '{other}'").into()),
    }
}
