//! Language-model weights, forward pass, tokenizer and chat templates.
