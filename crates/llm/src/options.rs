//! How an engine runs.

use crate::{Error, Result};

/// Settings of an engine. None of them changes an answer, only when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// The most sequences that run together; each choice of a request is one.
    pub sequences_max: usize,
    /// The most requests that wait; further ones are refused as exhausted.
    pub waiting_max: usize,
    /// The most tokens of one step, prompts and answers together. More is faster over all, less lets running answers
    /// wait less for the prompts of others.
    pub step_tokens: usize,
    /// Whether blocks of equal prefixes are reused.
    pub prefix_cache: bool,
    /// The most tokens guessed ahead for a sequence by prompt look-up; 0: none.
    pub draft_tokens: usize,
    /// The seed of requests that bring none, with a count added.
    pub seed: u64,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            sequences_max: 64,
            waiting_max: 1024,
            // A third of a second of prefill on two cores of a server, at 1,500 tokens a second.
            step_tokens: 512,
            prefix_cache: true,
            draft_tokens: 4,
            seed: 0,
        }
    }
}

impl EngineOptions {
    /// Refuses settings under which nothing could run.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [
            ("sequences_max", self.sequences_max),
            ("waiting_max", self.waiting_max),
            ("step_tokens", self.step_tokens),
        ] {
            if value == 0 {
                return Err(Error::invalid(format!("option '{name}' is 0; it must be at least 1")));
            }
        }
        Ok(())
    }
}
