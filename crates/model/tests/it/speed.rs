//! How fast the forward pass is, beside the machine's share that it took. Run alone, on a calm machine:
//! `cargo test --release -p lakemill-model --test it -- --ignored --nocapture speed`.

use std::sync::Arc;

use lakemill_base::Stopwatch;
use lakemill_kernels::pool::Pool;
use lakemill_model::{Chunk, KvFormat, KvStorage, LanguageModel};

use crate::models::smollm2;

/// Runs of which the median counts.
const RUNS: usize = 7;

const PROMPT: usize = 512;
const DECODED: usize = 64;
const STREAMS: usize = 16;

fn median(mut run: impl FnMut() -> usize) -> f64 {
    let mut rates: Vec<f64> = (0..RUNS)
        .map(|_| {
            let watch = Stopwatch::start();
            let tokens = run();
            tokens as f64 / watch.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[RUNS / 2]
}

#[test]
#[ignore = "a measurement, not a check"]
fn speed() {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    let model = LanguageModel::load(smollm2(), Arc::new(Pool::new(threads))).unwrap();
    let tokens: Vec<u32> =
        (0..PROMPT as u32).map(|index| index * 7919 % model.architecture().vocabulary as u32).collect();
    let mut kv = KvStorage::new(model.architecture(), KvFormat::F16, 512);
    let mut logits = Vec::new();
    let mut run = |chunks: &[Chunk<'_>]| {
        logits.clear();
        model.forward(chunks, &mut kv, &mut logits).unwrap();
    };
    let all: Vec<u32> = (0..512).collect();
    let prefill = median(|| {
        run(&[Chunk { tokens: &tokens, start: 0, blocks: &all, logits: 1 }]);
        PROMPT
    });
    let mut decode = |streams: usize| {
        median(|| {
            for position in 128..128 + DECODED {
                let chunks: Vec<Chunk<'_>> = (0..streams)
                    .map(|stream| Chunk {
                        tokens: &tokens[position + stream..][..1],
                        start: position,
                        blocks: &all[stream * 16..][..16],
                        logits: 1,
                    })
                    .collect();
                run(&chunks);
            }
            DECODED * streams
        })
    };
    let (one, many) = (decode(1), decode(STREAMS));
    println!(
        "{threads} threads, tokens per second: prefill {prefill:.0}, one stream {one:.0}, {STREAMS} streams {many:.0}"
    );
}
