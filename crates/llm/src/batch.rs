//! Running a known list of requests in the best order.
//!
//! Who knows all prompts beforehand can do better than a client that sends them as they come: equal ones are answered
//! once, and the others run in the order of their tokens, so that a common beginning is computed once and still there
//! for the next (Liu et al., "Optimizing LLM Queries in Relational Data Analytics Workloads", MLSys 2025).

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ahash::AHashMap;
use lakemill_base::ErrorKind;

use crate::{Completion, Error, Request, Result, Service, Stream};

/// How often the observer is asked and told while nothing completes.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// How many requests with the same prompt and other options are looked at for an equal one.
const VARIANTS_MAX: usize = 8;

/// How far a batch is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Requests of the batch.
    pub requests: usize,
    /// Requests that have been answered or have failed.
    pub completed: usize,
    /// Requests that were answered by an equal one.
    pub folded: usize,
    /// Tokens of the prompts of completed distinct requests: `prefilled_tokens + reused_tokens`.
    pub prompt_tokens: usize,
    /// Of these, tokens that were computed.
    pub prefilled_tokens: usize,
    /// Of these, tokens that were reused from other requests.
    pub reused_tokens: usize,
    /// Tokens generated.
    pub generated_tokens: usize,
}

/// Who is told how a batch goes.
pub trait Observer {
    /// The request at `index` is answered or has failed. Called once for each index, in order of completion.
    fn completed(&mut self, index: usize, result: std::result::Result<&Completion, &Error>);

    /// How far the batch is; called after each completion and at least a few times a second.
    fn progress(&mut self, _progress: &Progress) {}

    /// Whether to stop; asked a few times a second.
    fn cancelled(&mut self) -> bool {
        false
    }
}

/// Answers all requests: equal ones once (where sampling is deterministic), in the order of their prompts, so that
/// common prefixes are still there, and as many at once as keep the engine's batch full.
///
/// # Errors
/// The observer stopped it, or the service is gone. Errors of single requests go to the observer.
pub fn generate_all(service: &Service, requests: Vec<Request>, observer: &mut dyn Observer) -> Result<Progress> {
    let progress = Progress { requests: requests.len(), ..Progress::default() };
    let mut batch = Batch {
        service,
        todo: fold(requests),
        active: AHashMap::new(),
        ready: Arc::default(),
        next: 0,
        progress,
        observer,
    };
    while !batch.todo.is_empty() || !batch.active.is_empty() {
        if batch.observer.cancelled() {
            return Err(Error::cancelled());
        }
        batch.fill()?;
        for number in batch.ready.wait() {
            batch.advance(number);
        }
        batch.observer.progress(&batch.progress);
    }
    Ok(batch.progress)
}

/// A request and where in the list it stands.
struct Distinct {
    request: Request,
    indices: Vec<usize>,
}

/// A request that has been handed in.
struct Active {
    stream: Stream,
    completion: Completion,
    indices: Vec<usize>,
}

struct Batch<'a> {
    service: &'a Service,
    todo: VecDeque<Distinct>,
    active: AHashMap<usize, Active>,
    ready: Arc<Ready>,
    next: usize,
    progress: Progress,
    observer: &'a mut dyn Observer,
}

impl Batch<'_> {
    /// Hands in requests up to twice what runs together, so that the engine never waits for us.
    fn fill(&mut self) -> Result<()> {
        let (running, waiting) = self.service.capacity();
        let most = (2 * running).min(waiting.div_ceil(2));
        while self.active.len() < most {
            let Some(Distinct { request, indices }) = self.todo.pop_front() else { break };
            match self.service.generate(request.clone()) {
                Ok(stream) => {
                    let number = self.next;
                    self.next += 1;
                    self.active.insert(number, Active { stream, completion: Completion::default(), indices });
                    self.ready.push(number);
                }
                Err(error) if error.kind() == ErrorKind::Exhausted => {
                    // Others fill the queue; one of ours, or a heartbeat, will bring us back here.
                    self.todo.push_front(Distinct { request, indices });
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Err(error) => self.complete(&indices, Err(&error)),
            }
        }
        Ok(())
    }

    /// Takes in what a request has got.
    fn advance(&mut self, number: usize) {
        let Some(active) = self.active.get_mut(&number) else { return };
        let waker = Waker::from(Arc::new(Bell { number, ready: Arc::clone(&self.ready) }));
        let mut context = Context::from_waker(&waker);
        let result = loop {
            match active.stream.poll_recv(&mut context) {
                Poll::Pending => return,
                Poll::Ready(None) => break Ok(()),
                Poll::Ready(Some(event)) => {
                    if let Err(error) = active.completion.push(event) {
                        break Err(error);
                    }
                }
            }
        };
        let Some(Active { completion, indices, .. }) = self.active.remove(&number) else { return };
        let usage = completion.usage;
        self.progress.prompt_tokens += usage.prompt_tokens;
        self.progress.reused_tokens += usage.cached_tokens;
        self.progress.prefilled_tokens += usage.prompt_tokens - usage.cached_tokens;
        self.progress.generated_tokens += usage.generated_tokens;
        self.complete(&indices, result.as_ref().map(|()| &completion));
    }

    fn complete(&mut self, indices: &[usize], result: std::result::Result<&Completion, &Error>) {
        self.progress.completed += indices.len();
        self.progress.folded += indices.len() - 1;
        for index in indices {
            self.observer.completed(*index, result);
        }
    }
}

/// Sorts requests by their tokens and puts equal ones together.
fn fold(requests: Vec<Request>) -> VecDeque<Distinct> {
    let mut sorted: Vec<(usize, Request)> = requests.into_iter().enumerate().collect();
    sorted.sort_by(|(_, a), (_, b)| (a.cache_scope, &a.prompt).cmp(&(b.cache_scope, &b.prompt)));
    let mut distinct: VecDeque<Distinct> = VecDeque::new();
    for (index, mut request) in sorted {
        request.stream = false;
        let variants = distinct.iter_mut().rev().take(VARIANTS_MAX);
        let mut alike = variants.take_while(|other| other.request.prompt == request.prompt);
        match alike.find(|other| request.sampling.is_deterministic() && other.request == request) {
            Some(same) => same.indices.push(index),
            None => distinct.push_back(Distinct { request, indices: vec![index] }),
        }
    }
    distinct
}

/// The numbers of requests that got something.
#[derive(Default)]
struct Ready {
    numbers: Mutex<Vec<usize>>,
    bell: Condvar,
}

impl Ready {
    fn push(&self, number: usize) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        self.bell.notify_one();
    }

    /// Waits for one, or for a heartbeat.
    fn wait(&self) -> Vec<usize> {
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.bell.wait_timeout_while(numbers, HEARTBEAT, |numbers| numbers.is_empty());
        std::mem::take(&mut *waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// Rings for one request.
struct Bell {
    number: usize,
    ready: Arc<Ready>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.number);
    }
}
