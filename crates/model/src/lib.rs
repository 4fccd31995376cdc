//! Language-model weights, forward pass, tokenizer and chat templates.

mod step;

pub use step::{BLOCK_TOKENS, Chunk};
