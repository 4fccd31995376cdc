//! `lakemill serve` with a language model beside llama.cpp's server and vLLM: same model, same threads, one run.
//!
//! The scenarios are in `bench/llm/driver.py`, the servers in `bench/llm/serve.py`. Not here: rows in SQL (`generate`) and
//! an hour of everything at once (`storm`).

use anyhow::Result;

use super::Arguments;
use super::contest::{Contender, Standing, compare, hold, table};
use super::peers;
use crate::paths;
use crate::shell::{self, cargo, command};

/// A figure, what it is called in the summary, and how many times the best peer's it is to be.
const GOALS: [(&str, &str, f64); 4] = [
    ("prefill_tok_per_s", "prefill of 512 tokens", 2.0),
    ("decode_tok_per_s", "one stream", 1.3),
    ("streams_tok_per_s", "16 streams", 2.5),
    ("shared_tok_per_s", "16 streams behind a common prefix", 3.0),
];

/// What the table shows of the scenarios at full speed.
const SPEED: [&str; 13] = [
    "prefill_tok_per_s",
    "decode_tok_per_s",
    "speculation_tok_per_s",
    "streams_tok_per_s",
    "streams_in_and_out_tok_per_s",
    "streams_token_gap_ms",
    "shared_tok_per_s",
    "trace_s",
    "trace_prompt_tokens",
    "trace_reused_share",
    "streams_requests_per_s",
    "stream_memory_mb",
    "memory_mb",
];

/// Of the slowest contender's requests a second, the share that arrives in the scenario of arrivals.
const LOAD: f64 = 0.6;

/// SmolLM2-135M: multiplications and additions for a token of a prompt (its layers; the output head is needed for the last
/// token alone), and bytes of weights that a token of an answer reads (its file is hardly more than that).
const PROMPT_TOKEN_GOP: f64 = 0.2123;
const ANSWER_TOKEN_GB: f64 = 0.0984;

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    shell::run(cargo().args(["build", "--release", "--workspace", "--bin", "lakemill"]))?;
    let mut names = vec!["lakemill"];
    names.extend(peers::prepare(arguments)?);
    let limits = limits(arguments)?;
    let standings = hold(&contenders(arguments, &names, "speed", 0.0)?, arguments.rounds)?;
    table(&compare(&standings, &SPEED.map(str::to_owned), 2));
    println!("\nnan: not measured; the wheel of llama.cpp is not started with speculation");
    agreement(&names)?;
    let slowest =
        standings.iter().map(|standing| standing.figure("streams_requests_per_s")).collect::<Result<Vec<_>>>()?;
    let rate = LOAD * slowest.into_iter().fold(f64::INFINITY, f64::min);
    println!("\narrivals at {rate:.2} requests a second ({LOAD} of what the slowest can do), 128 tokens in and 64 out");
    let arrivals = hold(&contenders(arguments, &names, "arrivals", rate)?, arguments.rounds)?;
    table(&compare(&arrivals, &["first_token_p50_ms", "first_token_p95_ms"].map(str::to_owned), 1));
    goals(&standings)?;
    shares(&standings, &limits)
}

/// The contenders of some scenarios.
fn contenders(arguments: &Arguments, names: &[&'static str], scenarios: &str, rate: f64) -> Result<Vec<Contender>> {
    let (python, folder) = (paths::python("bench")?.join("python"), peers::folder()?);
    let contender = |name: &&'static str| {
        let (python, folder, threads, name) = (python.clone(), folder.clone(), arguments.threads.to_string(), *name);
        let scenarios = scenarios.to_owned();
        Contender::new(name, move || {
            let mut process = command(&python);
            process.arg("bench/llm/driver.py").arg(name).arg(&folder).arg(&threads).arg(paths::lakemill());
            process.arg(&scenarios).arg(rate.to_string());
            process
        })
    };
    Ok(names.iter().map(contender).collect())
}

/// What the machine can do at most.
pub(super) fn limits(arguments: &Arguments) -> Result<Standing> {
    let (python, threads) = (paths::python("bench")?.join("python"), arguments.threads.to_string());
    let machine = Contender::new("machine", move || {
        let mut process = command(&python);
        process.arg("bench/llm/machine.py").arg(&threads);
        process
    });
    let mut standings = hold(&[machine], 1)?;
    let limits = standings.remove(0);
    println!(
        "this machine, {} threads: {:.1} GB/s from memory, {:.0} GFLOP/s in f32, {:.0} GOP/s in int8",
        arguments.threads,
        limits.figure("read_gb_per_s")?,
        limits.figure("f32_gflop_per_s")?,
        limits.figure("int8_gop_per_s")?
    );
    Ok(limits)
}

fn agreement(names: &[&'static str]) -> Result<()> {
    let mut process = command(paths::python("bench")?.join("python"));
    print!("{}", shell::output(process.arg("bench/llm/compare.py").arg(peers::folder()?).args(names))?);
    Ok(())
}

/// Each goal beside what was reached.
fn goals(standings: &[Standing]) -> Result<()> {
    let Some((ours, others)) = standings.split_first() else { return Ok(()) };
    println!();
    for (figure, about, goal) in GOALS {
        let of = |standing: &Standing| standing.figures.get(figure).copied().unwrap_or(0.0);
        let Some(best) = others.iter().max_by(|left, right| of(left).total_cmp(&of(right))) else { continue };
        let ratio = ours.figure(figure)? / of(best);
        println!("{about}: {ratio:.2} times the best peer, {} (goal: at least {goal:.1})", best.name);
    }
    Ok(())
}

/// Our share of the machine's limits.
fn shares(standings: &[Standing], limits: &Standing) -> Result<()> {
    let ours = &standings[0];
    let gops = ours.figure("prefill_tok_per_s")? * PROMPT_TOKEN_GOP;
    let bytes = ours.figure("decode_tok_per_s")? * ANSWER_TOKEN_GB;
    println!(
        "\nour share of the machine: prefill does {gops:.0} GOP/s, {:.2} of the measured int8 product; one stream reads \
         {bytes:.1} GB/s, {:.2} of what memory gives (more than 1 where weights stay in the caches)",
        gops / limits.figure("int8_gop_per_s")?,
        bytes / limits.figure("read_gb_per_s")?
    );
    Ok(())
}
