//! Products of activations with weights that were repacked once for the processor.
//!
//! Sixteen rows stand side by side, one to a lane. Integer weights meet int8 activations, four products and their sum
//! in one instruction; a step over 32 columns ends in one fused multiplication by both scales. Formats of four bits
//! stay four bits in memory, since a single stream is bound by it; those of five, six and eight bits become bytes.
//! Weights are read once for up to [`TOKENS_PER_PASS`] tokens, and a tile of them serves eight tokens from registers.
//!
//! **Architecture invariant:** an output depends on its row and its token alone, to the last bit: not on how many
//! tokens come with it, on the number of threads or on the processor's instructions.

mod float;
mod integer;
mod pack;

use crate::pool::{Pool, SharedMut};
use crate::quant::Format;
use crate::quant::activations::{Activations, Want};
use crate::simd::{LANES, Level};

pub(crate) use pack::Data;

/// Tokens that one pass over the weights serves: their blocks (256 tokens of 1,536 columns are 590 KB) stay in the
/// second-level cache while the rows go by.
pub const TOKENS_PER_PASS: usize = 256;

/// Weights `[rows, columns]`, repacked for the processor.
#[derive(Debug)]
pub struct Packed {
    format: Format,
    rows: usize,
    columns: usize,
    data: Data,
}

/// What becomes of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// It is written over what was there.
    Replace,
    /// It is added to what was there.
    Add,
}

impl Packed {
    /// Repacks weights `[rows, columns]` stored in `format`.
    ///
    /// # Panics
    /// When a row is no whole number of the format's blocks, or `bytes` are not as many as the rows have.
    pub fn new(format: Format, rows: usize, columns: usize, bytes: &[u8]) -> Self {
        assert!(columns.is_multiple_of(format.block_elements()), "{} needs rows of whole blocks", format.name());
        assert_eq!(bytes.len(), format.row_bytes(columns) * rows, "the bytes of {rows} x {columns} {}", format.name());
        Self { format, rows, columns, data: Data::new(format, rows, columns, bytes) }
    }

    /// How the weights were stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Elements of an output.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements of an input.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes that the repacked weights take.
    pub fn memory_bytes(&self) -> usize {
        self.data.memory_bytes()
    }

    /// What these weights read of an input.
    pub fn want(&self) -> Want {
        Want { blocks: self.format.is_quantised(), values: !self.format.is_quantised() }
    }

    /// The weights of one row, as [`dequantise`](crate::quant::dequantise) gives them; `out` is `[columns]`.
    ///
    /// # Panics
    /// When there is no such row or `out` has another length.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.columns, "a row of {} columns", self.columns);
        self.data.row(self.format, row, self.columns, out);
    }

    /// `out[t, r] = sum over c of weights[r, c] * input[t, c]`; `input` is `[tokens, columns]`, `out` `[tokens, rows]`.
    ///
    /// # Panics
    /// When a slice has another length.
    pub fn multiply(&self, pool: &Pool, input: &[f32], tokens: usize, out: &mut [f32]) {
        assert_eq!(input.len(), tokens * self.columns, "the input of {tokens} tokens");
        let mut activations = Activations::new();
        activations.fill(pool, self.want(), tokens, self.columns, &|token, values| {
            values.copy_from_slice(&input[token * values.len()..][..values.len()]);
        });
        multiply_many(pool, &activations, &[self], Store::Replace, out);
    }
}

/// The products of one input with several weights, side by side: `out` is `[tokens, rows of the first + rows of the
/// second + ...]`. One hand-over to the pool for all.
///
/// # Panics
/// When the input has not the columns of all weights, was not made as they [want](Packed::want), or `out` has another
/// length.
pub fn multiply_many(pool: &Pool, input: &Activations, weights: &[&Packed], store: Store, out: &mut [f32]) {
    multiply_at(Level::best(), pool, input, weights, store, out);
}

fn multiply_at(level: Level, pool: &Pool, input: &Activations, weights: &[&Packed], store: Store, out: &mut [f32]) {
    let stride: usize = weights.iter().map(|weights| weights.rows).sum();
    assert_eq!(out.len(), input.tokens * stride, "the output of {} tokens", input.tokens);
    for weights in weights {
        assert_eq!(weights.columns, input.columns, "the input's columns");
        let filled = if weights.format.is_quantised() { input.blocks.len() } else { input.values.len() };
        assert!(input.tokens == 0 || filled > 0, "the input was not made for {}", weights.format.name());
    }
    let groups: usize = weights.iter().map(|weights| weights.rows.div_ceil(LANES)).sum();
    let chunk = pool.chunk_of(groups);
    let chunks = groups.div_ceil(chunk);
    let passes = input.tokens.div_ceil(TOKENS_PER_PASS);
    let out = SharedMut(out.as_mut_ptr());
    pool.for_each_chunk(passes * chunks, 1, &|index| {
        let (pass, first) = (index / chunks, index % chunks * chunk);
        let tokens = (pass * TOKENS_PER_PASS, ((pass + 1) * TOKENS_PER_PASS).min(input.tokens));
        let (mut begin, mut offset) = (0, 0);
        for weights in weights {
            let count = weights.rows.div_ceil(LANES);
            let own = (first.max(begin) - begin, (first + chunk).clamp(begin, begin + count) - begin);
            if own.0 < own.1 {
                let output = Output { out: &out, stride, offset, rows: weights.rows, store };
                run(level, weights, input, own, tokens, output);
            }
            begin += count;
            offset += weights.rows;
        }
    });
}

/// Multiplies the row groups from `groups.0` up to `groups.1` with the tokens from `tokens.0` up to `tokens.1`.
fn run(
    level: Level,
    weights: &Packed,
    input: &Activations,
    groups: (usize, usize),
    tokens: (usize, usize),
    output: Output<'_>,
) {
    match &weights.data {
        Data::Units(units) => integer::run(level, weights.format, units, &input.blocks, groups, tokens, output),
        Data::Single(rows) => float::run(level, rows, &input.values, input.columns, groups, tokens, output),
        Data::Half(rows) => float::run(level, rows, &input.values, input.columns, groups, tokens, output),
        Data::Brain(rows) => float::run(level, rows, &input.values, input.columns, groups, tokens, output),
    }
}

/// Where the products of one set of weights go.
#[derive(Clone, Copy)]
struct Output<'a> {
    out: &'a SharedMut<f32>,
    /// Elements from one token to the next.
    stride: usize,
    /// Where these weights' rows begin.
    offset: usize,
    rows: usize,
    store: Store,
}

impl Output<'_> {
    /// Stores the products of a token with a group of rows.
    #[inline(always)]
    fn put<S: crate::simd::Simd>(&self, simd: S, token: usize, group: usize, sums: S::F) {
        let row = group * LANES;
        if row + LANES <= self.rows {
            let out = self.lanes(token, row, LANES);
            if let Ok(out) = <&mut [f32; LANES]>::try_from(out) {
                let sums = if self.store == Store::Add { simd.add(simd.load(out), sums) } else { sums };
                simd.store(sums, out);
            }
            return;
        }
        let mut lanes = [0.0; LANES];
        simd.store(sums, &mut lanes);
        for (out, value) in self.lanes(token, row, self.rows - row).iter_mut().zip(lanes) {
            *out = if self.store == Store::Add { *out + value } else { value };
        }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "each group of rows is written by one thread")]
    #[expect(clippy::mut_from_ref, reason = "each group of rows is written by one thread")]
    fn lanes(&self, token: usize, row: usize, count: usize) -> &mut [f32] {
        // SAFETY: `multiply_at` asserts that the output holds `stride` elements for each token and hands each pair of
        // a pass and a group of rows to one thread; `row + count <= rows`, and the rows of several weights lie side by
        // side within `stride`.
        unsafe { std::slice::from_raw_parts_mut(self.out.at(token * self.stride + self.offset + row), count) }
    }
}

#[cfg(test)]
mod tests;
