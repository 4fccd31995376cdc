//! Distributions against a float reference (PyTorch over the dequantised weights), no further from it than llama.cpp is.

use std::sync::{Arc, OnceLock};

use lakemill_kernels::pool::Pool;
use lakemill_model::{BLOCK_TOKENS, Chunk, KvFormat, KvStorage, LanguageModel};

use crate::models::{reference, reference_json, smollm2};

/// How many standard errors of llama.cpp's mean divergence ours may be above it. Both engines round inputs to int8 in
/// blocks of 32, so that they have different noise of one size; a mistake in a kernel is off by many times this.
const ERRORS: f64 = 2.0;

fn model() -> &'static LanguageModel {
    static MODEL: OnceLock<LanguageModel> = OnceLock::new();
    MODEL.get_or_init(|| LanguageModel::load(smollm2(), Arc::new(Pool::new(2))).unwrap())
}

/// The logits of every one of `tokens`, in one chunk.
fn logits(tokens: &[u32], wanted: usize, format: KvFormat) -> Vec<f32> {
    let blocks: Vec<u32> = (0..tokens.len().div_ceil(BLOCK_TOKENS) as u32).collect();
    let mut kv = KvStorage::new(model().architecture(), format, blocks.len());
    let mut logits = Vec::new();
    model().forward(&[Chunk { tokens, start: 0, blocks: &blocks, logits: wanted }], &mut kv, &mut logits).unwrap();
    assert_eq!(logits.len(), wanted * model().architecture().vocabulary);
    logits
}

/// What the float reference says of the positions.
struct Positions {
    chunk: usize,
    top: usize,
    ids: Vec<u32>,
    tokens: Vec<u32>,
    log_probabilities: Vec<f32>,
}

impl Positions {
    fn read() -> Self {
        let record = reference_json("positions.json");
        let number = |name: &str| record[name].as_u64().unwrap() as usize;
        let (chunk, top) = (number("chunk_tokens"), number("top"));
        let count = number("chunks") * chunk;
        let bytes = std::fs::read(reference("positions.bin")).unwrap();
        assert_eq!(bytes.len(), count * 2 + count * top * 6);
        let (ids, rest) = bytes.split_at(count * 2);
        let (tokens, log_probabilities) = rest.split_at(count * top * 2);
        let short =
            |bytes: &[u8]| bytes.as_chunks::<2>().0.iter().map(|bytes| u32::from(u16::from_le_bytes(*bytes))).collect();
        let floats = log_probabilities.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Self { chunk, top, ids: short(ids), tokens: short(tokens), log_probabilities: floats.collect() }
    }
}

/// The log-probabilities of `tokens` by `logits`.
fn log_probabilities(logits: &[f32], tokens: &[u32]) -> Vec<f64> {
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - most).exp()).sum();
    tokens.iter().map(|token| f64::from(logits[*token as usize]) - most - sum.ln()).collect()
}

fn argmax(logits: &[f32]) -> u32 {
    logits
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (id, logit)| if *logit > best.1 { (id, *logit) } else { best })
        .0 as u32
}

/// KL(reference || ours) over the reference's likeliest tokens and all others as one, as the reference defines it.
fn divergence(expected: &[f32], found: &[f64]) -> f64 {
    let expected: Vec<f64> = expected.iter().map(|value| f64::from(*value)).collect();
    let rest = |logs: &[f64]| (1.0 - logs.iter().map(|log| log.exp()).sum::<f64>()).max(1e-12);
    let top: f64 = expected.iter().zip(found).map(|(p, q)| p.exp() * (p - q)).sum();
    let (p_rest, q_rest) = (rest(&expected), rest(found));
    top + p_rest * (p_rest / q_rest).ln()
}

/// The mean divergence of all positions and the share whose likeliest token is the reference's.
fn measure(positions: &Positions, format: KvFormat) -> (f64, f64) {
    let vocabulary = model().architecture().vocabulary;
    let mut divergences = Vec::new();
    let mut alike = 0;
    for (number, ids) in positions.ids.chunks_exact(positions.chunk).enumerate() {
        for (place, logits) in logits(ids, ids.len(), format).chunks_exact(vocabulary).enumerate() {
            let at = (number * positions.chunk + place) * positions.top;
            let tokens = &positions.tokens[at..at + positions.top];
            let expected = &positions.log_probabilities[at..at + positions.top];
            divergences.push(divergence(expected, &log_probabilities(logits, tokens)));
            alike += usize::from(argmax(logits) == tokens[0]);
        }
    }
    let count = divergences.len() as f64;
    let mean = divergences.iter().sum::<f64>() / count;
    let most = divergences.iter().copied().fold(0.0, f64::max);
    let agreement = f64::from(alike as u32) / count;
    println!("{count} positions, {format:?}: mean KL {mean:.4e}, most {most:.2e}, top-1 agreement {agreement:.4}");
    (mean, agreement)
}

#[test]
fn greedy_texts_are_the_float_references_where_its_margin_exceeds_the_noise() {
    // The largest margin that llama.cpp's rounding of inputs turned round in 4,096 positions.
    let noise = reference_json("llama.json")["margin_turned_max"].as_f64().unwrap();
    let record = reference_json("greedy.json");
    let vocabulary = model().architecture().vocabulary;
    let (mut sure, mut all) = (0, 0);
    for text in record["texts"].as_array().unwrap() {
        let values = |name: &str| text[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap());
        let [prompt, made] = ["prompt", "tokens"].map(|name| values(name).map(|id| id as u32).collect::<Vec<_>>());
        let read = [&prompt[..], &made[..made.len() - 1]].concat();
        let logits = logits(&read, made.len(), KvFormat::F16);
        for ((token, margin), logits) in made.iter().zip(values("margins")).zip(logits.chunks_exact(vocabulary)) {
            all += 1;
            if margin > noise {
                sure += 1;
                assert_eq!(argmax(logits), *token, "{}: the reference was {margin} ahead", text["user"]);
            }
        }
    }
    println!("{sure} of {all} tokens have a margin above {noise}");
    assert!(all > 300 && sure * 2 > all, "{sure} of {all} tokens are sure");
}

/// 4,096 positions take the better part of a minute.
mod full {
    use lakemill_model::KvFormat;

    use super::{ERRORS, Positions, measure};
    use crate::models::reference_json;

    #[test]
    fn distributions_are_as_near_the_float_reference_as_llama_cpp_is() {
        let llama = reference_json("llama.json");
        let number = |name: &str| llama[name].as_f64().unwrap();
        let (kl_mean, error, top_1) = (number("kl_mean"), number("kl_mean_error"), number("top1_agreement"));
        println!(
            "llama.cpp: mean KL {kl_mean:.4e} +- {error:.1e}, most {:.2e}, top-1 agreement {top_1:.4}",
            number("kl_max")
        );
        let positions = Positions::read();
        let top_1_error = (top_1 * (1.0 - top_1) / positions.ids.len() as f64).sqrt();
        for format in [KvFormat::F16, KvFormat::F32, KvFormat::Q8] {
            let (mean, agreement) = measure(&positions, format);
            // Keys and values of eight bits add noise of their own.
            let allowed = if format == KvFormat::Q8 { 1.5 } else { 1.0 };
            assert!(
                mean <= (kl_mean + ERRORS * error) * allowed,
                "{format:?}: the mean divergence is larger than llama.cpp's"
            );
            assert!(
                agreement >= top_1 - ERRORS * top_1_error * allowed,
                "{format:?}: the likeliest token is another too often"
            );
        }
    }
}
