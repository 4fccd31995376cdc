//! Language models against outside truths: Hugging Face's libraries, PyTorch, llama.cpp.

mod chats;
mod embeddings;
mod families;
mod hostile;
mod models;
mod sources;
mod tokens;
