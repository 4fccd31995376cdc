//! The bound on requests that wait, shared by the engine and those who submit from other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::{Error, RequestId, Result};

/// The longest time that a refused caller is asked to wait, in seconds.
const RETRY_S_MAX: u64 = 60;

/// How many requests wait, and what is known of how fast they go.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: AtomicUsize,
    waiting_max: usize,
    sequences_max: usize,
    /// A running mean of the time that a request takes, in milliseconds.
    request_ms: AtomicU64,
    next: AtomicU64,
    refused: AtomicU64,
}

/// A place in the queue; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Queue>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Queue {
    pub(crate) fn new(waiting_max: usize, sequences_max: usize) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            waiting_max,
            sequences_max,
            request_ms: AtomicU64::new(1000),
            next: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// Exhausted, with a time to try again, where all are taken.
    pub(crate) fn sit(self: &Arc<Self>) -> Result<(RequestId, Seat)> {
        let one_more = |waiting: usize| (waiting < self.waiting_max).then_some(waiting + 1);
        if self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let rounds = (self.waiting_max / self.sequences_max) as u64 + 1;
            let retry_s = (rounds * self.request_ms.load(Ordering::Relaxed)).div_ceil(1000).clamp(1, RETRY_S_MAX);
            let what = format!("{} requests wait already, as many as may", self.waiting_max);
            return Err(Error::full(format!("{what}; try again in {retry_s} s"), retry_s));
        }
        Ok((RequestId(self.next.fetch_add(1, Ordering::Relaxed)), Seat(Arc::clone(self))))
    }

    /// Learns how long a request took.
    pub(crate) fn learn(&self, request_ms: u64) {
        let mean = self.request_ms.load(Ordering::Relaxed);
        self.request_ms.store((7 * mean + request_ms) / 8, Ordering::Relaxed);
    }

    pub(crate) fn waiting_max(&self) -> usize {
        self.waiting_max
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
