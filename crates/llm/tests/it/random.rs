//! Random schedules against the naive engine: same tokens, and no block is lost.

use std::cell::Cell;

use lakemill_llm::{BLOCK_TOKENS, EngineOptions, Event, FinishReason, Guidance, Request, Sampling};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::naive;
use crate::toy::{self, Toy, WORDS};

const CONTEXT: usize = 100;
const CASES: u32 = 600;

#[derive(Clone, Debug)]
struct Arrival {
    request: Request,
    /// The step before which it arrives.
    at: usize,
    /// How many steps later it is cancelled.
    cancelled_after: Option<usize>,
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let penalties = (prop_oneof![Just(1.0_f32), 0.5_f32..2.0], prop_oneof![Just(0.0_f32), -1.0_f32..1.0]);
    let filters = (
        prop_oneof![Just(0_usize), 1_usize..8],
        prop_oneof![Just(1.0_f32), 0.3_f32..1.0],
        prop_oneof![Just(0.0_f32), 0.0_f32..0.5],
    );
    let temperature = prop_oneof![Just(0.0_f32), Just(0.0_f32), 0.3_f32..1.5];
    let bias = prop::collection::vec((0..WORDS.len() as u32, -3.0_f32..3.0), 0..2);
    (temperature, filters, penalties, bias, any::<u64>()).prop_map(
        |(temperature, (top_k, top_p, min_p), (repetition_penalty, presence_penalty), logit_bias, seed)| Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            presence_penalty,
            frequency_penalty: presence_penalty / 2.0,
            logit_bias,
            seed: Some(seed),
        },
    )
}

/// Prompts begin with a part of one of two texts, so that prefixes are shared.
fn prompt() -> impl Strategy<Value = Vec<u32>> {
    let tail = prop::collection::vec(2..WORDS.len() as u32, 0..20);
    (0..2_u32, 0_usize..70, tail).prop_map(|(text, shared, tail)| {
        let mut prompt: Vec<u32> = (0..shared as u32).map(|at| 2 + (at * (3 + text)) % 22).collect();
        prompt.extend(tail);
        if prompt.is_empty() { vec![2] } else { prompt }
    })
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let guidance = prop_oneof![
        5 => Just(None),
        1 => Just(Some(Guidance::Choice(vec!["yes".into(), "no".into(), "abc".into(), "abcab 12".into()]))),
    ];
    let stops = prop_oneof![3 => Just(vec![]), 1 => Just(vec!["ab".to_owned(), "bca".into(), "äa".into()])];
    let cancelled = prop_oneof![4 => Just(None), 1 => (0_usize..30).prop_map(Some)];
    let reports = (
        prop_oneof![3 => Just(None), 1 => Just(Some(3_usize))],
        prop_oneof![6 => Just(None), 1 => Just(Some(1_usize))],
    );
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let shape = (prop_oneof![3 => Just(1_usize), 1 => 2_usize..4], 0_usize..40, 0_usize..4, -3_i32..4, 0_u64..2);
    (prompt(), sampling(), guidance, stops, (0_usize..25, cancelled), reports, flags, shape).prop_map(
        |(prompt, sampling, guidance, stop, (at, cancelled_after), reports, flags, shape)| {
            let (stream, ignore_end, special_text) = flags;
            let (n, max_tokens, min_tokens, priority, cache_scope) = shape;
            let request = Request {
                sampling,
                max_tokens: Some(max_tokens),
                min_tokens: if guidance.is_some() { 0 } else { min_tokens },
                ignore_end: ignore_end && guidance.is_none(),
                stop_tokens: if stream { vec![7] } else { vec![] },
                special_text,
                stop: if guidance.is_some() { vec![] } else { stop },
                n,
                log_probabilities: reports.0,
                prompt_log_probabilities: reports.1,
                priority,
                guidance,
                cache_scope,
                stream,
                ..Request::new(prompt)
            };
            Arrival { request, at, cancelled_after }
        },
    )
}

fn options() -> impl Strategy<Value = (EngineOptions, usize)> {
    let sizes = (3_usize..8, 1_usize..40, prop_oneof![3 => 3_usize..16, 1 => 16_usize..80]);
    (sizes, any::<bool>(), 0_usize..6).prop_map(|((sequences_max, step_tokens, blocks), prefix_cache, draft_tokens)| {
        let step_tokens = step_tokens.max(3);
        (EngineOptions { sequences_max, waiting_max: 64, step_tokens, prefix_cache, draft_tokens, seed: 1 }, blocks)
    })
}

/// What the schedules have covered: a test that never preempts proves nothing about preemption.
#[derive(Debug, Default)]
struct Covered {
    choices: Cell<u64>,
    doubtful: Cell<u64>,
    preemptions: Cell<u64>,
    accepted: Cell<u64>,
    rejected: Cell<u64>,
    hits: Cell<u64>,
    cancelled: Cell<u64>,
    guided: Cell<u64>,
}

fn add(cell: &Cell<u64>, count: u64) {
    cell.set(cell.get() + count);
}

#[test]
fn any_schedule_gives_the_naive_answers() {
    let covered = Covered::default();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() });
    let schedule = (options(), prop::collection::vec(arrival(), 1..14));
    let ran = runner.run(&schedule, |((options, blocks), arrivals)| {
        check(options, blocks, &arrivals, &covered);
        Ok(())
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    println!("{covered:?}");
    for (what, least) in [
        (&covered.choices, CASES),
        (&covered.preemptions, CASES / 10),
        (&covered.accepted, CASES),
        (&covered.rejected, CASES),
        (&covered.hits, CASES),
        (&covered.cancelled, CASES / 10),
        (&covered.guided, CASES / 10),
    ] {
        assert!(what.get() > u64::from(least), "{covered:?}");
    }
    assert!(covered.doubtful.get() * 50 < covered.choices.get(), "{covered:?}");
}

fn check(options: EngineOptions, blocks: usize, arrivals: &[Arrival], covered: &Covered) {
    let tokens_max = CONTEXT.min(blocks * BLOCK_TOKENS);
    let mut engine = toy::engine(Toy::new(blocks, CONTEXT), options.clone());
    let mut events = Vec::new();
    let mut ids = vec![None; arrivals.len()];
    let mut step = 0;
    let mut more = true;
    while more || step < 60 {
        for (arrival, id) in arrivals.iter().zip(&mut ids) {
            if arrival.at == step {
                let fits =
                    arrival.request.prompt.len() + usize::from(arrival.request.max_tokens != Some(0)) <= tokens_max;
                let fits = fits && arrival.request.n <= options.sequences_max.min(options.step_tokens);
                let submitted = engine.submit(arrival.request.clone());
                assert_eq!(submitted.is_ok(), fits, "{submitted:?}");
                *id = submitted.ok();
            }
            if let (Some(after), Some(id)) = (arrival.cancelled_after, *id)
                && arrival.at + after == step
            {
                engine.cancel(id);
                engine.check_invariants().unwrap();
            }
        }
        more = engine.step(&mut events).unwrap();
        engine.check_invariants().unwrap();
        step += 1;
        assert!(step < 20_000, "the engine does not come to an end");
    }
    let statistics = engine.statistics();
    assert_eq!((statistics.blocks_used, statistics.running, statistics.waiting), (0, 0, 0));
    add(&covered.preemptions, statistics.preemptions);
    add(&covered.accepted, statistics.accepted_tokens);
    add(&covered.rejected, statistics.drafted_tokens - statistics.accepted_tokens);
    add(&covered.hits, statistics.prefix_hits);
    add(&covered.cancelled, statistics.finished_cancelled);
    check_stream(&events);
    let completions = toy::gather(events);
    for (arrival, id) in arrivals.iter().zip(ids) {
        let Some(id) = id else { continue };
        let (_, completion) = completions.iter().find(|(other, _)| *other == id).unwrap();
        compare(arrival, completion.as_ref().unwrap(), tokens_max, covered);
    }
}

/// No text goes out that could be taken back: a stop text is never seen.
fn check_stream(events: &[Event]) {
    for event in events {
        if let Event::Tokens { tokens, text, .. } = event {
            assert!(!tokens.is_empty() || !text.is_empty());
        }
    }
}

fn compare(arrival: &Arrival, completion: &lakemill_llm::Completion, tokens_max: usize, covered: &Covered) {
    let request = &arrival.request;
    assert_eq!(completion.choices.len(), request.n);
    assert_eq!(completion.usage.prompt_tokens, request.prompt.len());
    let generated: usize = completion.choices.iter().map(|choice| choice.tokens.len()).sum();
    assert_eq!(completion.usage.generated_tokens, generated);
    for (number, choice) in completion.choices.iter().enumerate() {
        let naive = naive::answer(request, request.sampling.seed.unwrap(), number, tokens_max);
        add(&covered.choices, 1);
        add(&covered.guided, u64::from(request.guidance.is_some()));
        if naive.doubtful {
            add(&covered.doubtful, 1);
            continue;
        }
        if choice.reason == Some(FinishReason::Cancelled) {
            assert!(naive.tokens.starts_with(&choice.tokens) && arrival.cancelled_after.is_some());
            continue;
        }
        assert_eq!(choice.tokens, naive.tokens, "choice {number} of {request:?}");
        assert_eq!(choice.text, naive.text);
        assert_eq!(choice.reason, naive.reason);
        if request.log_probabilities.is_some() {
            assert_eq!(choice.log_probabilities.len(), choice.tokens.len());
            for (report, exact) in choice.log_probabilities.iter().zip(&naive.log_probabilities) {
                assert!((f64::from(report.log_probability) - exact).abs() < 1e-5);
                assert_eq!(report.top.len(), 3);
            }
        }
    }
    if request.prompt_log_probabilities.is_some() && arrival.cancelled_after.is_none() {
        assert_eq!(completion.prompt_log_probabilities.len(), request.prompt.len() - 1);
        for (at, report) in (1..).zip(&completion.prompt_log_probabilities) {
            let row = toy::logits(&request.prompt[..at]);
            let normal = row.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
            let exact = f64::from(row[request.prompt[at] as usize]) - normal;
            assert!((f64::from(report.log_probability) - exact).abs() < 1e-5);
        }
    }
}
