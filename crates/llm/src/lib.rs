//! The engine of language models.
