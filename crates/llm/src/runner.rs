//! What the engine asks of a model, so that tests can run it over a toy one.

use lakemill_model::Chunk;

use crate::Result;

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
