//! A request within the engine: what its choices have in common.

use crate::queue::Seat;
use crate::scheduler::Sequences;
use crate::sequence::SequenceId;
use crate::{Request, TokenLogProbability, Usage};

/// A request and its choices.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) seed: u64,
    /// Its place in the queue until it first runs.
    seat: Option<Seat>,
    pub(super) arrived_ms: i64,
    pub(super) first_token_seen: bool,
    /// Its sequences, ended ones included.
    pub(super) members: Vec<SequenceId>,
    /// Choices that have not ended, those included that have not branched off yet.
    pub(super) live: usize,
    pub(super) usage: Usage,
    pub(super) prompt_report: Vec<TokenLogProbability>,
}

impl Group {
    pub(super) fn new(request: &Request, seed: u64, seat: Seat, now_ms: i64, first: SequenceId) -> Self {
        Self {
            seed,
            seat: Some(seat),
            arrived_ms: now_ms,
            first_token_seen: false,
            members: vec![first],
            live: request.n,
            usage: Usage { prompt_tokens: request.prompt.len(), ..Usage::default() },
            prompt_report: Vec::new(),
        }
    }

    /// Notes that it runs, with so many tokens from the cache. True the first time.
    pub(super) fn start(&mut self, cached: usize) -> bool {
        let first = self.seat.take().is_some();
        if first {
            self.usage.cached_tokens = cached;
        }
        first
    }

    /// Choices that have not branched off yet.
    pub(super) fn unborn(&self, sequences: &Sequences) -> usize {
        self.members.iter().filter_map(|id| sequences.get(id)).map(|sequence| sequence.branches).sum()
    }
}
