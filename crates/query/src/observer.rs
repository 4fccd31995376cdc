//! Watching and stopping a statement while it runs.

use std::fmt;

/// How far a statement has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<'a> {
    /// What is being done: `reading`, `writing`, `training` ..
    pub phase: &'a str,
    /// Rows done in this phase.
    pub rows_done: u64,
    /// The estimated number of rows of this phase, when something is known of it.
    pub rows_total: Option<u64>,
    /// The iteration reached and the most there can be, in training.
    pub iteration: Option<(u32, u32)>,
    /// The loss after that iteration.
    pub loss: Option<f64>,
    /// What a language model has read and written, where one is at work.
    pub tokens: Option<TokenProgress>,
}

/// The tokens of a language model's work so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenProgress {
    /// Tokens of prompts that were computed.
    pub prefilled: u64,
    /// Tokens of prompts that were there already, since another prompt begins with them.
    pub reused: u64,
    /// Tokens written.
    pub generated: u64,
    /// Of these in a second, on average.
    pub generated_per_s: f64,
    /// The estimated time until all rows are done.
    pub seconds_left: Option<f64>,
}

impl<'a> Progress<'a> {
    /// `rows_done` rows in `phase`, of an unknown number.
    pub const fn rows(phase: &'a str, rows_done: u64) -> Self {
        Self { phase, rows_done, rows_total: None, iteration: None, loss: None, tokens: None }
    }
}

/// Is told how far a statement has come, and asked whether it should go on.
///
/// Both are called often and from several threads: answer quickly.
pub trait Observer: Send + Sync + fmt::Debug {
    /// The statement has come this far.
    fn progress(&self, progress: Progress<'_>) {
        let _ = progress;
    }

    /// Whether the statement should stop. It stops soon, with nothing committed, unless its commit is under way: then it is
    /// done, and says so.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing and never cancels.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
