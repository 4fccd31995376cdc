//! What a forward pass is asked to do in one step.
//!
//! Not here: the storage of keys and values, and the pass itself.

/// Tokens that one block of the key-value cache holds. 16 keeps the waste of a half-filled last block below 2 % of a
/// sequence of 400 tokens, and is a whole number of vector registers.
pub const BLOCK_TOKENS: usize = 16;

/// One sequence's share of a step.
///
/// The keys and values of `tokens`, at the positions `start..start + tokens.len()`, are written into `blocks`: block
/// `i` of the list holds the positions `i * BLOCK_TOKENS..(i + 1) * BLOCK_TOKENS`. Every position before `start` is in
/// there already. Positions that were written before may be written again with other tokens (a rejected draft).
///
/// Within one step no two chunks write into the same block; they may read the same one.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The tokens to process, at least one.
    pub tokens: &'a [u32],
    /// The position of the first token in its sequence.
    pub start: usize,
    /// The sequence's blocks, enough for `start + tokens.len()` positions.
    pub blocks: &'a [u32],
    /// How many of the last tokens want logits: 0 within a prompt, 1 as a rule, more for drafts and for the
    /// log-probabilities of a prompt.
    pub logits: usize,
}
