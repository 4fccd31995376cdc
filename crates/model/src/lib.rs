//! Language-model weights, forward pass, tokenizer and chat templates.

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
