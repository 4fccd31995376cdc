//! Floating-point weights times `f32` activations: each lane sums its row's products by fused multiplications, column
//! after column.

use super::Output;
use super::pack::{Brains, Halves, Singles};
use crate::simd::{Level, Simd, Work};

/// One column of sixteen rows.
pub(super) trait Column {
    fn load<S: Simd>(&self, simd: S) -> S::F;
}

impl Column for Singles {
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S) -> S::F {
        simd.load(&self.0)
    }
}

impl Column for Halves {
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S) -> S::F {
        simd.load_f16(&self.0)
    }
}

impl Column for Brains {
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S) -> S::F {
        simd.load_bf16(&self.0)
    }
}

/// Multiplies groups of rows with tokens; `weights` is `[all groups, columns]`, `values` `[all tokens, columns]`.
pub(super) fn run<C: Column>(
    level: Level,
    weights: &[C],
    values: &[f32],
    columns: usize,
    groups: (usize, usize),
    tokens: (usize, usize),
    output: Output<'_>,
) {
    level.call(Multiply { weights, values, columns, groups, tokens, output });
}

struct Multiply<'a, C> {
    weights: &'a [C],
    values: &'a [f32],
    columns: usize,
    groups: (usize, usize),
    tokens: (usize, usize),
    output: Output<'a>,
}

impl<C: Column> Work for Multiply<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for group in self.groups.0..self.groups.1 {
            let mut token = self.tokens.0;
            while S::TILE_TOKENS >= 8 && token + 8 <= self.tokens.1 {
                self.tile::<S, 8>(simd, group, token);
                token += 8;
            }
            while S::TILE_TOKENS >= 4 && token + 4 <= self.tokens.1 {
                self.tile::<S, 4>(simd, group, token);
                token += 4;
            }
            while S::TILE_TOKENS >= 2 && token + 2 <= self.tokens.1 {
                self.tile::<S, 2>(simd, group, token);
                token += 2;
            }
            while token < self.tokens.1 {
                self.tile::<S, 1>(simd, group, token);
                token += 1;
            }
        }
    }
}

impl<C: Column> Multiply<'_, C> {
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(&self, simd: S, group: usize, token: usize) {
        let weights = &self.weights[group * self.columns..][..self.columns];
        let mut tokens = [&self.values[..0]; T];
        for (index, values) in tokens.iter_mut().enumerate() {
            *values = &self.values[(token + index) * self.columns..][..self.columns];
        }
        let mut sums = [simd.splat(0.0); T];
        for (column, weights) in weights.iter().enumerate() {
            let weights = weights.load(simd);
            for t in 0..T {
                sums[t] = simd.fma(weights, simd.splat(tokens[t][column]), sums[t]);
            }
        }
        for (index, sum) in sums.into_iter().enumerate() {
            self.output.put(simd, token + index, group, sum);
        }
    }
}
