//! OpenAI's API over the language models: `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings` and what
//! `/v1/models` says of them.
//!
//! - `chat`, `completions`, `embeddings`: one file for each path;
//! - `parameters`, `sampling`, `prompt`, `tools`: what requests say; `answer`, `running`: what they get, at once or as
//!   events; `problem`: errors in OpenAI's shape;
//! - `models`: from a name to an engine; `list`: the entries of `/v1/models`.
//!
//! Not here: what the engine does with a request (`llm`), and which models there are (`query::language`).
//!
//! **Architecture invariant:** a client that goes away takes its request with it: answers hold the engine's streams, and
//! dropping one frees its blocks. What the engine's bounded queue does not take is refused at once.

mod answer;
mod chat;
mod completions;
mod embeddings;
mod list;
mod models;
mod parameters;
mod problem;
mod prompt;
mod running;
mod sampling;
mod tools;

use axum::response::{IntoResponse, Response};

pub(super) use chat::create as chat;
pub(super) use completions::create as completions;
pub(super) use embeddings::create as embeddings;
pub(super) use list::{entries, entry};

use crate::error::Error;

/// Whether a path's errors have OpenAI's shape.
pub(super) fn speaks(path: &str) -> bool {
    ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"].contains(&path)
}

/// An error in OpenAI's shape.
pub(super) fn refuse(error: Error) -> Response {
    problem::Refusal::from(error).into_response()
}
