//! Who may run: a bounded number of statements at a time, a bounded queue before them, and a deadline for those in it.
//!
//! **Architecture invariant:** whatever the number of clients, no more than `running_max` statements hold memory and
//! threads, and no more than `queued_max` wait; the rest are refused at once, with a hint.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{Error, Result};

/// How many statements run and wait.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionLimits {
    /// Statements that run at a time.
    pub running_max: usize,
    /// Statements that wait for a place.
    pub queued_max: usize,
    /// How long one waits before it is refused.
    pub wait_max: Duration,
}

/// The places and the queue before them.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: AdmissionLimits,
    places: Arc<Semaphore>,
    queued: Arc<AtomicUsize>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    _place: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits) -> Self {
        Self { limits, places: Arc::new(Semaphore::new(limits.running_max.max(1))), queued: Arc::default() }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// Overloaded: the queue is full, or no place came free in time.
    pub(crate) async fn enter(&self) -> Result<Admitted> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Admitted { _place: place });
        }
        let Some(_queued) = Queued::join(&self.queued, self.limits.queued_max) else {
            return Err(Error::overloaded(format!(
                "the server is busy: {} statements run and {} wait; try again later",
                self.limits.running_max, self.limits.queued_max
            )));
        };
        match timeout(self.limits.wait_max, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(Admitted { _place: place }),
            Ok(Err(_)) => Err(Error::shutting_down()),
            Err(_) => Err(Error::overloaded(format!(
                "the server is busy: no statement ended within {:?}; try again later",
                self.limits.wait_max
            ))),
        }
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.places.close();
    }

    /// Statements that run now.
    pub(crate) fn running(&self) -> usize {
        self.limits.running_max.max(1).saturating_sub(self.places.available_permits())
    }

    /// Statements that wait now.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}

/// A place in the queue, given back when dropped: a client that leaves while it waits frees it.
#[derive(Debug)]
struct Queued(Arc<AtomicUsize>);

impl Queued {
    fn join(queue: &Arc<AtomicUsize>, queued_max: usize) -> Option<Self> {
        let join = |waiting: usize| (waiting < queued_max).then_some(waiting + 1);
        queue.fetch_update(Ordering::Relaxed, Ordering::Relaxed, join).ok()?;
        Some(Self(Arc::clone(queue)))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Admission, AdmissionLimits};

    #[tokio::test]
    async fn refuses_what_is_more_than_runs_and_waits() {
        let limits = AdmissionLimits { running_max: 1, queued_max: 1, wait_max: Duration::from_millis(50) };
        let admission = Admission::new(limits);
        let first = admission.enter().await.unwrap();
        let (second, third) = futures::join!(admission.enter(), async {
            assert_eq!(admission.queued(), 1);
            let third = admission.enter().await;
            drop(first);
            third
        });
        assert!(second.is_ok());
        assert!(third.unwrap_err().to_string().contains("1 statements run and 1 wait"));
        let late = admission.enter().await.unwrap_err();
        assert!(late.to_string().contains("no statement ended within 50ms"), "{late}");
        drop(second);
        assert_eq!((admission.running(), admission.queued()), (0, 0));
        admission.close();
        assert!(admission.enter().await.is_err());
    }
}
