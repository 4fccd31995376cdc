//! A model's vocabulary in the terms of toktrie.

use std::sync::Arc;

use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenizerEnv};

use crate::{Error, Result, Vocabulary};

/// The tree of a vocabulary's tokens, and the way to cut text into them.
pub(super) struct Environment {
    trie: TokTrie,
    vocabulary: Arc<dyn Vocabulary>,
    canonical: bool,
}

impl Environment {
    /// # Errors
    /// The vocabulary has no end of text, by which a guided answer could end.
    pub(super) fn new(vocabulary: Arc<dyn Vocabulary>) -> Result<Self> {
        let size = u32::try_from(vocabulary.size()).unwrap_or(u32::MAX);
        let words: Vec<Vec<u8>> = (0..size).map(|token| word(&*vocabulary, token)).collect();
        let ends: Vec<u32> = (0..size).filter(|token| vocabulary.is_end(*token)).collect();
        let Some(end) = ends.first() else {
            let what = "guidance needs a model whose tokenizer names an end of text";
            return Err(Error::parameter("guidance", what));
        };
        let trie = TokTrie::from(&TokRxInfo::new(size, *end), &words).with_eos_tokens(&ends);
        let canonical = vocabulary.encode("a").is_some_and(|tokens| {
            // A tokenizer that puts a space before every text cannot say how a text goes on.
            tokens.iter().flat_map(|token| vocabulary.token_bytes(*token)).eq(*b"a")
        });
        Ok(Self { trie, vocabulary, canonical })
    }

    pub(super) fn into_env(self) -> TokEnv {
        Arc::new(self)
    }
}

/// The bytes of a token. Special ones get toktrie's mark, so that no text can stand for them.
fn word(vocabulary: &dyn Vocabulary, token: u32) -> Vec<u8> {
    let bytes = vocabulary.token_bytes(token);
    if !vocabulary.is_special(token) && !vocabulary.is_end(token) {
        return bytes;
    }
    let mut marked = vec![TokTrie::SPECIAL_TOKEN_MARKER];
    marked.extend(bytes);
    marked
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        let encode =
            |text: &str| self.vocabulary.encode(text).unwrap_or_else(|| self.trie.greedy_tokenize(text.as_bytes()));
        self.trie.tokenize_with_greedy_fallback(bytes, encode)
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.canonical
    }
}
