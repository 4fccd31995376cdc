//! `cargo xtask bench`: Lakemill beside its peers, in turns, on one machine, in one run.
//!
//! A contender is a process that prints one line of JSON: `{"version": "..", "figures": {"name": number, ..}}`. Rounds
//! alternate between the contenders, so that a slow spell of the machine falls on all of them, and a table shows
//! medians and ratios. What they answer is checked as well: a fast wrong answer is a failure.

mod contest;
mod generate;
mod kernels;
mod llm;
mod load;
mod peers;
mod pipeline;
mod serve;
mod start;
mod storm;
mod tpch;
mod trees;

use anyhow::{Result, bail};
use clap::Args;

/// Its name, what it measures, and how.
type Benchmark = (&'static str, &'static str, fn(&Arguments) -> Result<()>);

/// The benchmarks.
const BENCHMARKS: [Benchmark; 10] = [
    ("trees", "boosted trees on flights, fit and predict, beside LightGBM and XGBoost", trees::run),
    ("tpch", "the 22 TPC-H queries at scale 1, beside plain DataFusion, DuckDB and Polars", tpch::run),
    ("pipeline", "the whole flights job beside Polars with LightGBM", pipeline::run),
    ("serve", "predictions and rows over the network, beside FastAPI, PostgreSQL and a plain stream", serve::run),
    ("load", "a thousand PostgreSQL connections and mixed load for ten minutes: no error, memory flat", load::run),
    ("llm", "a language model served to one and to many, beside llama.cpp and vLLM", llm::run),
    ("generate", "ML.GENERATE_TEXT over a thousand rows, beside 16 clients of llama.cpp's server", generate::run),
    ("storm", "a served language model under random load for minutes: no panic, no leak, all answered", storm::run),
    ("kernels", "products of weights in each format, beside what the machine gives at most", kernels::run),
    ("start", "SELECT 1 from a cold start, beside DuckDB in Python", start::run),
];

/// What to measure.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A benchmark, or 'list'.
    name: String,
    /// Rounds of each contender; the table shows medians.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Threads of each contender.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// TPC-H's scale: gigabytes of raw data.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Minutes of load.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Open connections under load.
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// Peers of language models, with commas between; all that are there where left out.
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<String>>,
}

/// Runs one benchmark.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.name == "list" {
        for (name, about, _) in BENCHMARKS {
            println!("{name:10} {about}");
        }
        return Ok(());
    }
    let Some((_, about, benchmark)) = BENCHMARKS.iter().find(|(name, _, _)| *name == arguments.name) else {
        bail!("unknown benchmark '{}'; 'cargo xtask bench list' names them", arguments.name);
    };
    println!("{about}");
    crate::setup::python("bench", "bench/requirements.txt")?;
    benchmark(arguments)
}
