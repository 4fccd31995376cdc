//! The description of language models' paths: what of OpenAI's API this server takes and gives.

use serde_json::{Value, json};

use super::{answer, reference};

pub(super) fn paths() -> Value {
    json!({
        "/v1/chat/completions": { "post": operation(
            "createChatCompletion",
            "The next turn of a conversation; with 'stream', as server-sent events",
            "ChatRequest",
            "ChatCompletion",
        ) },
        "/v1/completions": { "post": operation(
            "createCompletion",
            "What follows a text; with 'stream', as server-sent events",
            "CompletionRequest",
            "Completion",
        ) },
        "/v1/embeddings": { "post": operation(
            "createEmbedding",
            "Vectors of texts, each of length 1",
            "EmbeddingRequest",
            "Embeddings",
        ) },
    })
}

fn operation(id: &str, summary: &str, request: &str, response: &str) -> Value {
    let mut answered = answer("The answer", response);
    if request != "EmbeddingRequest" {
        answered["content"]["text/event-stream"] = json!({ "schema": { "type": "string" } });
    }
    json!({
        "operationId": id,
        "summary": summary,
        "requestBody": { "required": true, "content": { "application/json": { "schema": reference(request) } } },
        "responses": { "200": answered, "default": {
            "description": "What was wrong, and what would be right",
            "content": { "application/json": { "schema": reference("OpenAIProblem") } },
        } },
    })
}

pub(super) fn schemas() -> Value {
    let mut chat = sampling();
    extend(&mut chat, chat_properties());
    let mut completion = sampling();
    extend(&mut completion, completion_properties());
    json!({
        "ChatRequest": request(&["model", "messages"], chat),
        "CompletionRequest": request(&["model", "prompt"], completion),
        "EmbeddingRequest": request(&["model", "input"], json!({
            "model": { "type": "string" },
            "input": { "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
            "encoding_format": { "enum": ["float", "base64"], "default": "float" },
            "dimensions": { "type": "integer", "description": "The model's own number" },
        })),
        "ChatCompletion": answered("chat.completion"),
        "Completion": answered("text_completion"),
        "Embeddings": {
            "type": "object",
            "required": ["object", "data", "model", "usage"],
            "properties": {
                "object": { "const": "list" },
                "data": { "type": "array", "items": {
                    "type": "object",
                    "required": ["object", "index", "embedding"],
                    "properties": {
                        "object": { "const": "embedding" },
                        "index": { "type": "integer" },
                        "embedding": { "oneOf": [{ "type": "array", "items": { "type": "number" } }, { "type": "string" }] },
                    },
                } },
                "model": { "type": "string" },
                "usage": reference("Usage"),
            },
        },
        "LanguageModel": language_model(),
        "Usage": usage(),
        "OpenAIProblem": problem(),
    })
}

/// Parameters that chat and plain completions have in common.
fn sampling() -> Value {
    let bounded = |low: f64, high: f64, usual: f64| json!({ "type": ["number", "null"], "minimum": low, "maximum": high, "default": usual });
    let count = |low: i64| json!({ "type": ["integer", "null"], "minimum": low });
    json!({
        "model": { "type": "string", "examples": ["smollm2"] },
        "max_tokens": count(0),
        "max_completion_tokens": count(0),
        "min_tokens": count(0),
        "temperature": bounded(0.0, 2.0, 1.0),
        "top_p": bounded(0.0, 1.0, 1.0),
        "top_k": count(-1),
        "min_p": bounded(0.0, 1.0, 0.0),
        "presence_penalty": bounded(-2.0, 2.0, 0.0),
        "frequency_penalty": bounded(-2.0, 2.0, 0.0),
        "repetition_penalty": { "type": ["number", "null"], "exclusiveMinimum": 0, "default": 1 },
        "logit_bias": { "type": ["object", "null"], "additionalProperties": { "type": "number" } },
        "seed": { "type": ["integer", "null"] },
        "stop": { "oneOf": [{ "type": ["string", "null"] }, { "type": "array", "maxItems": 16, "items": { "type": "string" } }] },
        "stop_token_ids": { "type": ["array", "null"], "items": { "type": "integer" } },
        "ignore_eos": { "type": ["boolean", "null"] },
        "skip_special_tokens": { "type": ["boolean", "null"], "default": true },
        "n": { "type": ["integer", "null"], "minimum": 1, "maximum": 128, "default": 1 },
        "priority": { "type": ["integer", "null"], "minimum": 0, "maximum": 100, "description": "Lower goes first" },
        "speculation": { "type": ["boolean", "null"], "default": true, "description": "Whether the engine may guess ahead" },
        "stream": { "type": ["boolean", "null"], "default": false },
        "stream_options": { "type": ["object", "null"], "properties": { "include_usage": { "type": "boolean" } } },
        "response_format": { "type": ["object", "null"], "properties": {
            "type": { "enum": ["text", "json_object", "json_schema"] },
            "json_schema": { "type": "object" },
        } },
        "structured_outputs": { "type": ["object", "null"], "description": "One of them", "properties": {
            "json": {},
            "regex": { "type": "string" },
            "choice": { "type": "array", "items": { "type": "string" } },
            "grammar": { "type": "string", "description": "Lark" },
        } },
    })
}

fn chat_properties() -> Value {
    json!({
        "messages": { "type": "array", "minItems": 1, "items": {
            "type": "object",
            "required": ["role"],
            "properties": {
                "role": { "enum": ["system", "developer", "user", "assistant", "tool"] },
                "content": { "type": ["string", "array", "null"] },
                "name": { "type": "string" },
                "tool_calls": { "type": "array", "items": { "type": "object" } },
                "tool_call_id": { "type": "string" },
            },
        } },
        "tools": { "type": ["array", "null"], "maxItems": 128, "items": { "type": "object" } },
        "tool_choice": { "oneOf": [{ "enum": ["none", "auto", "required", null] }, { "type": "object" }] },
        "parallel_tool_calls": { "type": ["boolean", "null"] },
        "logprobs": { "type": ["boolean", "null"] },
        "top_logprobs": { "type": ["integer", "null"], "minimum": 0, "maximum": 20 },
        "chat_template_kwargs": { "type": ["object", "null"] },
    })
}

fn completion_properties() -> Value {
    json!({
        "prompt": { "description": "A text, texts, token ids, or lists of them", "type": ["string", "array"] },
        "echo": { "type": ["boolean", "null"] },
        "logprobs": { "type": ["integer", "null"], "minimum": 0, "maximum": 20 },
        "best_of": { "type": ["integer", "null"], "description": "As 'n'" },
    })
}

fn request(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn answered(object: &str) -> Value {
    json!({
        "type": "object",
        "required": ["id", "object", "created", "model", "choices", "usage"],
        "properties": {
            "id": { "type": "string" },
            "object": { "const": object },
            "created": { "type": "integer" },
            "model": { "type": "string" },
            "system_fingerprint": { "type": "string" },
            "choices": { "type": "array", "items": { "type": "object" } },
            "usage": reference("Usage"),
        },
    })
}

fn usage() -> Value {
    json!({
        "type": "object",
        "required": ["prompt_tokens", "total_tokens"],
        "properties": {
            "prompt_tokens": { "type": "integer" },
            "completion_tokens": { "type": "integer" },
            "total_tokens": { "type": "integer" },
            "prompt_tokens_details": { "type": "object", "properties": { "cached_tokens": { "type": "integer" } } },
        },
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": { "type": "string" },
                "type": { "type": "string", "examples": ["invalid_request_error"] },
                "param": { "type": ["string", "null"] },
                "code": { "type": ["string", "null"] },
            },
        } },
    })
}

fn extend(all: &mut Value, more: Value) {
    if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
        all.extend(more);
    }
}

/// The language models in the list of models.
pub(super) fn list() -> Value {
    json!({
        "type": "array",
        "description": "Language models and encoders, as clients of OpenAI's API list them",
        "items": reference("LanguageModel"),
    })
}

fn language_model() -> Value {
    json!({
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {
            "id": { "type": "string" },
            "object": { "const": "model" },
            "created": { "type": "integer" },
            "owned_by": { "type": "string" },
            "name": { "type": "string" },
            "version": { "type": ["integer", "null"] },
            "type": { "enum": ["LANGUAGE_MODEL", "EMBEDDING_MODEL"] },
            "source": { "type": "string" },
        },
    })
}
