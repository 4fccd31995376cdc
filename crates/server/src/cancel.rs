//! Stopping a statement: its client says so, its time is up, or the server shuts down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use lakemill_query::Observer;

use crate::error::Error;

/// Why a statement was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// The client asked.
    Client = 1,
    /// It ran longer than statements may.
    Time = 2,
    /// The server stops.
    Shutdown = 3,
}

/// Set once, seen by all clones and by the statement that it is the observer of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancel(Arc<AtomicU8>);

impl Cancel {
    /// Stops the statement; the first reason counts.
    pub(crate) fn set(&self, reason: Reason) {
        let _ = self.0.compare_exchange(0, reason as u8, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Why it was stopped, if it was.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Reason::Client),
            2 => Some(Reason::Time),
            _ => Some(Reason::Shutdown),
        }
    }

    /// The error of a statement, by why it was stopped where it was.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match self.reason() {
            Some(reason) if error.kind() == lakemill_base::ErrorKind::Unavailable => Error::stopped(reason, error),
            _ => error,
        }
    }
}

impl Observer for Cancel {
    fn is_cancelled(&self) -> bool {
        self.reason().is_some()
    }
}
