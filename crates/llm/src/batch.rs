//! Running a known list of requests in the best order.

use crate::{Completion, Error, Request, Result, Service};

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
pub fn generate_all(_service: &Service, _requests: Vec<Request>, _observer: &mut dyn Observer) -> Result<Progress> {
    Err(Error::internal("not yet"))
}
