//! A thread that owns an engine and serves many callers.

use std::task::{Context, Poll};
use std::time::Duration;

use crate::{Completion, Engine, Error, Event, Request, RequestId, Result, Statistics};

/// A handle to an engine that runs in a thread of its own. Clones share it; the last one to go stops it.
#[derive(Clone, Debug)]
pub struct Service {}

impl Service {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(_engine: Engine) -> Result<Self> {
        Ok(Self {})
    }

    /// Checks and queues a request. Guidance is compiled here, in the caller's thread.
    ///
    /// # Errors
    /// Invalid where the request cannot be served as it is; exhausted, with [`Error::retry_after_s`], where the queue
    /// is full; unavailable where the service is shutting down or broken.
    pub fn generate(&self, _request: Request) -> Result<Stream> {
        Err(Error::internal("not yet"))
    }

    /// Counts and times as of the last step.
    pub fn statistics(&self) -> Statistics {
        Statistics::new()
    }

    /// Whether the engine runs: false after a panic of it and after a shutdown.
    pub fn is_healthy(&self) -> bool {
        true
    }

    /// Refuses new requests, waits until those that are in have been answered, and ends the thread. After `limit`, if
    /// one is given, the rest is cancelled.
    pub fn shutdown(&self, _limit: Option<Duration>) {}
}

/// The events of one request. Dropping it cancels the request.
#[derive(Debug)]
pub struct Stream {
    id: RequestId,
}

impl Stream {
    /// The request's number.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Waits for the next event; `None` after the last.
    pub fn recv(&mut self) -> Option<Event> {
        None
    }

    /// The next event if there is one by now.
    pub fn try_recv(&mut self) -> Option<Event> {
        None
    }

    /// The next event, for async callers: `std::future::poll_fn(|context| stream.poll_recv(context)).await`.
    pub fn poll_recv(&mut self, _context: &mut Context<'_>) -> Poll<Option<Event>> {
        Poll::Ready(None)
    }

    /// Asks the engine to end the request; its last events still come.
    pub fn cancel(&self) {}

    /// Waits for all events and puts them together.
    ///
    /// # Errors
    /// The request has failed.
    pub fn collect(self) -> Result<Completion> {
        Err(Error::internal("not yet"))
    }
}
