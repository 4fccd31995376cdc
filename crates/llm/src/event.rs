//! What the engine reports.

use crate::Error;

/// The number of a request within one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// The log-probability of a token under the model, before bias, penalties, temperature and guidance.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogProbability {
    /// The token.
    pub token: u32,
    /// Its natural log-probability, at most 0.
    pub log_probability: f32,
    /// How many tokens are more probable.
    pub rank: usize,
    /// The most probable tokens with their log-probabilities, best first, lower ids first among equals.
    pub top: Vec<(u32, f32)>,
}

/// Why a choice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model ended it, a stop text or token came, or guidance allows nothing more.
    Stop,
    /// `max_tokens` or the model's context is used up.
    Length,
    /// The caller cancelled it.
    Cancelled,
    /// The engine failed; [`Event::Failed`] tells how.
    Error,
}

impl FinishReason {
    /// The word that OpenAI's API and vLLM's metrics use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Cancelled => "abort",
            Self::Error => "error",
        }
    }
}

/// What a request has used, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, counted once whatever `n` is.
    pub prompt_tokens: usize,
    /// Of these, tokens whose keys and values were reused from earlier requests.
    pub cached_tokens: usize,
    /// Tokens of all answers, ends of text included.
    pub generated_tokens: usize,
    /// Tokens that were guessed ahead.
    pub drafted_tokens: usize,
    /// Of these, tokens that the model confirmed.
    pub accepted_tokens: usize,
}

/// One thing that happened to a request. For each request: perhaps `Prompt`, then `Tokens` of its choices in any
/// interleaving, a `Finished` for each choice, and at last `Completed` or `Failed`, after which nothing comes.
#[derive(Clone, Debug)]
pub enum Event {
    /// The log-probabilities of the prompt's tokens from the second on, where asked for.
    Prompt {
        /// The request.
        id: RequestId,
        /// One for each token of the prompt but the first.
        log_probabilities: Vec<TokenLogProbability>,
    },
    /// A choice has grown.
    Tokens {
        /// The request.
        id: RequestId,
        /// The choice, from 0.
        choice: usize,
        /// The text that is settled by now: whole characters, and nothing that may become a stop text. It may lag
        /// behind `tokens`.
        text: String,
        /// The new tokens.
        tokens: Vec<u32>,
        /// One for each of `tokens` where asked for, else empty.
        log_probabilities: Vec<TokenLogProbability>,
    },
    /// A choice has ended.
    Finished {
        /// The request.
        id: RequestId,
        /// The choice, from 0.
        choice: usize,
        /// Why.
        reason: FinishReason,
        /// The stop text that ended it, if one did.
        stop: Option<String>,
    },
    /// All choices have ended.
    Completed {
        /// The request.
        id: RequestId,
        /// What it used.
        usage: Usage,
    },
    /// The request has failed; its choices get no more events.
    Failed {
        /// The request.
        id: RequestId,
        /// How.
        error: Error,
    },
}

impl Event {
    /// The request that it happened to.
    pub const fn id(&self) -> RequestId {
        match self {
            Self::Prompt { id, .. }
            | Self::Tokens { id, .. }
            | Self::Finished { id, .. }
            | Self::Completed { id, .. }
            | Self::Failed { id, .. } => *id,
        }
    }

    /// Whether it is the request's last event.
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Failed { .. })
    }
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Its text.
    pub text: String,
    /// Its tokens, the ending one included.
    pub tokens: Vec<u32>,
    /// One for each of `tokens` where asked for, else empty.
    pub log_probabilities: Vec<TokenLogProbability>,
    /// Why it ended; `None` until it has.
    pub reason: Option<FinishReason>,
    /// The stop text that ended it, if one did.
    pub stop: Option<String>,
}

/// All that a request has answered: its events put together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// The answers, by choice.
    pub choices: Vec<Choice>,
    /// The log-probabilities of the prompt's tokens from the second on, where asked for.
    pub prompt_log_probabilities: Vec<TokenLogProbability>,
    /// What it used.
    pub usage: Usage,
}

impl Completion {
    /// Takes in one event.
    ///
    /// # Errors
    /// The error of [`Event::Failed`].
    pub fn push(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Prompt { log_probabilities, .. } => self.prompt_log_probabilities = log_probabilities,
            Event::Tokens { choice, text, tokens, log_probabilities, .. } => {
                let choice = self.choice(choice);
                choice.text.push_str(&text);
                choice.tokens.extend(tokens);
                choice.log_probabilities.extend(log_probabilities);
            }
            Event::Finished { choice, reason, stop, .. } => {
                let choice = self.choice(choice);
                choice.reason = Some(reason);
                choice.stop = stop;
            }
            Event::Completed { usage, .. } => self.usage = usage,
            Event::Failed { error, .. } => return Err(error),
        }
        Ok(())
    }

    fn choice(&mut self, index: usize) -> &mut Choice {
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Choice::default);
        }
        &mut self.choices[index]
    }
}
