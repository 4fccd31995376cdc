//! What the engine needs to know of a tokenizer.

use lakemill_model::Tokenizer;

/// The tokens of a model, as bytes.
pub trait Vocabulary: Send + Sync {
    /// Token ids are below this number. A model may score more (padding of its head); those are never sampled.
    fn size(&self) -> usize;

    /// The bytes that `token` stands for in text: not always whole UTF-8. Special tokens give their name
    /// (`<|im_end|>`).
    fn token_bytes(&self, token: u32) -> Vec<u8>;

    /// Whether `token` ends an answer.
    fn is_end(&self, token: u32) -> bool;

    /// Whether `token` is a mark of the model's protocol and no text: left out of answers unless asked for.
    fn is_special(&self, token: u32) -> bool;

    /// The tokens of `text` as the model was trained to see them in the middle of a text, with no special ones;
    /// `None` where the tokenizer cannot say. Guidance forces runs of text by it.
    fn encode(&self, text: &str) -> Option<Vec<u32>>;
}

impl Vocabulary for Tokenizer {
    fn size(&self) -> usize {
        self.vocabulary()
    }

    fn token_bytes(&self, token: u32) -> Vec<u8> {
        self.bytes_of(token).to_vec()
    }

    fn is_end(&self, token: u32) -> bool {
        self.end_of_text().contains(&token)
    }

    fn is_special(&self, token: u32) -> bool {
        Tokenizer::is_special(self, token)
    }

    fn encode(&self, text: &str) -> Option<Vec<u32>> {
        let tokens = Tokenizer::encode(self, text, false).ok()?;
        // A tokenizer that puts a space before every text cannot say how a text goes on.
        let bytes = tokens.iter().flat_map(|token| self.bytes_of(*token));
        bytes.eq(text.as_bytes()).then_some(tokens)
    }
}
