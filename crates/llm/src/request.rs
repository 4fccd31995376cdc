//! What a caller asks for.

/// How the next token is chosen from the model's logits.
///
/// In this order: logit bias, penalties, temperature, min-p, top-k, top-p, as vLLM has it. The random number of a
/// token depends on the seed, the choice and the position alone, never on what else runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0: always the most probable token, the lowest id among equals. Else logits are divided by it; at most 100.
    pub temperature: f32,
    /// Only the k most probable tokens are drawn from; 0: all.
    pub top_k: usize,
    /// Only the fewest tokens whose probabilities reach this sum are drawn from (Holtzman et al., "The Curious Case of
    /// Neural Text Degeneration", 2020); in (0, 1], 1: all.
    pub top_p: f32,
    /// Only tokens at least this fraction as probable as the most probable one are drawn from (Nguyen et al., "Turning
    /// Up the Heat: Min-p Sampling", 2024); in [0, 1], 0: all.
    pub min_p: f32,
    /// Logits of tokens in the prompt or the answer are divided (positive) or multiplied (negative) by it (Keskar et
    /// al., "CTRL", 2019); above 0, 1: none.
    pub repetition_penalty: f32,
    /// Taken from the logits of tokens in the answer; in [-2, 2], as OpenAI has it.
    pub presence_penalty: f32,
    /// Taken from the logits of tokens in the answer for each time that they occur; in [-2, 2], as OpenAI has it.
    pub frequency_penalty: f32,
    /// Added to the logits of single tokens; in [-100, 100] each, no more than
    /// [`LOGIT_BIASES_MAX`](Sampling::LOGIT_BIASES_MAX).
    pub logit_bias: Vec<(u32, f32)>,
    /// Equal seeds give equal answers. Without one the engine takes the next of its own.
    pub seed: Option<u64>,
}

impl Sampling {
    /// The most logit biases of one request, which OpenAI's limit equals.
    pub const LOGIT_BIASES_MAX: usize = 300;

    /// Always the most probable token.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Whether equal prompts give equal answers under this: it is greedy, or has a seed.
    pub fn is_deterministic(&self) -> bool {
        self.temperature == 0.0 || self.seed.is_some()
    }
}

impl Default for Sampling {
    /// Draws from the model's own distribution: temperature 1, no filter, no penalty.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

/// What an answer must look like. Only tokens that keep it possible are sampled, so an answer that ends by itself is
/// always valid; one cut off by `max_tokens` is a valid beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Guidance {
    /// A JSON value valid against this JSON Schema (the text of it).
    JsonSchema(String),
    /// Any JSON object.
    JsonObject,
    /// A text that matches the whole regular expression, in Rust's syntax.
    Regex(String),
    /// A text of this grammar in llguidance's dialect of Lark.
    Lark(String),
    /// One of these texts, letter for letter.
    Choice(Vec<String>),
}

/// A prompt and what to do with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The tokens of the prompt, special ones included; at least one.
    pub prompt: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The most tokens of an answer; cut to what the model's context leaves. `None`: up to the context.
    pub max_tokens: Option<usize>,
    /// Ends of text are not sampled before this many tokens.
    pub min_tokens: usize,
    /// An answer ends before the first of these texts; at most [`STOPS_MAX`](Request::STOPS_MAX), none of them empty.
    pub stop: Vec<String>,
    /// An answer ends before any of these tokens, in addition to the model's own ends.
    pub stop_tokens: Vec<u32>,
    /// Go on past the model's end of text, for measurements.
    pub ignore_end: bool,
    /// Whether special tokens are part of the text.
    pub special_text: bool,
    /// How many answers; their prompt is computed and stored once.
    pub n: usize,
    /// Report the log-probability of each sampled token and of this many most probable ones.
    pub log_probabilities: Option<usize>,
    /// Report the same for the prompt's tokens. Nothing is reused from other requests then.
    pub prompt_log_probabilities: Option<usize>,
    /// Lower runs earlier, as vLLM has it; in [-100, 100]. One step is worth a second of waiting, so that nobody
    /// waits for ever.
    pub priority: i32,
    /// What the answer must look like.
    pub guidance: Option<Guidance>,
    /// Requests share blocks of equal prefixes only within a scope: give tenants different ones, and none can learn
    /// from the time to its first token what another has asked.
    pub cache_scope: u64,
    /// Whether to report tokens as they come; otherwise all of a choice's tokens come in one event at its end.
    pub stream: bool,
    /// Whether the engine may try drafts, which changes nothing but the speed.
    pub speculation: bool,
}

impl Request {
    /// The most stop texts of one request (OpenAI's limit is 4).
    pub const STOPS_MAX: usize = 16;
    /// The longest stop text in bytes: so much of an answer may be held back.
    pub const STOP_BYTES_MAX: usize = 1024;
    /// The most answers of one request (OpenAI's limit).
    pub const N_MAX: usize = 128;
    /// The most probable tokens that are reported beside each token (OpenAI's limit is 20).
    pub const LOG_PROBABILITIES_MAX: usize = 20;
    /// The bound of `priority` on both sides.
    pub const PRIORITY_MAX: i32 = 100;

    /// One answer to `prompt` with [`Sampling::default`], without streaming.
    pub fn new(prompt: Vec<u32>) -> Self {
        Self {
            prompt,
            sampling: Sampling::default(),
            max_tokens: None,
            min_tokens: 0,
            stop: Vec::new(),
            stop_tokens: Vec::new(),
            ignore_end: false,
            special_text: false,
            n: 1,
            log_probabilities: None,
            prompt_log_probabilities: None,
            priority: 0,
            guidance: None,
            cache_scope: 0,
            stream: false,
            speculation: true,
        }
    }
}
