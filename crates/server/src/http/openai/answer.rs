//! What answers of chat and of plain completions have in common: usage, log-probabilities, why they ended, and the head.

use lakemill_llm::{FinishReason, TokenLogProbability, Usage};
use lakemill_model::tokenizer::Tokenizer;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What stands for the logarithm of nothing, which JSON cannot write; OpenAI's number.
const IMPOSSIBLE: f32 = -9999.0;

/// What every answer, and every part of a stream, begins with.
#[derive(Clone, Debug)]
pub(super) struct Head {
    id: String,
    object: &'static str,
    created: i64,
    pub(super) model: String,
}

impl Head {
    /// The head of an answer whose name begins with `kind` (`chatcmpl`).
    pub(super) fn new(kind: &str, object: &'static str, created_ms: i64, model: &str) -> Self {
        let id = format!("{kind}-{}", Uuid::now_v7().simple());
        Self { id, object, created: created_ms.div_euclid(1000), model: model.to_owned() }
    }

    /// An answer, or a part of one.
    pub(super) fn body(&self, choices: Vec<Value>, usage: Option<Value>) -> Value {
        let mut body = json!({
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": concat!("lakemill-", env!("CARGO_PKG_VERSION")),
            "choices": choices,
        });
        if let Some(usage) = usage {
            body["usage"] = usage;
        }
        body
    }
}

/// Tokens that were read and made.
pub(super) fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.generated_tokens,
        "total_tokens": usage.prompt_tokens + usage.generated_tokens,
        "prompt_tokens_details": { "cached_tokens": usage.cached_tokens },
    })
}

/// The usage of several prompts together.
pub(super) fn add(sum: &mut Usage, other: &Usage) {
    sum.prompt_tokens += other.prompt_tokens;
    sum.cached_tokens += other.cached_tokens;
    sum.generated_tokens += other.generated_tokens;
    sum.drafted_tokens += other.drafted_tokens;
    sum.accepted_tokens += other.accepted_tokens;
}

/// Why an answer ended, in OpenAI's words.
pub(super) const fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "length",
        // The others end the whole request, with an error.
        FinishReason::Stop | FinishReason::Cancelled | FinishReason::Error => "stop",
    }
}

/// The text of a token; bytes that are no UTF-8 become U+FFFD.
pub(super) fn token_text(tokenizer: &Tokenizer, token: u32) -> String {
    String::from_utf8_lossy(&tokenizer.token_bytes(token)).into_owned()
}

fn finite(log_probability: f32) -> f32 {
    if log_probability.is_finite() { log_probability } else { IMPOSSIBLE }
}

/// Log-probabilities as chat has them: a list with an object for each token.
pub(super) fn chat_log_probabilities(tokenizer: &Tokenizer, tokens: &[TokenLogProbability]) -> Vec<Value> {
    let object = |token: u32, log_probability: f32| {
        json!({
            "token": token_text(tokenizer, token),
            "logprob": finite(log_probability),
            "bytes": tokenizer.token_bytes(token),
        })
    };
    let entry = |token: &TokenLogProbability| {
        let mut entry = object(token.token, token.log_probability);
        entry["top_logprobs"] = token.top.iter().map(|(token, value)| object(*token, *value)).collect();
        entry
    };
    tokens.iter().map(entry).collect()
}

/// Log-probabilities as plain completions have them: four lists of the same length.
#[derive(Debug, Default)]
pub(super) struct Columns {
    tokens: Vec<Value>,
    token_log_probabilities: Vec<Value>,
    top_log_probabilities: Vec<Value>,
    text_offsets: Vec<Value>,
}

impl Columns {
    /// Adds a token that nothing comes before, so that it has no probability.
    pub(super) fn first(&mut self, tokenizer: &Tokenizer, token: u32, offset: &mut usize) {
        self.add(token_text(tokenizer, token), Value::Null, Value::Null, offset);
    }

    /// Adds tokens; `offset` is where the first begins in the text, in characters, and moves on.
    pub(super) fn extend(&mut self, tokenizer: &Tokenizer, tokens: &[TokenLogProbability], offset: &mut usize) {
        for token in tokens {
            let mut top: Map<String, Value> = Map::new();
            let sampled = (token.token, token.log_probability);
            // What was sampled is among them, as OpenAI has it. The best of equal texts counts.
            for (token, value) in token.top.iter().chain([&sampled]) {
                top.entry(token_text(tokenizer, *token)).or_insert_with(|| finite(*value).into());
            }
            let value = finite(token.log_probability).into();
            self.add(token_text(tokenizer, token.token), value, Value::Object(top), offset);
        }
    }

    fn add(&mut self, text: String, log_probability: Value, top: Value, offset: &mut usize) {
        self.text_offsets.push((*offset).into());
        *offset += text.chars().count();
        self.tokens.push(text.into());
        self.token_log_probabilities.push(log_probability);
        self.top_log_probabilities.push(top);
    }

    pub(super) fn json(self) -> Value {
        json!({
            "tokens": self.tokens,
            "token_logprobs": self.token_log_probabilities,
            "top_logprobs": self.top_log_probabilities,
            "text_offset": self.text_offsets,
        })
    }
}
