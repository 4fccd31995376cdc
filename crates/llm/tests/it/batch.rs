//! Known lists of requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lakemill_base::SplitMix64;
use lakemill_llm::batch::{Observer, Progress, generate_all};
use lakemill_llm::{Completion, EngineOptions, Error, Request, Sampling, Service};

use crate::toy::{self, Toy};

#[derive(Default)]
struct Seen {
    answers: Vec<Option<Result<Completion, String>>>,
    last: Progress,
    stop_after: Option<usize>,
}

impl Observer for Seen {
    fn completed(&mut self, index: usize, result: Result<&Completion, &Error>) {
        let slot = &mut self.answers[index];
        assert!(slot.is_none());
        *slot = Some(result.cloned().map_err(ToString::to_string));
    }
    fn progress(&mut self, progress: &Progress) {
        self.last = progress.clone();
    }
    fn cancelled(&mut self) -> bool {
        self.stop_after.is_some_and(|after| self.answers.iter().flatten().count() >= after)
    }
}

/// A long instruction, then one of 40 rows.
fn requests(count: usize) -> Vec<Request> {
    let mut random = SplitMix64::new(1);
    let instruction: Vec<u32> = (0..100).map(|_| 2 + random.below(22) as u32).collect();
    let row = |random: &mut SplitMix64| {
        let row = random.below(40);
        let own = SplitMix64::new(row).split(1);
        (0..10).map(|at| 2 + own.split(at).below(22) as u32).collect::<Vec<_>>()
    };
    (0..count)
        .map(|_| Request {
            sampling: Sampling::greedy(),
            max_tokens: Some(12),
            ..Request::new([instruction.clone(), row(&mut random)].concat())
        })
        .collect()
}

#[test]
fn folds_orders_and_reuses() {
    let toy = Toy::new(128, 1024);
    let counts = Arc::clone(&toy.counts);
    let options = EngineOptions { sequences_max: 8, waiting_max: 10, ..EngineOptions::default() };
    let service = Service::start(toy::engine(toy, options)).unwrap();
    let mut requests = requests(200);
    requests[17].prompt.clear();
    let distinct: std::collections::HashSet<_> = requests.iter().map(|request| request.prompt.clone()).collect();
    let mut seen = Seen { answers: vec![None; 200], ..Seen::default() };
    let progress = generate_all(&service, requests.clone(), &mut seen).unwrap();
    assert_eq!(progress, seen.last);
    assert_eq!((progress.requests, progress.completed, progress.folded), (200, 200, 200 - distinct.len()));
    assert_eq!(progress.prompt_tokens, (distinct.len() - 1) * 110);
    assert_eq!(progress.prompt_tokens, progress.prefilled_tokens + progress.reused_tokens);
    // The instruction is computed once, but for its last block, which rows have a part in.
    assert_eq!(progress.prefilled_tokens, 96 + (distinct.len() - 1) * 14);
    assert!(counts.tokens.load(Ordering::Relaxed) < 4_000);
    for (index, (request, answer)) in requests.into_iter().zip(&seen.answers).enumerate() {
        match answer.as_ref().unwrap() {
            Ok(completion) => assert_eq!(completion.choices, toy::answer(request).choices),
            Err(error) => assert_eq!((index, error.as_str()), (17, "the prompt has no token; give at least one")),
        }
    }
}

#[test]
fn rows_that_are_drawn_are_not_folded() {
    let service = Service::start(toy::engine(Toy::new(128, 1024), EngineOptions::default())).unwrap();
    let request = Request { max_tokens: Some(20), ignore_end: true, ..Request::new(vec![2; 20]) };
    let mut seen = Seen { answers: vec![None; 4], ..Seen::default() };
    let progress = generate_all(&service, vec![request; 4], &mut seen).unwrap();
    assert_eq!(progress.folded, 0);
    assert!(seen.answers[0] != seen.answers[1]);
}

#[test]
fn stops_when_told_to() {
    let options = EngineOptions { sequences_max: 2, ..EngineOptions::default() };
    let service = Service::start(toy::engine(Toy::new(128, 1024), options)).unwrap();
    let mut seen = Seen { answers: vec![None; 200], stop_after: Some(5), ..Seen::default() };
    let error = generate_all(&service, requests(200), &mut seen).unwrap_err();
    assert!(error.is_cancelled());
    service.shutdown(None);
    assert_eq!((service.statistics().blocks_used, service.statistics().running), (0, 0));
}

#[test]
fn a_broken_service_tells_every_row() {
    let mut toy = Toy::new(128, 1024);
    toy.fails_at = Some((3, true));
    let service = Service::start(toy::engine(toy, EngineOptions::default())).unwrap();
    let mut seen = Seen { answers: vec![None; 200], ..Seen::default() };
    match generate_all(&service, requests(200), &mut seen) {
        Ok(progress) => assert_eq!(progress.completed, 200),
        Err(error) => assert!(error.to_string().contains("the engine has failed"), "{error}"),
    }
}
