//! Inputs of matrix products: int8 in blocks of 32 with a scale of `f32`, as llama.cpp's Q8_1 does, and `f32` beside
//! them for weights that are floating point.
//!
//! **Architecture invariant:** a token's blocks depend on that token alone.

use std::cell::RefCell;

use super::UNIT_ELEMENTS;
use crate::pool::{Pool, SharedMut};
use crate::simd::{LANES, Level, Simd, Start, Work, shift_of};

/// Tokens that one thread turns into blocks before work is shared: below it, the hand-over costs more.
const SERIAL_TOKENS: usize = 4;

/// 32 elements of an input, `scale * word bytes`: a line of the cache.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Block {
    /// Signed bytes, -127..=127, four to a word, the first lowest.
    pub(crate) words: [i32; 8],
    /// Of 16 significant bits, so that its product with a power of two and a half is exact.
    pub(crate) scale: f32,
    /// What [`shift_of`] gives for it.
    pub(crate) shift: f32,
    /// `scale` times the sum of the bytes: what a minimum of weights is multiplied with.
    pub(crate) scaled_sum: f32,
    /// -8 and -128 times the sum of all bytes: what weights around a zero of 8 and 128 start from.
    pub(crate) from_8: Start,
    pub(crate) from_128: Start,
    /// The same of bytes 0 to 15 and 16 to 31.
    pub(crate) halves_from_128: [Start; 2],
}

/// What the weights of a product read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Blocks of int8.
    pub blocks: bool,
    /// Plain `f32`.
    pub values: bool,
}

/// The input of matrix products, `[tokens, columns]`, made once and read by several products.
#[derive(Debug, Default)]
pub struct Activations {
    pub(crate) tokens: usize,
    pub(crate) columns: usize,
    /// `[tokens, columns / 32]`, the last block filled up with zeros.
    pub(crate) blocks: Vec<Block>,
    pub(crate) values: Vec<f32>,
}

thread_local! {
    /// A row on its way into blocks; what is left of the one before is written over.
    static ROW: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl Activations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the input anew: `row(token, values)` writes the `columns` values of a token. Tokens are shared among the
    /// pool's threads.
    pub fn fill(
        &mut self,
        pool: &Pool,
        want: Want,
        tokens: usize,
        columns: usize,
        row: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        self.fill_at(Level::best(), pool, want, tokens, columns, row);
    }

    pub(crate) fn fill_at(
        &mut self,
        level: Level,
        pool: &Pool,
        want: Want,
        tokens: usize,
        columns: usize,
        row: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        (self.tokens, self.columns) = (tokens, columns);
        let width = columns.div_ceil(UNIT_ELEMENTS);
        self.blocks.resize(if want.blocks { tokens * width } else { 0 }, Block::default());
        self.values.resize(if want.values { tokens * columns } else { 0 }, 0.0);
        let chunk = pool.chunk_of(tokens).max(SERIAL_TOKENS);
        if !want.values {
            return pool.for_each_row(&mut self.blocks, width.max(1), chunk, &|token, blocks| {
                ROW.with_borrow_mut(|values| {
                    values.resize(columns, 0.0);
                    row(token, values);
                    level.call(Quantise { values, blocks });
                });
            });
        }
        let blocks =
            SharedBlocks { all: SharedMut(self.blocks.as_mut_ptr()), width: if want.blocks { width } else { 0 } };
        pool.for_each_row(&mut self.values, columns.max(1), chunk, &|token, values| {
            row(token, values);
            level.call(Quantise { values, blocks: blocks.of(token) });
        });
    }
}

/// The blocks of all tokens, lent to the threads token by token.
struct SharedBlocks {
    all: SharedMut<Block>,
    width: usize,
}

impl SharedBlocks {
    #[expect(unsafe_code, reason = "each token is lent to one thread")]
    #[expect(clippy::mut_from_ref, reason = "each token is lent to one thread")]
    fn of(&self, token: usize) -> &mut [Block] {
        // SAFETY: `for_each_row` names each token once, and a token's blocks overlap no other's; there are `width`
        // blocks for each token.
        unsafe { std::slice::from_raw_parts_mut(self.all.at(token * self.width), self.width) }
    }
}

struct Quantise<'a> {
    values: &'a [f32],
    blocks: &'a mut [Block],
}

impl Work for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (whole, tail) = self.values.as_chunks::<UNIT_ELEMENTS>();
        for (values, block) in whole.iter().zip(&mut *self.blocks) {
            *block = quantise(simd, values);
        }
        if !tail.is_empty()
            && let Some(block) = self.blocks.get_mut(whole.len())
        {
            let mut values = [0.0; UNIT_ELEMENTS];
            values[..tail.len()].copy_from_slice(tail);
            *block = quantise(simd, &values);
        }
    }
}

#[inline(always)]
fn quantise<S: Simd>(simd: S, values: &[f32; UNIT_ELEMENTS]) -> Block {
    let (halves, _) = values.as_chunks::<LANES>();
    let (first, second) = (simd.load(&halves[0]), simd.load(&halves[1]));
    let largest = simd.max_lane(simd.max(simd.abs(first), simd.abs(second)));
    // Rounded up, so that no byte is beyond 127. An input that is not finite gives a scale that is not, and so an
    // output that is not.
    let scale = f32::from_bits(((largest / 127.0).to_bits() + 0xFF) & !0xFF);
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let inverse = simd.splat(if inverse.is_finite() { inverse } else { 0.0 });
    let ([a, b, c, d], sum_first) = simd.round_to_words(simd.mul(first, inverse));
    let ([e, f, g, h], sum_second) = simd.round_to_words(simd.mul(second, inverse));
    let both = sum_first + sum_second;
    Block {
        words: [a, b, c, d, e, f, g, h],
        scale,
        shift: shift_of(scale),
        scaled_sum: scale * both as f32,
        from_8: Start::new(-8 * both),
        from_128: Start::new(-128 * both),
        halves_from_128: [Start::new(-128 * sum_first), Start::new(-128 * sum_second)],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_are_near_their_values_and_the_same_at_every_level(
            values in proptest::collection::vec(-1e3f32..1e3, 1..200),
            tokens in 1usize..9,
            shift in -20i32..20,
        ) {
            let columns = values.len();
            let factor = 2f32.powi(shift);
            let row = |token: usize, out: &mut [f32]| {
                for (out, value) in out.iter_mut().zip(&values) {
                    *out = value * factor * (token + 1) as f32;
                }
            };
            let want = Want { blocks: true, values: true };
            let mut reference = Activations::new();
            reference.fill_at(Level::Scalar, &Pool::new(1), want, tokens, columns, &row);
            for token in 0..tokens {
                for column in 0..columns {
                    let block = reference.blocks[token * columns.div_ceil(32) + column / 32];
                    let byte = block.words[column % 32 / 4].to_le_bytes()[column % 4] as i8;
                    let value = reference.values[token * columns + column];
                    prop_assert!((block.scale * f32::from(byte) - value).abs() <= block.scale * 0.501);
                }
            }
            for level in Level::available() {
                for values in [false, true] {
                    let mut fast = Activations::new();
                    fast.fill_at(level, &Pool::new(2), Want { values, ..want }, tokens, columns, &row);
                    prop_assert_eq!(format!("{:?}", &fast.blocks), format!("{:?}", &reference.blocks));
                }
            }
        }
    }
}
