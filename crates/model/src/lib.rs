//! Language models: their files, weights, tokenizers and chat templates, the forward pass, and encoders.
//!
//! The way of a model: [`Source`] names it, the [`Cache`] fetches and keeps it, [`ModelFiles`] maps its files and reads
//! their headers, and [`LanguageModel`] or [`Encoder`] repacks the weights and runs. Not here: sampling, scheduling and
//! blocks of keys and values over many requests, which are `llm`'s.
//!
//! **Architecture invariant:** nothing in a file is believed before it is checked: a wrong or hostile file is an error
//! that names the tensor and its place, never a panic or an allocation on its word.

pub mod chat;
pub mod config;
pub mod encoder;
mod error;
pub mod files;
pub mod gguf;
pub mod kv;
pub mod language;
pub mod safetensors;
pub mod source;
pub mod tokenizer;
pub mod weights;

pub use chat::{ChatTemplate, Conversation, Message};
pub use config::Architecture;
pub use encoder::{Embedding, Encoder};
pub use error::{Error, Result};
pub use files::ModelFiles;
pub use kv::{BLOCK_TOKENS, KvFormat, KvStorage};
pub use language::{Chunk, LanguageModel};
pub use source::{Cache, CachedModel, Progress, Source};
pub use tokenizer::Tokenizer;
