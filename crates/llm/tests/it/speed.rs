//! What the engine itself costs, beside the model: run with `--ignored --nocapture`.

use std::sync::Arc;

use lakemill_base::{SplitMix64, Stopwatch, SystemClock};
use lakemill_llm::{Chunk, Engine, EngineOptions, Guidance, ModelRunner, Request, Result, Runner, Sampling};
use lakemill_model::KvFormat;

use crate::{models, real};

const VOCABULARY: usize = 49_152;

/// A model that costs nothing: each row is a stretch of the same random numbers.
struct Free {
    numbers: Vec<f32>,
}

impl Runner for Free {
    fn vocabulary(&self) -> usize {
        VOCABULARY
    }
    fn context_tokens(&self) -> usize {
        8192
    }
    fn blocks(&self) -> usize {
        4096
    }
    fn block_bytes(&self) -> usize {
        0
    }
    fn forward(&mut self, chunks: &[Chunk<'_>], logits: &mut Vec<f32>) -> Result<()> {
        logits.clear();
        for chunk in chunks {
            for row in 0..chunk.logits {
                let seed = u64::from(chunk.tokens[row]) + chunk.start as u64;
                let start = SplitMix64::new(seed).below(VOCABULARY as u64) as usize;
                logits.extend(&self.numbers[start..start + VOCABULARY]);
            }
        }
        Ok(())
    }
    fn copy_block(&mut self, _from: u32, _to: u32) {}
}

/// Seconds that this thread has had a processor, whatever else the machine does.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[test]
#[ignore = "measures"]
fn time_per_token() {
    let schema = r#"{"type": "object", "properties": {
        "name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}},
        "score": {"type": "number"}}, "required": ["name", "tags", "score"], "additionalProperties": false}"#;
    let drawn = Sampling { temperature: 0.8, seed: Some(1), ..Sampling::default() };
    let cases = [
        ("greedy", Sampling::greedy(), None, None),
        ("greedy, log-probabilities", Sampling::greedy(), None, Some(5)),
        ("temperature", drawn.clone(), None, None),
        ("top-k 40", Sampling { top_k: 40, ..drawn.clone() }, None, None),
        ("top-p 0.9", Sampling { top_p: 0.9, ..drawn.clone() }, None, None),
        (
            "top-k 40, top-p 0.9, min-p 0.05, penalties",
            Sampling { top_k: 40, top_p: 0.9, min_p: 0.05, repetition_penalty: 1.1, ..drawn.clone() },
            None,
            None,
        ),
        ("json schema", Sampling::greedy(), Some(Guidance::JsonSchema(schema.into())), None),
        ("json schema, drawn", drawn, Some(Guidance::JsonSchema(schema.into())), None),
    ];
    let tokenizer = Arc::new(models::tokenizer());
    for (name, sampling, guidance, log_probabilities) in cases {
        let mut random = SplitMix64::new(1);
        let numbers = (0..2 * VOCABULARY).map(|_| 3.0 * random.next_normal() as f32).collect();
        let mut engine = Engine::new(
            Box::new(Free { numbers }),
            Arc::clone(&tokenizer) as _,
            EngineOptions::default(),
            Arc::new(SystemClock),
        )
        .unwrap();
        let compile = Stopwatch::start();
        for first in 0..16 {
            let request = Request {
                sampling: sampling.clone(),
                guidance: guidance.clone(),
                ignore_end: guidance.is_none(),
                max_tokens: Some(100),
                log_probabilities,
                ..Request::new(vec![1000 + first; 128])
            };
            engine.submit(request).unwrap();
        }
        let compiled = compile.seconds();
        let mut events = Vec::new();
        while engine.statistics().prefilled_tokens < 16 * 128 {
            engine.step(&mut events).unwrap();
        }
        let (before, start) = (engine.statistics().generated_tokens, processor_seconds());
        while engine.step(&mut events).unwrap() {}
        let tokens = engine.statistics().generated_tokens - before;
        let each = (processor_seconds() - start) / tokens as f64 * 1e6;
        println!("{name}: {each:.0} us a token over {tokens} tokens, submitted 16 in {:.1} ms", compiled * 1e3);
    }
}

/// A prompt of `tokens` tokens that shares its first `common` with all others.
fn prompt(tokens: usize, common: usize, number: u64) -> Vec<u32> {
    let (shared, own) = (SplitMix64::new(1), SplitMix64::new(2 + number));
    let token = |at: usize| if at < common { shared.split(at as u64) } else { own.split(at as u64) };
    (0..tokens).map(|at| 1000 + token(at).next_u64() as u32 % 40_000).collect()
}

#[test]
#[ignore = "measures"]
fn throughput_of_a_model() {
    let model = real::model();
    // Streams, tokens in, of these common to all, tokens out.
    for (name, streams, prompt_tokens, common, answer) in [
        ("prefill", 1, 512, 0, 1),
        ("one stream", 1, 128, 0, 128),
        ("16 streams", 16, 128, 0, 64),
        ("16 streams behind a prefix", 16, 528, 400, 64),
        ("64 streams", 64, 128, 0, 64),
    ] {
        let mut best = f64::INFINITY;
        let mut first = f64::INFINITY;
        for _ in 0..3 {
            let runner = ModelRunner::new(Arc::clone(&model), KvFormat::F16, 2048).unwrap();
            let options = EngineOptions { draft_tokens: 0, ..EngineOptions::default() };
            let mut engine =
                Engine::new(Box::new(runner), Arc::clone(model.tokenizer()) as _, options, Arc::new(SystemClock))
                    .unwrap();
            for number in 0..streams {
                let prompt = prompt(prompt_tokens, common, number);
                let request = Request { ignore_end: true, max_tokens: Some(answer), ..Request::new(prompt) };
                engine.submit(Request { sampling: Sampling::greedy(), ..request }).unwrap();
            }
            let (watch, mut events) = (Stopwatch::start(), Vec::new());
            while engine.statistics().generated_tokens < streams {
                engine.step(&mut events).unwrap();
            }
            first = first.min(watch.seconds());
            while engine.step(&mut events).unwrap() {}
            best = best.min(watch.seconds());
        }
        let (read, written) = (streams as f64 * prompt_tokens as f64, streams as f64 * answer as f64);
        println!(
            "{name}: {best:.3} s; prompts read in {first:.3} s ({:.0} a second), {:.0} tokens a second over all, {:.0} after",
            read / first,
            written / best,
            (written - streams as f64) / (best - first)
        );
    }
}
