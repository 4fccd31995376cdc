//! Sixteen lanes at a time, on whatever registers the processor has.
//!
//! A kernel is written once over [`Simd`] and run by [`Level::call`], which enters it with the instructions of the
//! level switched on. The scalar level is the readable definition of every operation.
//!
//! **Architecture invariant:** every operation gives the same bits at every level: sums across lanes have a fixed
//! order, products are fused wherever `fma` is written and nowhere else, integers are exact.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use std::sync::OnceLock;

use crate::quant::activations::Block;

/// Lanes of a register.
pub(crate) const LANES: usize = 16;

/// A line of the cache: sixteen lanes of four bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u8; 64]);

/// What kernels are written in. A value of an implementor is proof that the processor has the instructions.
pub(crate) trait Simd: Copy {
    /// Sixteen `f32`.
    type F: Copy;
    /// Sixteen `i32`.
    type I: Copy;
    /// Sixteen groups of four bytes.
    type B: Copy;
    /// Tokens of a tile of products at most: as many as registers hold the sums of.
    const TILE_TOKENS: usize;

    fn splat(self, value: f32) -> Self::F;
    fn load(self, values: &[f32; LANES]) -> Self::F;
    fn store(self, a: Self::F, values: &mut [f32; LANES]);
    /// From IEEE half precision.
    fn load_f16(self, values: &[u16; LANES]) -> Self::F;
    /// From bfloat16, the upper half of an `f32`.
    fn load_bf16(self, values: &[u16; LANES]) -> Self::F;
    fn load_i8(self, values: &[i8; LANES]) -> Self::F;
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a` where it is greater, else `b`.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a` where it is less, else `b`.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn abs(self, a: Self::F) -> Self::F;
    /// `yes` where `a < b`, else `no`.
    fn select_less(self, a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F;
    /// `2^n` where `a` is `1.5 * 2^23 + n`, n from -126 to 127.
    fn power_of_two(self, a: Self::F) -> Self::F;
    /// The sum of the lanes: upper half onto lower half until one is left.
    fn sum(self, a: Self::F) -> f32;
    fn max_lane(self, a: Self::F) -> f32;

    /// To the nearest integer, ties to even, as signed bytes, four to a word, and their sum. Values lie in -127..=127.
    fn round_to_words(self, a: Self::F) -> ([i32; 4], i32);
    fn bytes(self, line: &Line) -> Self::B;
    /// Asks for the line `index`, counted from the first of `lines`; it need not be one of them.
    fn prefetch(self, lines: &[Line], index: usize);
    /// The lower four bits of every byte.
    fn low_nibbles(self, a: Self::B) -> Self::B;
    /// The upper four bits of every byte.
    fn high_nibbles(self, a: Self::B) -> Self::B;
    /// What sums of products start from.
    fn start(self, value: Start) -> Self::I;
    /// Adds to each lane the products of its four unsigned bytes, all below 64, with the four signed bytes of `word`.
    fn dot_small(self, sum: Self::I, a: Self::B, word: i32) -> Self::I;
    /// Sums of products, below 2^22, times `scale`, rounded once. `scale` has 22 significant bits at most, and `shift`
    /// is what [`shift_of`] gives for it.
    fn scaled(self, sum: Self::I, scale: f32, shift: f32) -> Self::F;
    /// What sums of [`dot_offset`](Self::dot_offset) start from; `value` is -128 times the sum of the signed bytes.
    fn start_offset(self, value: Start) -> Self::I;
    /// As `dot_small` with 128 taken off each unsigned byte; what `start_offset` gave must be in the sum.
    fn dot_offset(self, sum: Self::I, a: Self::B, word: i32) -> Self::I;
    /// Adds the products of four lines of nibbles with eight words, two words to a line.
    #[inline(always)]
    fn dot_nibbles<const T: usize>(self, sums: &mut [Self::I; T], lines: &[Line; 4], words: [&[i32; 8]; T]) {
        dot_nibbles(self, sums, lines, words);
    }
    /// Adds the products of four lines of bytes with the four words from `FIRST` on; with `OFFSET`, 128 is taken off
    /// each byte, as [`dot_offset`](Self::dot_offset) does.
    #[inline(always)]
    fn dot_bytes<const T: usize, const FIRST: usize, const OFFSET: bool>(
        self,
        sums: &mut [Self::I; T],
        lines: &[Line; 4],
        words: [&[i32; 8]; T],
    ) {
        dot_bytes::<Self, T, FIRST, OFFSET>(self, sums, lines, words);
    }
    /// Adds sums of products, times their tokens' scales and `scale`; with `MINIMA`, the tokens' sums times `minimum` too.
    #[inline(always)]
    fn add_scaled<const T: usize, const MINIMA: bool>(
        self,
        sums: &mut [Self::F; T],
        products: [Self::I; T],
        blocks: [&Block; T],
        scale: Self::F,
        minimum: Self::F,
    ) {
        add_scaled::<Self, T, MINIMA>(self, sums, products, blocks, scale, minimum);
    }
}

/// [`Simd::add_scaled`], one token after the other.
#[inline(always)]
fn add_scaled<S: Simd, const T: usize, const MINIMA: bool>(
    simd: S,
    sums: &mut [S::F; T],
    products: [S::I; T],
    blocks: [&Block; T],
    scale: S::F,
    minimum: S::F,
) {
    for t in 0..T {
        sums[t] = simd.fma(simd.scaled(products[t], blocks[t].scale, blocks[t].shift), scale, sums[t]);
        if MINIMA {
            sums[t] = simd.fma(minimum, simd.splat(blocks[t].scaled_sum), sums[t]);
        }
    }
}

/// [`Simd::dot_nibbles`], one word after the other.
#[inline(always)]
fn dot_nibbles<S: Simd, const T: usize>(simd: S, sums: &mut [S::I; T], lines: &[Line; 4], words: [&[i32; 8]; T]) {
    for (index, line) in lines.iter().enumerate() {
        let bytes = simd.bytes(line);
        let (low, high) = (simd.low_nibbles(bytes), simd.high_nibbles(bytes));
        for t in 0..T {
            sums[t] = simd.dot_small(sums[t], low, words[t][index * 2]);
        }
        for t in 0..T {
            sums[t] = simd.dot_small(sums[t], high, words[t][index * 2 + 1]);
        }
    }
}

/// [`Simd::dot_bytes`], one word after the other.
#[inline(always)]
fn dot_bytes<S: Simd, const T: usize, const FIRST: usize, const OFFSET: bool>(
    simd: S,
    sums: &mut [S::I; T],
    lines: &[Line; 4],
    words: [&[i32; 8]; T],
) {
    for (index, line) in lines.iter().enumerate() {
        let bytes = simd.bytes(line);
        for t in 0..T {
            let word = words[t][FIRST + index];
            sums[t] = if OFFSET { simd.dot_offset(sums[t], bytes, word) } else { simd.dot_small(sums[t], bytes, word) };
        }
    }
}

/// Added to an integer below 2^22 it makes the bits of an `f32` that is that integer and 1.5 * 2^23: no conversion.
const RAISE: i32 = 0x4B40_0000;

/// What a sum of products starts from, on its way to an `f32`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Start {
    raised: i32,
}

impl Start {
    pub(crate) const ZERO: Self = Self::new(0);

    #[inline(always)]
    pub(crate) const fn new(value: i32) -> Self {
        Self { raised: RAISE + value }
    }

    /// The value, for levels that convert.
    #[inline(always)]
    const fn value(self) -> i32 {
        self.raised - RAISE
    }
}

/// What takes the 1.5 * 2^23 off again, once it was multiplied with `scale`.
pub(crate) fn shift_of(scale: f32) -> f32 {
    -12_582_912.0 * scale
}

/// A kernel with its arguments.
pub(crate) trait Work {
    type Output;

    /// Must be `#[inline(always)]`, as everything that it calls, so that it is compiled for the level.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// The instructions that kernels are run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Plain Rust.
    Scalar,
    /// AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// NEON with products of bytes.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
}

impl Level {
    /// The best that this processor has; decided once.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Scalar))
    }

    /// All that this processor has, the best last.
    pub(crate) fn available() -> Vec<Self> {
        #[cfg_attr(
            not(any(target_arch = "x86_64", target_arch = "aarch64")),
            expect(unused_mut, reason = "nothing to add")
        )]
        let mut levels = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(avx2::Avx2::found().map(|_| Self::Avx2));
            levels.extend(avx512::Avx512::found().map(|_| Self::Avx512));
        }
        #[cfg(target_arch = "aarch64")]
        {
            levels.extend(neon::Neon::<false>::found().map(|_| Self::Neon));
            levels.extend(neon::Neon::<true>::found().map(|_| Self::NeonDot));
        }
        levels
    }

    /// Runs a kernel.
    #[inline]
    pub(crate) fn call<W: Work>(self, work: W) -> W::Output {
        match self {
            Self::Scalar => work.run(scalar::Scalar),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::call(work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::call(work),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon::call(work),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => neon::call_dot(work),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_of_the_servers_has_vectors() {
        let levels = Level::available();
        assert_eq!(levels[0], Level::Scalar);
        if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            assert!(levels.len() > 1, "{levels:?}");
        }
    }
}
