//! One sequence: a prompt and the answer that grows behind it.

use std::sync::Arc;

use lakemill_model::BLOCK_TOKENS;

use crate::block::BlockName;
use crate::guidance::Guide;
use crate::sampling::Sampler;
use crate::speculation::Drafter;
use crate::stop::StopText;
use crate::{Request, RequestId, TokenLogProbability};

/// The number of a sequence within one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SequenceId(pub(crate) u64);

/// Where a sequence stands among all: earlier ones are served first, later ones lose their blocks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The time of arrival in milliseconds, shifted by the priority.
    pub(crate) order: i64,
    pub(crate) id: SequenceId,
}

/// A choice of a request.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) place: Place,
    pub(crate) group: RequestId,
    pub(crate) request: Arc<Request>,
    pub(crate) choice: usize,
    /// Choices that will branch off when the prompt is computed; 0 once they have.
    pub(crate) branches: usize,

    /// The prompt and the answer so far.
    pub(crate) tokens: Vec<u32>,
    /// The most tokens that it may have.
    pub(crate) tokens_max: usize,
    /// How many of the tokens have their keys and values in the blocks: all but the last while it generates.
    pub(crate) computed: usize,
    /// Block `i` holds the positions `i * BLOCK_TOKENS..(i + 1) * BLOCK_TOKENS`.
    pub(crate) table: Vec<u32>,
    /// The names of the full blocks of `tokens`.
    pub(crate) names: Vec<BlockName>,
    /// How many blocks of the table have been published under their names.
    pub(crate) published: usize,

    pub(crate) sampler: Sampler,
    pub(crate) guide: Option<Guide>,
    pub(crate) drafter: Drafter,
    pub(crate) stop: StopText,
    /// What is reported with the next event.
    pub(crate) report: Report,
}

/// What of an answer has not been reported yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) tokens: Vec<u32>,
    pub(crate) log_probabilities: Vec<TokenLogProbability>,
    /// Of `tokens`, those of the last step.
    pub(crate) fresh: usize,
    /// When tokens came last, in the clock's milliseconds.
    pub(crate) last_ms: Option<i64>,
}

impl Sequence {
    /// Tokens whose keys and values are still to be computed.
    pub(crate) fn pending(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Tokens of the answer.
    pub(crate) fn generated(&self) -> usize {
        self.tokens.len() - self.request.prompt.len()
    }

    /// How many leading blocks may be taken from the cache: the last token must be computed, for its logits.
    pub(crate) fn reusable_blocks(&self) -> usize {
        if self.request.prompt_log_probabilities.is_some() { 0 } else { (self.tokens.len() - 1) / BLOCK_TOKENS }
    }

    /// Blocks that its tokens fill, the last one in part.
    pub(crate) fn blocks_needed(&self) -> usize {
        self.tokens.len().div_ceil(BLOCK_TOKENS)
    }

    /// Running sequences that it stands for.
    pub(crate) fn slots(&self) -> usize {
        1 + self.branches
    }
}
