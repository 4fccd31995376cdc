//! The engine: one step at a time over everything that runs.

use std::sync::Arc;

use lakemill_base::Clock;

use crate::{EngineOptions, Error, Event, Request, RequestId, Result, Runner, Statistics, Vocabulary};

/// Runs requests over a model, one step at a time.
pub struct Engine {
    _runner: Box<dyn Runner>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over `runner`, whose tokens are those of `vocabulary`.
    ///
    /// # Errors
    /// An option is of no use, or the runner has no block.
    pub fn new(
        runner: Box<dyn Runner>,
        _vocabulary: Arc<dyn Vocabulary>,
        options: EngineOptions,
        _clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        options.check()?;
        Ok(Self { _runner: runner })
    }

    /// Takes a request into the queue.
    ///
    /// # Errors
    /// Invalid where the request cannot be served as it is; exhausted where the queue is full.
    pub fn submit(&mut self, _request: Request) -> Result<RequestId> {
        Err(Error::internal("not yet"))
    }

    /// Ends a request; its blocks are free at once. Its events come with the next step. Unknown ids are ignored.
    pub fn cancel(&mut self, _id: RequestId) {}

    /// Makes one step and appends what happened. Returns whether there is more to do.
    ///
    /// # Errors
    /// Only a bug of the engine; an error of the model fails the requests of the step.
    pub fn step(&mut self, _events: &mut Vec<Event>) -> Result<bool> {
        Ok(false)
    }

    /// Counts and times so far.
    pub fn statistics(&self) -> Statistics {
        Statistics::new()
    }

    /// Checks that every block is accounted for: to be called at any time, in tests after each step.
    ///
    /// # Errors
    /// Says which count does not add up.
    pub fn check_invariants(&self) -> Result<()> {
        Ok(())
    }
}
