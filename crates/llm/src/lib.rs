//! The engine of language models: token ids in, token ids and text out.
//!
//! Requests wait in a bounded queue, run together in steps (continuous batching with chunked prefill under a budget of
//! tokens), share the blocks of equal prefixes, and give their blocks back the moment they end or are cancelled.
//!
//! Here: [`Engine`], which is synchronous and makes one step when told to; [`Service`], a thread that owns an engine
//! and serves many callers; [`batch`], which runs a known list of prompts in the best order. Not here: weights,
//! tokenizers and chat templates (`lakemill-model`), HTTP and SQL.
//!
//! **Architecture invariants:**
//! - Equal request, equal answer: what else runs, which blocks are reused, whether drafts are tried and whether a
//!   request was preempted do not change its tokens. Sampling draws its random number from the request's seed, the
//!   choice and the position alone.
//! - Time and randomness are parameters: the engine reads a [`lakemill_base::Clock`] and seeds, for order and metrics.
//! - Every queue is bounded, and an idle engine holds no block in use ([`Engine::check_invariants`]).

pub mod batch;
mod block;
mod check;
mod engine;
mod error;
mod event;
mod guidance;
mod options;
mod queue;
mod request;
mod runner;
mod sampling;
mod scheduler;
mod sequence;
mod service;
mod speculation;
mod statistics;
mod stop;
mod vocabulary;

pub use engine::Engine;
pub use error::{Error, Result};
pub use event::{Choice, Completion, Event, FinishReason, RequestId, TokenLogProbability, Usage};
pub use options::EngineOptions;
pub use request::{Guidance, Request, Sampling};
pub use runner::{ModelRunner, Runner};
pub use service::{Service, Stream};
pub use statistics::{Histogram, Statistics};
pub use vocabulary::Vocabulary;

// What a runner is handed.
pub use lakemill_model::{BLOCK_TOKENS, Chunk};
