//! What the engine asks of a model, so that tests can run it over a toy one.

use std::sync::Arc;

use lakemill_model::{Chunk, KvFormat, KvStorage, LanguageModel};

use crate::{Error, Result};

/// A model with its key-value blocks.
pub trait Runner: Send {
    /// How many logits a token gets.
    fn vocabulary(&self) -> usize;

    /// The most positions of a sequence.
    fn context_tokens(&self) -> usize;

    /// How many blocks there are; their ids are `0..blocks`.
    fn blocks(&self) -> usize;

    /// Bytes of one block.
    fn block_bytes(&self) -> usize;

    /// Runs one step over ragged chunks. `logits` is emptied and gets rows `[sum(chunk.logits), vocabulary]` in the
    /// order of the chunks. A row must not depend on the other chunks.
    ///
    /// # Errors
    /// The model cannot compute; the requests of the step fail with it, and the engine goes on.
    fn forward(&mut self, chunks: &[Chunk<'_>], logits: &mut Vec<f32>) -> Result<()>;

    /// Copies a block: the same keys and values under another id.
    fn copy_block(&mut self, from: u32, to: u32);
}

/// A language model with a key-value cache.
#[derive(Debug)]
pub struct ModelRunner {
    model: Arc<LanguageModel>,
    kv: KvStorage,
}

impl ModelRunner {
    /// A cache of `blocks` blocks of [`BLOCK_TOKENS`](crate::BLOCK_TOKENS) tokens.
    ///
    /// # Errors
    /// There is no block.
    pub fn new(model: Arc<LanguageModel>, format: KvFormat, blocks: usize) -> Result<Self> {
        if blocks == 0 {
            return Err(Error::invalid("a key-value cache of 0 blocks was asked for; it needs at least 1"));
        }
        let kv = KvStorage::new(model.architecture(), format, blocks);
        Ok(Self { model, kv })
    }

    /// A cache of at most `bytes` bytes, and of no more than `sequences` whole contexts.
    ///
    /// # Errors
    /// Not one block fits.
    pub fn with_memory(model: Arc<LanguageModel>, format: KvFormat, bytes: usize, sequences: usize) -> Result<Self> {
        let block_bytes = KvStorage::new(model.architecture(), format, 1).block_bytes();
        let context = model.architecture().context_tokens.div_ceil(lakemill_model::BLOCK_TOKENS);
        let blocks = (bytes / block_bytes).min(context.saturating_mul(sequences));
        if blocks == 0 {
            let what = format!("{bytes} bytes were given for the key-value cache");
            return Err(Error::invalid(format!("{what}; one block of it needs {block_bytes}")));
        }
        Self::new(model, format, blocks)
    }
}

impl Runner for ModelRunner {
    fn vocabulary(&self) -> usize {
        self.model.architecture().vocabulary
    }

    fn context_tokens(&self) -> usize {
        self.model.architecture().context_tokens
    }

    fn blocks(&self) -> usize {
        self.kv.blocks()
    }

    fn block_bytes(&self) -> usize {
        self.kv.block_bytes()
    }

    fn forward(&mut self, chunks: &[Chunk<'_>], logits: &mut Vec<f32>) -> Result<()> {
        logits.clear();
        Ok(self.model.forward(chunks, &mut self.kv, logits)?)
    }

    fn copy_block(&mut self, from: u32, to: u32) {
        self.kv.copy_block(from, to);
    }
}
