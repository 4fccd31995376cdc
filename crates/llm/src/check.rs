//! What is checked of a request before it may wait.
//!
//! Here is all that needs no engine, so that callers' threads do it and the engine's thread only runs models.

use std::sync::Arc;

use crate::block::BlockName;
use crate::guidance::{Guide, Guides};
use crate::queue::{Queue, Seat};
use crate::{EngineOptions, Error, Request, RequestId, Result, Sampling, Vocabulary};

/// What an engine can take.
#[derive(Debug)]
pub(crate) struct Checker {
    pub(crate) guides: Guides,
    /// Tokens of the vocabulary.
    pub(crate) vocabulary: usize,
    /// The most tokens of a sequence, by the context and by the blocks.
    pub(crate) tokens_max: usize,
    /// Which of the two it is.
    pub(crate) limited_by: &'static str,
    pub(crate) sequences_max: usize,
    pub(crate) queue: Arc<Queue>,
}

/// A request that can be served, with its place in the queue.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) id: RequestId,
    pub(crate) seat: Seat,
    pub(crate) request: Arc<Request>,
    pub(crate) guide: Option<Guide>,
    pub(crate) names: Vec<BlockName>,
    /// The most tokens that a sequence of it may have.
    pub(crate) tokens_max: usize,
}

impl Checker {
    /// `slots` is how many tokens the blocks can hold.
    pub(crate) fn new(vocabulary: &Arc<dyn Vocabulary>, context: usize, slots: usize, options: &EngineOptions) -> Self {
        let sequences_max = options.sequences_max.min(options.step_tokens);
        let limited_by = if context <= slots { "the model's context" } else { "the memory for keys and values" };
        Self {
            guides: Guides::new(Arc::clone(vocabulary)),
            vocabulary: vocabulary.size(),
            tokens_max: context.min(slots),
            limited_by,
            sequences_max,
            queue: Arc::new(Queue::new(options.waiting_max, sequences_max)),
        }
    }

    /// # Errors
    /// Exhausted where the queue is full; invalid where the request cannot be served: names the parameter and what
    /// would be right.
    pub(crate) fn check(&self, request: Request) -> Result<Checked> {
        // First, because it costs nothing: an overloaded service must refuse cheaply.
        let (id, seat) = self.queue.sit()?;
        self.check_prompt(&request)?;
        check_sampling(&request.sampling, self.vocabulary)?;
        self.check_rest(&request)?;
        let guide = request.guidance.as_ref().map(|guidance| self.guides.compile(guidance)).transpose()?;
        let mut names = Vec::new();
        BlockName::extend(&mut names, request.cache_scope, &request.prompt);
        let wanted = request.prompt.len().saturating_add(request.max_tokens.unwrap_or(usize::MAX));
        Ok(Checked { id, seat, guide, names, tokens_max: wanted.min(self.tokens_max), request: Arc::new(request) })
    }

    fn check_prompt(&self, request: &Request) -> Result<()> {
        let wrong = |message: String| Err(Error::parameter("prompt", message));
        let tokens = request.prompt.len();
        if tokens == 0 {
            return wrong("the prompt has no token; give at least one".to_owned());
        }
        let room = if request.max_tokens == Some(0) { 0 } else { 1 };
        if tokens + room > self.tokens_max {
            let (most, by) = (self.tokens_max - room, self.limited_by);
            return wrong(format!("the prompt has {tokens} tokens; {by} allows at most {most}"));
        }
        if let Some((at, token)) =
            request.prompt.iter().enumerate().find(|(_, token)| **token as usize >= self.vocabulary)
        {
            let most = self.vocabulary - 1;
            return wrong(format!(
                "token {token} at {at} of the prompt is not in the vocabulary, which ends at {most}"
            ));
        }
        Ok(())
    }

    fn check_rest(&self, request: &Request) -> Result<()> {
        let wrong = |parameter, message: String| Err(Error::parameter(parameter, message));
        let most = Request::N_MAX.min(self.sequences_max);
        if request.n == 0 || request.n > most {
            return wrong("n", format!("n is {}; it must be from 1 to {most}", request.n));
        }
        if request.stop.len() > Request::STOPS_MAX {
            let count = request.stop.len();
            return wrong("stop", format!("{count} stop texts were given; at most {} are allowed", Request::STOPS_MAX));
        }
        if let Some(stop) = request.stop.iter().find(|stop| stop.is_empty() || stop.len() > Request::STOP_BYTES_MAX) {
            let (bytes, most) = (stop.len(), Request::STOP_BYTES_MAX);
            return wrong("stop", format!("a stop text has {bytes} bytes; it must have from 1 to {most}"));
        }
        for (name, asked) in [
            ("log_probabilities", request.log_probabilities),
            ("prompt_log_probabilities", request.prompt_log_probabilities),
        ] {
            if let Some(asked) = asked.filter(|asked| *asked > Request::LOG_PROBABILITIES_MAX) {
                let most = Request::LOG_PROBABILITIES_MAX;
                return wrong(
                    name,
                    format!("{asked} most probable tokens were asked for; at most {most} are reported"),
                );
            }
        }
        if request.priority.abs() > Request::PRIORITY_MAX {
            let (priority, most) = (request.priority, Request::PRIORITY_MAX);
            return wrong("priority", format!("priority is {priority}; it must be from -{most} to {most}"));
        }
        if request.guidance.is_some() && (request.min_tokens > 0 || request.ignore_end) {
            let name = if request.ignore_end { "ignore_end" } else { "min_tokens" };
            return wrong(name, format!("{name} cannot be combined with guidance, which says itself where to end"));
        }
        Ok(())
    }
}

/// Checks the ranges of [`Sampling`].
fn check_sampling(sampling: &Sampling, vocabulary: usize) -> Result<()> {
    let ranges = [
        ("temperature", sampling.temperature, 0.0, 100.0),
        ("top_p", sampling.top_p, f32::MIN_POSITIVE, 1.0),
        ("min_p", sampling.min_p, 0.0, 1.0),
        ("repetition_penalty", sampling.repetition_penalty, 0.01, 100.0),
        ("presence_penalty", sampling.presence_penalty, -2.0, 2.0),
        ("frequency_penalty", sampling.frequency_penalty, -2.0, 2.0),
    ];
    for (name, value, least, most) in ranges {
        // Not the same as `value < least || value > most`: NaN is refused too.
        if !(least..=most).contains(&value) {
            let least = if name == "top_p" { "above 0".to_owned() } else { format!("from {least}") };
            return Err(Error::parameter(name, format!("{name} is {value}; it must be {least} to {most}")));
        }
    }
    let count = sampling.logit_bias.len();
    if count > Sampling::LOGIT_BIASES_MAX {
        let most = Sampling::LOGIT_BIASES_MAX;
        return Err(Error::parameter(
            "logit_bias",
            format!("{count} logit biases were given; at most {most} are allowed"),
        ));
    }
    for (token, bias) in &sampling.logit_bias {
        if *token as usize >= vocabulary || !(-100.0..=100.0).contains(bias) {
            let what = format!("the logit bias {bias} of token {token} is not allowed");
            let right = format!("tokens must be below {vocabulary} and biases from -100 to 100");
            return Err(Error::parameter("logit_bias", format!("{what}; {right}")));
        }
    }
    Ok(())
}
