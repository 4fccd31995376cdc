//! Measures the products of repacked weights, and prints one line of JSON.
//!
//!     bench-kernels THREADS
//!
//! A figure is `FORMAT TOKENS`, in billions of multiplications and additions a second: the best of many short runs, since
//! what the kernel can do is asked for, not what the machine was busy with. Eight matrices of 1,536 rows take turns, as a
//! model's layers do, so that weights come from where they come from in a model.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;

use lakemill_base::{SplitMix64, Stopwatch};
use lakemill_kernels::matmul::{Packed, Store, multiply_many};
use lakemill_kernels::pool::Pool;
use lakemill_kernels::quant::Format;
use lakemill_kernels::quant::activations::Activations;
use lakemill_testkit::Result;
use serde_json::json;

const FORMATS: [Format; 8] =
    [Format::Q4_0, Format::Q4_1, Format::Q4K, Format::Q5K, Format::Q6K, Format::Q8_0, Format::Bf16, Format::F32];
const TOKENS: [usize; 3] = [1, 16, 512];
const MATRICES: usize = 8;
const ROWS: usize = 1536;
/// Three of the largest blocks.
const COLUMNS: usize = 768;
/// Seconds that a figure is sought for.
const SECONDS: f64 = 0.5;

fn main() -> Result<()> {
    let threads = std::env::args().nth(1).and_then(|threads| threads.parse().ok()).unwrap_or(1);
    let pool = Pool::new(threads);
    let mut figures = BTreeMap::new();
    for format in FORMATS {
        let matrices = matrices(format);
        for tokens in TOKENS {
            let seconds = seconds(&pool, &matrices, tokens);
            let products = (2 * MATRICES * ROWS * COLUMNS * tokens) as f64;
            figures.insert(format!("{} {tokens}", format.name()), products / seconds / 1e9);
        }
    }
    println!("{}", json!({ "version": env!("CARGO_PKG_VERSION"), "figures": figures }));
    Ok(())
}

/// Weights of random bits, none of which makes an infinity or a number too small to be normal.
fn matrices(format: Format) -> Vec<Packed> {
    let mut dice = SplitMix64::new(1);
    let bytes: Vec<u8> = (0..format.row_bytes(COLUMNS) * ROWS).map(|_| dice.next_u64() as u8 & 0x0B | 0x30).collect();
    (0..MATRICES).map(|_| Packed::new(format, ROWS, COLUMNS, &bytes)).collect()
}

/// The shortest time of all matrices, one after the other.
fn seconds(pool: &Pool, matrices: &[Packed], tokens: usize) -> f64 {
    let mut input = Activations::new();
    input.fill(pool, matrices[0].want(), tokens, COLUMNS, &|token, values| {
        let mut dice = SplitMix64::new(token as u64);
        values.iter_mut().for_each(|value| *value = dice.below(256) as f32 / 128.0 - 1.0);
    });
    let mut out = vec![0.0; tokens * ROWS];
    let (all, mut best) = (Stopwatch::start(), f64::INFINITY);
    while all.seconds() < SECONDS {
        let one = Stopwatch::start();
        for weights in matrices {
            multiply_many(pool, &input, &[weights], Store::Replace, &mut out);
        }
        best = best.min(one.seconds());
    }
    best
}
