//! Language-model weights, forward pass, tokenizer and chat templates.

pub mod config;
mod error;
pub mod gguf;
pub mod safetensors;
pub mod tokenizer;
pub mod weights;

pub use config::Architecture;
pub use error::{Error, Result};
pub use tokenizer::Tokenizer;
