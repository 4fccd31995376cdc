//! Language models against outside truths: Hugging Face's libraries, PyTorch, llama.cpp.
//!
//! `bench/reference/language_*.py` writes what they answer into `tests/reference`, with the versions that made it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and says how near it is"
)]

mod chats;
mod embeddings;
mod families;
mod hostile;
mod logits;
mod models;
mod schedules;
mod sources;
mod tokens;
