//! The products of weights in each format, beside what the machine gives at most.

use anyhow::Result;

use super::Arguments;
use super::contest::{Contender, hold, table};
use super::llm;
use crate::paths;
use crate::shell::{self, cargo, command};

const PROGRAM: &str = "bench-kernels";

/// Formats, and whether their products are of integers.
const FORMATS: [(&str, bool); 8] = [
    ("Q4_0", true),
    ("Q4_1", true),
    ("Q4_K", true),
    ("Q5_K", true),
    ("Q6_K", true),
    ("Q8_0", true),
    ("BF16", false),
    ("F32", false),
];

/// Tokens of a product.
const TOKENS: [&str; 3] = ["1", "16", "512"];

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    shell::run(cargo().args([
        "build",
        "--release",
        "--workspace",
        "--features",
        "lakemill-testkit/bench",
        "--bin",
        PROGRAM,
    ]))?;
    let limits = llm::limits(arguments)?;
    let (int8, single) = (limits.figure("int8_gop_per_s")?, limits.figure("f32_gflop_per_s")?);
    let threads = arguments.threads.to_string();
    let ours = Contender::new("lakemill", move || {
        let mut process = command(paths::program(PROGRAM));
        process.arg(&threads);
        process
    });
    let standings = hold(&[ours], arguments.rounds)?;
    let mut rows = vec![["format", "tokens", "GOP/s", "of the limit"].map(str::to_owned).to_vec()];
    for (format, integers) in FORMATS {
        for tokens in TOKENS {
            let figure = standings[0].figure(&format!("{format} {tokens}"))?;
            let share = figure / if integers { int8 } else { single };
            rows.push(vec![format.to_owned(), tokens.to_owned(), format!("{figure:.0}"), format!("{share:.2}")]);
        }
    }
    table(&rows);
    println!(
        "\nthe limit is what ONNX Runtime (8-bit integers) and NumPy (f32) reach in a product of 2,048 by 2,048; a product \
         with one token is bound by reading the weights"
    );
    Ok(())
}
