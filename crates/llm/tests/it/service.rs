//! The thread: waiting, waking, hanging up, draining, breaking.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use lakemill_base::{ErrorKind, SplitMix64};
use lakemill_llm::{EngineOptions, Event, FinishReason, Guidance, Request, Sampling, Service};

use crate::toy::{self, Toy};

fn request(tokens: usize) -> Request {
    Request {
        sampling: Sampling::greedy(),
        max_tokens: Some(tokens),
        ignore_end: true,
        stream: true,
        ..Request::new(vec![2, 3])
    }
}

fn start(toy: Toy) -> Service {
    Service::start(toy::engine(toy, EngineOptions::default())).unwrap()
}

#[test]
fn serves_many_callers_with_the_answers_of_one() {
    let service = start(Toy::new(256, 1024));
    let threads: Vec<_> = (0..16)
        .map(|caller| {
            let service = service.clone();
            std::thread::spawn(move || {
                let request = Request { prompt: vec![2 + caller % 8; 20], ..request(60) };
                let completion = service.generate(request.clone()).unwrap().collect().unwrap();
                assert_eq!(completion.choices, toy::answer(request).choices);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    service.shutdown(None);
    let statistics = service.statistics();
    assert_eq!((statistics.blocks_used, statistics.finished_length, statistics.running), (0, 16, 0));
    assert_eq!(service.generate(request(1)).unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(!service.is_healthy());
}

struct Count(AtomicUsize, std::thread::Thread);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.unpark();
    }
}

#[test]
fn wakes_async_callers() {
    let service = start(Toy::new(256, 1024));
    let mut stream = service.generate(request(50)).unwrap();
    let count = Arc::new(Count(AtomicUsize::new(0), std::thread::current()));
    let waker = Waker::from(Arc::clone(&count));
    let mut tokens = 0;
    loop {
        match stream.poll_recv(&mut Context::from_waker(&waker)) {
            Poll::Ready(Some(Event::Tokens { tokens: new, .. })) => tokens += new.len(),
            Poll::Ready(Some(_)) => {}
            Poll::Ready(None) => break,
            Poll::Pending => std::thread::park(),
        }
    }
    assert_eq!(tokens, 50);
    assert!(stream.try_recv().is_none() && stream.recv().is_none());
}

#[test]
fn hanging_up_frees_the_blocks() {
    let service = start(Toy::new(256, 100_000));
    let mut stream = service.generate(request(4_000)).unwrap();
    stream.recv().unwrap();
    drop(stream);
    // The next answer comes after the cancellation, which was sent first.
    let completion = service.generate(request(3)).unwrap().collect().unwrap();
    assert_eq!(completion.choices[0].reason, Some(FinishReason::Length));
    service.shutdown(None);
    let statistics = service.statistics();
    assert_eq!((statistics.finished_cancelled, statistics.blocks_used), (1, 0));
}

#[test]
fn drains_until_the_limit_and_cancels_then() {
    let service = start(Toy::new(4_000, 100_000));
    let streams: Vec<_> = [20, 60_000].map(|tokens| service.generate(request(tokens)).unwrap()).into();
    service.shutdown(Some(Duration::from_millis(300)));
    let reasons: Vec<_> = streams.into_iter().map(|it| it.collect().unwrap().choices[0].reason.unwrap()).collect();
    assert_eq!(reasons, [FinishReason::Length, FinishReason::Cancelled]);
}

#[test]
fn the_last_handle_takes_the_thread_along() {
    let service = start(Toy::new(4_000, 100_000));
    let stream = service.generate(request(60_000)).unwrap();
    drop(service);
    assert_eq!(stream.collect().unwrap().choices[0].reason, Some(FinishReason::Cancelled));
}

#[test]
fn a_panic_answers_every_caller() {
    let mut toy = Toy::new(256, 1024);
    toy.fails_at = Some((10, true));
    let service = start(toy);
    let streams: Vec<_> = (0..3).map(|_| service.generate(request(200))).collect();
    for stream in streams {
        // A late one may find the service broken already.
        let error = stream.and_then(lakemill_llm::Stream::collect).unwrap_err();
        assert!(error.to_string().contains("the engine has failed"), "{error}");
    }
    assert!(!service.is_healthy());
    assert_eq!(service.generate(request(1)).unwrap_err().kind(), ErrorKind::Unavailable);
    service.shutdown(None);
}

/// What a caller's thread has seen.
#[derive(Default)]
struct Seen {
    answered: u64,
    refused: u64,
}

/// Sends requests of all kinds; hangs up on some, waits for others.
fn call(service: &Service, caller: u64) -> Seen {
    let (mut random, mut seen) = (SplitMix64::new(caller), Seen::default());
    for _ in 0..150 {
        let prompt = vec![2 + random.below(3) as u32; 1 + random.below(90) as usize];
        let guided = random.below(6) == 0;
        let mut it = Request { prompt, n: 1 + random.below(3) as usize, ..request(random.below(60) as usize) };
        it.ignore_end = !guided;
        it.guidance = guided.then(|| Guidance::Regex("(ab|c){1,9}".to_owned()));
        it.sampling = Sampling { seed: Some(random.next_u64()), ..Sampling::default() };
        if random.below(10) == 0 {
            it.prompt = vec![2; 5_000]; // longer than the context
        }
        match service.generate(it) {
            Ok(mut stream) => match random.below(4) {
                0 => drop(stream),
                1 => {
                    stream.recv().unwrap();
                }
                _ => {
                    let completion = stream.collect().unwrap();
                    assert!(completion.choices.iter().all(|choice| choice.reason.is_some()));
                    seen.answered += 1;
                }
            },
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Exhausted), "{error}");
                seen.refused += 1;
            }
        }
    }
    seen
}

#[test]
fn random_load_answers_everyone_and_leaves_nothing() {
    let options = EngineOptions { sequences_max: 6, waiting_max: 8, step_tokens: 64, ..EngineOptions::default() };
    let service = Service::start(toy::engine(Toy::new(14, 1024), options)).unwrap();
    let callers: Vec<_> = (0..12)
        .map(|caller| {
            let service = service.clone();
            std::thread::spawn(move || call(&service, caller))
        })
        .collect();
    let seen = callers.into_iter().map(|caller| caller.join().unwrap()).fold(Seen::default(), |all, seen| Seen {
        answered: all.answered + seen.answered,
        refused: all.refused + seen.refused,
    });
    service.shutdown(None);
    let statistics = service.statistics();
    assert!(seen.answered > 100 && seen.refused > 100);
    assert_eq!(statistics.submitted + seen.refused, 12 * 150);
    assert_eq!((statistics.blocks_used, statistics.running, statistics.waiting, statistics.failed), (0, 0, 0, 0));
    assert!(statistics.finished_cancelled > 0 && statistics.preemptions > 0, "{statistics:?}");
}
