//! What requests are refused, in which order others run, and how they end.

use std::sync::Arc;

use lakemill_base::{ErrorKind, TestClock};
use lakemill_llm::{Engine, EngineOptions, Event, FinishReason, Request, Sampling};

use crate::toy::{self, Toy, ToyVocabulary};

fn greedy(prompt: Vec<u32>, tokens: usize) -> Request {
    Request { sampling: Sampling::greedy(), max_tokens: Some(tokens), ignore_end: true, ..Request::new(prompt) }
}

#[test]
fn wrong_requests_are_told_what_would_be_right() {
    let mut engine = toy::engine(Toy::new(4, 1024), EngineOptions { sequences_max: 4, ..EngineOptions::default() });
    let ok = || greedy(vec![2, 3], 4);
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = ok();
        change(&mut request);
        request
    };
    let cases = [
        (with(&|it| it.prompt.clear()), "prompt", "the prompt has no token; give at least one"),
        (
            with(&|it| it.prompt = vec![2; 64]),
            "prompt",
            "the prompt has 64 tokens; the memory for keys and values allows at most 63",
        ),
        (
            with(&|it| it.prompt = vec![2, 24]),
            "prompt",
            "token 24 at 1 of the prompt is not in the vocabulary, which ends at 23",
        ),
        (with(&|it| it.n = 5), "n", "n is 5; it must be from 1 to 4"),
        (with(&|it| it.stop = vec![String::new()]), "stop", "a stop text has 0 bytes; it must have from 1 to 1024"),
        (
            with(&|it| it.log_probabilities = Some(21)),
            "log_probabilities",
            "21 most probable tokens were asked for; at most 20 are reported",
        ),
        (with(&|it| it.sampling.temperature = f32::NAN), "temperature", "temperature is NaN; it must be from 0 to 100"),
        (with(&|it| it.sampling.top_p = 0.0), "top_p", "top_p is 0; it must be above 0 to 1"),
        (
            with(&|it| it.sampling.logit_bias = vec![(99, 1.0)]),
            "logit_bias",
            "the logit bias 1 of token 99 is not allowed; tokens must be below 24 and biases from -100 to 100",
        ),
        (with(&|it| it.priority = 101), "priority", "priority is 101; it must be from -100 to 100"),
    ];
    for (request, parameter, message) in cases {
        let error = engine.submit(request).unwrap_err();
        assert_eq!(
            (error.kind(), error.parameter_name(), error.to_string().as_str()),
            (ErrorKind::Invalid, Some(parameter), message)
        );
    }
    // None of them has taken a seat.
    assert_eq!(engine.statistics().waiting, 0);
    engine.submit(ok()).unwrap();
    toy::run(&mut engine);
}

#[test]
fn a_full_queue_refuses_and_says_when_to_come_back() {
    let options = EngineOptions { sequences_max: 2, waiting_max: 3, ..EngineOptions::default() };
    let mut engine = toy::engine(Toy::new(64, 1024), options);
    let ids: Vec<_> = (0..3).map(|_| engine.submit(greedy(vec![2], 40)).unwrap()).collect();
    let error = engine.submit(greedy(vec![2], 1)).unwrap_err();
    assert_eq!((error.kind(), error.retry_after_s()), (ErrorKind::Exhausted, Some(2)));
    assert_eq!(engine.statistics().refused, 1);
    // A cancelled request and running ones leave their seats.
    engine.cancel(ids[2]);
    engine.submit(greedy(vec![3], 1)).unwrap();
    engine.step(&mut Vec::new()).unwrap();
    engine.submit(greedy(vec![2], 1)).unwrap();
    engine.submit(greedy(vec![2], 1)).unwrap();
    engine.submit(greedy(vec![2], 1)).unwrap_err();
}

#[test]
fn priority_goes_first_and_waiting_makes_up_for_it() {
    let clock = Arc::new(TestClock::at(0));
    let options = EngineOptions { sequences_max: 1, ..EngineOptions::default() };
    let runner = Box::new(Toy::new(64, 1024));
    let mut engine = Engine::new(runner, Arc::new(ToyVocabulary), options, Arc::clone(&clock) as _).unwrap();
    let mut submit = |priority| engine.submit(Request { priority, ..greedy(vec![2], 2) }).unwrap();
    let (late, soon) = (submit(5), submit(-5));
    clock.advance(std::time::Duration::from_secs(4));
    let before = submit(0);
    clock.advance(std::time::Duration::from_secs(2));
    let after = submit(0);
    let mut events = Vec::new();
    while engine.step(&mut events).unwrap() {}
    let order: Vec<_> = events.iter().filter(|event| event.is_last()).map(Event::id).collect();
    assert_eq!(order, [soon, before, late, after]);
}

#[test]
fn a_failing_model_fails_the_requests_of_the_step_alone() {
    let mut toy = Toy::new(64, 1024);
    toy.fails_at = Some((2, false));
    let mut engine = toy::engine(toy, EngineOptions { sequences_max: 1, ..EngineOptions::default() });
    engine.submit(greedy(vec![2], 8)).unwrap();
    engine.submit(greedy(vec![3], 8)).unwrap();
    let done = toy::run(&mut engine);
    let error = done[0].1.as_ref().unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Data, "the toy is broken"));
    assert_eq!(done[1].1.as_ref().unwrap().choices[0].tokens.len(), 8);
    assert_eq!((engine.statistics().failed, engine.statistics().blocks_used), (1, 0));
}

#[test]
fn cancelling_frees_blocks_at_once() {
    let mut engine = toy::engine(Toy::new(64, 1024), EngineOptions::default());
    let id = engine.submit(Request { n: 3, ..greedy(vec![2; 100], 50) }).unwrap();
    let mut events = Vec::new();
    for _ in 0..5 {
        engine.step(&mut events).unwrap();
    }
    assert!(engine.statistics().blocks_used > 0);
    engine.cancel(id);
    assert_eq!(engine.statistics().blocks_used, 0);
    engine.check_invariants().unwrap();
    engine.step(&mut events).unwrap();
    let (_, completion) = toy::gather(events).remove(0);
    let completion = completion.unwrap();
    assert!(completion.choices.iter().all(|choice| choice.reason == Some(FinishReason::Cancelled)));
    assert!(completion.choices.iter().all(|choice| !choice.tokens.is_empty()));
}

#[test]
fn drafts_save_steps_and_change_nothing() {
    let request = |speculation| {
        // After a while the toy repeats itself, as small models do.
        let sampling = Sampling { logit_bias: vec![(2, 4.0), (3, 4.0)], ..Sampling::greedy() };
        Request { sampling, speculation, ..greedy([2, 3, 4, 5].repeat(8), 120) }
    };
    let (with, without) = (toy::answer(request(true)), toy::answer(request(false)));
    assert_eq!(with.choices, without.choices);
    assert_eq!(without.usage.drafted_tokens, 0);
    assert!(with.usage.accepted_tokens > 60, "{:?}", with.usage);
}
