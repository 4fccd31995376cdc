//! A thread that owns an engine and serves many callers.
//!
//! Callers' threads check their requests and compile their guidance; the engine's thread only runs steps and puts
//! events into mailboxes. Nothing here is async: a mailbox wakes a waiting thread or calls a [`std::task::Waker`].
//!
//! **Architecture invariants:**
//! - The thread never waits for a caller. A mailbox holds no more than the answer to its own request, which is bounded.
//! - Every stream ends with `Completed` or `Failed`, whatever happens to the engine.

mod mailbox;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ahash::AHashMap;

use self::mailbox::Mailbox;
use crate::check::{Checked, Checker};
use crate::{Completion, Engine, Error, Event, Request, RequestId, Result, Statistics};

/// A handle to an engine that runs in a thread of its own. Clones share it; when the last one goes, what still runs is
/// cancelled and the thread ends.
#[derive(Clone, Debug)]
pub struct Service(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.stop(Stopping::Cancel);
    }
}

#[derive(Debug)]
struct Shared {
    checker: Arc<Checker>,
    inbox: Mutex<Inbox>,
    /// Rung when the inbox changes.
    bell: Condvar,
    /// Rung when the thread ends.
    end: Condvar,
    statistics: Mutex<Statistics>,
    broken: AtomicBool,
}

/// What the thread is to do. Submissions are bounded by the queue's seats, cancellations by the streams.
#[derive(Debug, Default)]
struct Inbox {
    commands: VecDeque<Command>,
    stopping: Option<Stopping>,
    ended: bool,
}

#[derive(Debug)]
enum Command {
    Submit(Box<Checked>, Arc<Mailbox>),
    Cancel(RequestId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stopping {
    Drain,
    Cancel,
}

/// The mailboxes of requests that have not ended.
type Mailboxes = AHashMap<RequestId, Arc<Mailbox>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half-done under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(engine: Engine) -> Result<Self> {
        let shared = Arc::new(Shared {
            checker: engine.checker(),
            inbox: Mutex::default(),
            bell: Condvar::new(),
            end: Condvar::new(),
            statistics: Mutex::new(engine.statistics()),
            broken: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("lakemill-llm".to_owned()).spawn(move || own.live(engine));
        thread.map_err(|error| Error::unavailable(format!("the engine's thread cannot be started: {error}")))?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Checks and queues a request. Guidance is compiled here, in the caller's thread.
    ///
    /// # Errors
    /// Invalid where the request cannot be served as it is; exhausted, with [`Error::retry_after_s`], where the queue
    /// is full; unavailable where the service is shutting down or broken.
    pub fn generate(&self, request: Request) -> Result<Stream> {
        let shared = &self.0.0;
        shared.open(&lock(&shared.inbox))?;
        let checked = shared.checker.check(request)?;
        let (id, mailbox) = (checked.id, Arc::new(Mailbox::default()));
        let mut inbox = lock(&shared.inbox);
        shared.open(&inbox)?;
        inbox.commands.push_back(Command::Submit(Box::new(checked), Arc::clone(&mailbox)));
        shared.bell.notify_one();
        Ok(Stream { id, mailbox, shared: Arc::clone(shared) })
    }

    /// Counts and times as of the last step.
    pub fn statistics(&self) -> Statistics {
        lock(&self.0.0.statistics).clone()
    }

    /// Whether the engine runs: false after a panic of it and after a shutdown.
    pub fn is_healthy(&self) -> bool {
        self.0.0.open(&lock(&self.0.0.inbox)).is_ok()
    }

    /// How many sequences run together at most, and how many requests may be in the service.
    pub(crate) fn capacity(&self) -> (usize, usize) {
        let checker = &self.0.0.checker;
        (checker.sequences_max, checker.queue.waiting_max())
    }

    /// Refuses new requests, waits until those that are in have been answered, and ends the thread. After `limit`, if
    /// one is given, the rest is cancelled.
    pub fn shutdown(&self, limit: Option<Duration>) {
        let shared = &self.0.0;
        shared.stop(Stopping::Drain);
        let mut inbox = lock(&shared.inbox);
        if let Some(limit) = limit {
            let waited = shared.end.wait_timeout_while(inbox, limit, |inbox| !inbox.ended);
            inbox = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !inbox.ended {
                inbox.stopping = Some(Stopping::Cancel);
                shared.bell.notify_one();
            }
        }
        drop(shared.end.wait_while(inbox, |inbox| !inbox.ended).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Shared {
    /// # Errors
    /// Unavailable where no requests are taken.
    fn open(&self, inbox: &Inbox) -> Result<()> {
        if self.broken.load(Ordering::Acquire) {
            return Err(Error::unavailable("the engine has failed; load the model again"));
        }
        if inbox.ended || inbox.stopping.is_some() {
            return Err(Error::unavailable("the engine is shutting down"));
        }
        Ok(())
    }

    fn stop(&self, how: Stopping) {
        let mut inbox = lock(&self.inbox);
        inbox.stopping = inbox.stopping.max(Some(how));
        self.bell.notify_one();
    }

    /// The thread's life.
    fn live(&self, engine: Engine) {
        let mut mailboxes = Mailboxes::new();
        // What a panic leaves behind is dropped: the engine in the closure, and the mailboxes are answered below.
        let lived = std::panic::catch_unwind(AssertUnwindSafe(|| self.serve(engine, &mut mailboxes)));
        let failure = match lived {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(message(&*panic)),
        };
        if let Some(failure) = &failure {
            tracing::error!(failure, requests = mailboxes.len(), "the engine of a language model has failed");
            self.broken.store(true, Ordering::Release);
        }
        let mut inbox = lock(&self.inbox);
        inbox.ended = true;
        let late = std::mem::take(&mut inbox.commands);
        drop(inbox);
        for command in late {
            if let Command::Submit(checked, mailbox) = command {
                mailboxes.insert(checked.id, mailbox);
            }
        }
        let error = match failure {
            Some(failure) => Error::internal(format!("the engine has failed: {failure}")),
            None => Error::unavailable("the engine is shutting down"),
        };
        for (id, mailbox) in mailboxes {
            mailbox.push(Event::Failed { id, error: error.clone() });
        }
        self.end.notify_all();
    }

    /// Steps until told to stop.
    ///
    /// # Errors
    /// A bug of the engine.
    fn serve(&self, mut engine: Engine, mailboxes: &mut Mailboxes) -> Result<()> {
        let mut events = Vec::new();
        let mut busy = false;
        loop {
            let (commands, stopping) = self.next(busy);
            for command in commands {
                match command {
                    Command::Submit(checked, mailbox) => {
                        mailboxes.insert(checked.id, mailbox);
                        engine.enqueue(*checked);
                    }
                    Command::Cancel(id) => engine.cancel(id),
                }
            }
            if stopping == Some(Stopping::Cancel) {
                engine.cancel_all();
            }
            let stepped = engine.step(&mut events);
            *lock(&self.statistics) = engine.statistics();
            for event in events.drain(..) {
                let id = event.id();
                let mailbox = if event.is_last() { mailboxes.remove(&id) } else { mailboxes.get(&id).cloned() };
                if let Some(mailbox) = mailbox {
                    mailbox.push(event);
                }
            }
            busy = stepped?;
            if !busy && stopping.is_some() && lock(&self.inbox).commands.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes what is to be done; waits for it where the engine has nothing to do.
    fn next(&self, busy: bool) -> (VecDeque<Command>, Option<Stopping>) {
        let idle = |inbox: &mut Inbox| !busy && inbox.commands.is_empty() && inbox.stopping.is_none();
        let inbox = self.bell.wait_while(lock(&self.inbox), idle);
        let mut inbox = inbox.unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut inbox.commands), inbox.stopping)
    }

    fn cancel(&self, id: RequestId) {
        let mut inbox = lock(&self.inbox);
        if !inbox.ended {
            inbox.commands.push_back(Command::Cancel(id));
            self.bell.notify_one();
        }
    }
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

/// The events of one request. Dropping it cancels the request.
#[derive(Debug)]
pub struct Stream {
    id: RequestId,
    mailbox: Arc<Mailbox>,
    shared: Arc<Shared>,
}

impl Stream {
    /// The request's number.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Waits for the next event; `None` after the last.
    pub fn recv(&mut self) -> Option<Event> {
        self.mailbox.wait()
    }

    /// The next event if there is one by now.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.mailbox.take()
    }

    /// The next event, for async callers: `std::future::poll_fn(|context| stream.poll_recv(context)).await`.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.mailbox.poll(context)
    }

    /// Asks the engine to end the request; its last events still come.
    pub fn cancel(&self) {
        if self.mailbox.cancel() {
            self.shared.cancel(self.id);
        }
    }

    /// Waits for all events and puts them together.
    ///
    /// # Errors
    /// The request has failed.
    pub fn collect(mut self) -> Result<Completion> {
        let mut completion = Completion::default();
        while let Some(event) = self.recv() {
            completion.push(event)?;
        }
        Ok(completion)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.cancel();
    }
}
