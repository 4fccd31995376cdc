//! Language-model weights, forward pass, tokenizer and chat templates.

pub mod config;
mod error;
pub mod weights;

pub use config::Architecture;
pub use error::{Error, Result};
