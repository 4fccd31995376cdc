//! How the memory for keys and values is used.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lakemill_base::SplitMix64;
use lakemill_llm::{BLOCK_TOKENS, EngineOptions, Request, Sampling};

use crate::toy::{self, Toy};

fn text(seed: u64, tokens: usize) -> Vec<u32> {
    let mut random = SplitMix64::new(seed);
    (0..tokens).map(|_| 2 + random.below(22) as u32).collect()
}

fn greedy(prompt: Vec<u32>, tokens: usize) -> Request {
    Request { sampling: Sampling::greedy(), max_tokens: Some(tokens), ignore_end: true, ..Request::new(prompt) }
}

#[test]
fn waste_is_below_four_percent_at_full_load() {
    // Prompts and answers as long as those of ShareGPT conversations: 161 and 338 tokens on average (Kwon et al.,
    // section 6.1).
    let mut random = SplitMix64::new(3);
    let mut engine = toy::engine(Toy::new(512, 4096), EngineOptions { sequences_max: 64, ..EngineOptions::default() });
    for seed in 0..200 {
        let (prompt, answer) = (40 + random.below(242) as usize, 80 + random.below(516) as usize);
        engine.submit(greedy(text(seed, prompt), answer)).unwrap();
    }
    let (mut waste, mut full, mut events) = (0.0, 0, Vec::new());
    while engine.step(&mut events).unwrap() {
        let statistics = engine.statistics();
        if statistics.kv_usage() > 0.9 {
            waste += statistics.kv_waste();
            full += 1;
        }
    }
    let mean = waste / f64::from(full);
    println!("kv waste at full load: {:.2} % on average over {full} steps", 100.0 * mean);
    assert!(full > 500 && mean < 0.04);
    engine.check_invariants().unwrap();
}

#[test]
fn a_shared_prefix_is_computed_and_stored_once() {
    let toy = Toy::new(512, 4096);
    let counts = Arc::clone(&toy.counts);
    let mut engine = toy::engine(toy, EngineOptions::default());
    let common = text(1, 400);
    for seed in 0..16 {
        engine.submit(greedy([common.clone(), text(100 + seed, 20)].concat(), 28)).unwrap();
    }
    let (mut used, mut events) = (0, Vec::new());
    while engine.step(&mut events).unwrap() {
        used = used.max(engine.statistics().blocks_used);
    }
    // 25 blocks of the prefix, and for each of the 16 the blocks of 47 tokens of its own: the last is never computed.
    assert_eq!(used, 400 / BLOCK_TOKENS + 16 * 47_usize.div_ceil(BLOCK_TOKENS));
    let statistics = engine.statistics();
    assert_eq!(statistics.prefilled_tokens, 400 + 16 * 20);
    assert_eq!(statistics.prefix_hits, 15 * 400);
    let computed = counts.tokens.load(Ordering::Relaxed) - (statistics.drafted_tokens - statistics.accepted_tokens);
    assert!(computed <= 400 + 16 * 47, "{computed}");
    for (_, completion) in &toy::gather(events)[1..] {
        assert_eq!(completion.as_ref().unwrap().usage.cached_tokens, 400);
    }
}

#[test]
fn choices_share_their_prompt_until_they_write() {
    let toy = Toy::new(64, 1024);
    let counts = Arc::clone(&toy.counts);
    let mut engine = toy::engine(toy, EngineOptions { draft_tokens: 0, ..EngineOptions::default() });
    let request = Request {
        n: 5,
        max_tokens: Some(20),
        ignore_end: true,
        sampling: Sampling { seed: Some(1), ..Sampling::default() },
        ..Request::new(text(1, 72))
    };
    engine.submit(request).unwrap();
    let (mut used, mut events) = (0, Vec::new());
    while engine.step(&mut events).unwrap() {
        used = used.max(engine.statistics().blocks_used);
    }
    // Four full blocks are common; each choice has 8 + 19 positions of its own, in two blocks.
    assert_eq!(used, 4 + 5 * 2);
    assert_eq!(counts.copies.load(Ordering::Relaxed), 4, "the last choice keeps the original");
    assert_eq!(counts.tokens.load(Ordering::Relaxed), 72 + 5 * 19);
}

#[test]
fn a_conversation_reuses_its_turns_and_the_oldest_goes_first() {
    let mut engine = toy::engine(Toy::new(16, 1024), EngineOptions::default());
    engine.submit(greedy(text(1, 64), 32)).unwrap();
    let first = toy::run(&mut engine).remove(0).1.unwrap();
    let turn = [text(1, 64), first.choices[0].tokens.clone(), text(2, 10)].concat();
    engine.submit(greedy(turn.clone(), 8)).unwrap();
    let second = toy::run(&mut engine).remove(0).1.unwrap();
    // Of 96 known tokens the last was never computed, so its block is not full.
    assert_eq!(second.usage.cached_tokens, 80);
    assert_eq!(engine.statistics().blocks_used, 0);
    // Something that needs all blocks evicts the conversation.
    engine.submit(greedy(text(3, 250), 4)).unwrap();
    toy::run(&mut engine).remove(0).1.unwrap();
    engine.submit(greedy(turn, 8)).unwrap();
    assert_eq!(toy::run(&mut engine).remove(0).1.unwrap().usage.cached_tokens, 0);
}

#[test]
fn scopes_do_not_share() {
    let mut engine = toy::engine(Toy::new(64, 1024), EngineOptions::default());
    for (scope, cached) in [(1, 0), (2, 0), (1, 48)] {
        engine.submit(Request { cache_scope: scope, ..greedy(text(1, 64), 4) }).unwrap();
        assert_eq!(toy::run(&mut engine).remove(0).1.unwrap().usage.cached_tokens, cached);
    }
}
