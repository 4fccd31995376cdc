//! One register of 512 bits.
#![expect(unsafe_code, reason = "vector instructions")]

use core::arch::asm;
use core::arch::x86_64::*;
use core::mem::offset_of;

use super::{LANES, Line, Simd, Start, Work};
use crate::quant::activations::Block;

/// Proof that the instructions are there: made by [`found`](Self::found) alone.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The proof, where the processor has it.
    pub(super) fn found() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        found.then_some(Self(()))
    }
}

/// Runs a kernel; only to be chosen where [`Avx512::found`] said so.
pub(super) fn call<W: Work>(work: W) -> W::Output {
    // SAFETY: `Level::available` lists this level only where the instructions were found.
    unsafe { enter(work) }
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn enter<W: Work>(work: W) -> W::Output {
    work.run(Avx512(()))
}

/// One word of some tokens, `$at` bytes from their pointers: each a link of a chain of its own, so that the chains'
/// latency is hidden. Written as instructions, since a compiler puts the links of one chain next to each other, or
/// fetches all words beforehand.
macro_rules! dots {
    ($bytes:literal, $at:literal, $($token:literal)+) => {
        concat!($(
            "vpdpbusd {s", $token, ":z}, {", $bytes, ":z}, dword ptr [{w", $token, "} + ", $at, "]{{1to16}}\n",
        )+)
    };
}

/// A line of nibbles, `$line` bytes from the first, with the words `$low` and `$high` bytes from the first.
macro_rules! nibbles_of_line {
    ($line:literal, $low:literal, $high:literal, $($token:literal)+) => {
        concat!(
            "vmovdqa64 {low:z}, zmmword ptr [{lines} + ",
            $line,
            "]\n",
            "vpsrlw {high:z}, {low:z}, 4\n",
            "vpandd {low:z}, {low:z}, {mask:z}\n",
            "vpandd {high:z}, {high:z}, {mask:z}\n",
            dots!("low", $low, $($token)+),
            dots!("high", $high, $($token)+),
        )
    };
}

/// A line of bytes, `$line` bytes from the first, with the words `$word` bytes from the first.
macro_rules! bytes_of_line {
    ($line:literal, $word:literal, $($token:literal)+) => {
        concat!("vmovdqa64 {line:z}, zmmword ptr [{lines} + ", $line, "]\n", dots!("line", $word, $($token)+))
    };
}

/// The products of tokens into their sums: the scale, and the minimum where there is one, come out of memory with the
/// instruction. A compiler fetches them apart and spreads them by one that stands in the way of the products.
macro_rules! scaled {
    ($($token:literal)+) => {
        concat!($(
            "vbroadcastss {scaled:z}, dword ptr [{w", $token, "} + {shift_at}]\n",
            "vfmadd231ps {scaled:z}, {p", $token, ":z}, dword ptr [{w", $token, "} + {scale_at}]{{1to16}}\n",
            "vfmadd231ps {s", $token, ":z}, {scaled:z}, {scale:z}\n",
        )+)
    };
}

/// See [`scaled`].
macro_rules! minima {
    ($($token:literal)+) => {
        concat!($(
            "vfmadd231ps {s", $token, ":z}, {minimum:z}, dword ptr [{w", $token, "} + {sum_at}]{{1to16}}\n",
        )+)
    };
}

/// What a tile of so many tokens does for a unit of weights. Each token has a number, and names for its sum, its product
/// and its block.
macro_rules! tile {
    ($tile:ident, $tokens:literal: $($t:literal $s:ident $p:ident $w:ident),+) => {
        struct $tile;

        impl $tile {
            /// [`Simd::dot_nibbles`].
            ///
            /// # Safety
            /// The processor has the instructions.
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
            unsafe fn dot_nibbles(sums: &mut [__m512i; $tokens], lines: &[Line; 4], words: [&[i32; 8]; $tokens]) {
                let [$(mut $s),+] = *sums;
                // SAFETY: the caller vouches for the processor; what is read are four lines and eight words of each token.
                unsafe {
                    asm!(
                        nibbles_of_line!(0, 0, 4, $($t)+),
                        nibbles_of_line!(64, 8, 12, $($t)+),
                        nibbles_of_line!(128, 16, 20, $($t)+),
                        nibbles_of_line!(192, 24, 28, $($t)+),
                        lines = in(reg) lines,
                        mask = in(zmm_reg) _mm512_set1_epi8(15),
                        low = inout(zmm_reg) _mm512_setzero_si512() => _,
                        high = inout(zmm_reg) _mm512_setzero_si512() => _,
                        $($w = in(reg) words[$t], $s = inout(zmm_reg) $s,)+
                        options(pure, readonly, nostack, preserves_flags)
                    );
                }
                *sums = [$($s),+];
            }

            /// [`Simd::dot_bytes`].
            ///
            /// # Safety
            /// The processor has the instructions.
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
            unsafe fn dot_bytes<const FIRST: usize>(
                sums: &mut [__m512i; $tokens],
                lines: &[Line; 4],
                words: [&[i32; 8]; $tokens],
            ) {
                let [$(mut $s),+] = *sums;
                // SAFETY: the caller vouches for the processor; what is read are four lines and, since `FIRST` is 0 or 4,
                // words of each token.
                unsafe {
                    asm!(
                        bytes_of_line!(0, "4*{first} + 0", $($t)+),
                        bytes_of_line!(64, "4*{first} + 4", $($t)+),
                        bytes_of_line!(128, "4*{first} + 8", $($t)+),
                        bytes_of_line!(192, "4*{first} + 12", $($t)+),
                        lines = in(reg) lines,
                        first = const FIRST,
                        line = inout(zmm_reg) _mm512_setzero_si512() => _,
                        $($w = in(reg) words[$t], $s = inout(zmm_reg) $s,)+
                        options(pure, readonly, nostack, preserves_flags)
                    );
                }
                *sums = [$($s),+];
            }

            /// [`Simd::add_scaled`].
            ///
            /// # Safety
            /// The processor has the instructions.
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
            unsafe fn add_scaled<const MINIMA: bool>(
                sums: &mut [__m512; $tokens],
                products: [__m512i; $tokens],
                blocks: [&Block; $tokens],
                scale: __m512,
                minimum: __m512,
            ) {
                let [$(mut $s),+] = *sums;
                let [$($p),+] = products;
                // SAFETY: the caller vouches for the processor; what is read are fields of the blocks.
                unsafe {
                    asm!(
                        scaled!($($t)+),
                        scale_at = const offset_of!(Block, scale),
                        shift_at = const offset_of!(Block, shift),
                        scale = in(zmm_reg) scale,
                        scaled = inout(zmm_reg) _mm512_setzero_ps() => _,
                        $($w = in(reg) blocks[$t], $p = in(zmm_reg) $p, $s = inout(zmm_reg) $s,)+
                        options(pure, readonly, nostack, preserves_flags)
                    );
                    if MINIMA {
                        asm!(
                            minima!($($t)+),
                            sum_at = const offset_of!(Block, scaled_sum),
                            minimum = in(zmm_reg) minimum,
                            $($w = in(reg) blocks[$t], $s = inout(zmm_reg) $s,)+
                            options(pure, readonly, nostack, preserves_flags)
                        );
                    }
                }
                *sums = [$($s),+];
            }
        }
    };
}

tile!(Eight, 8: 0 s0 p0 w0, 1 s1 p1 w1, 2 s2 p2 w2, 3 s3 p3 w3, 4 s4 p4 w4, 5 s5 p5 w5, 6 s6 p6 w6, 7 s7 p7 w7);
tile!(Four, 4: 0 s0 p0 w0, 1 s1 p1 w1, 2 s2 p2 w2, 3 s3 p3 w3);

/// # Safety
/// The processor has AVX.
#[inline(always)]
unsafe fn sum(a: __m256) -> f32 {
    // SAFETY: the caller vouches for the processor.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

impl Simd for Avx512 {
    type F = __m512;
    type I = __m512i;
    type B = __m512i;
    const TILE_TOKENS: usize = 8;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, a: Self::F, values: &mut [f32; LANES]) {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), a) }
    }

    #[inline(always)]
    fn load_f16(self, values: &[u16; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(values.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_bf16(self, values: &[u16; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(values.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }

    #[inline(always)]
    fn load_i8(self, values: &[i8; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(values.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    fn select_less(self, a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes) }
    }

    #[inline(always)]
    fn power_of_two(self, a: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(a));
            _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_castps_si512(_mm512_set1_ps(1.0))))
        }
    }

    #[inline(always)]
    fn sum(self, a: Self::F) -> f32 {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { sum(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a))) }
    }

    #[inline(always)]
    fn max_lane(self, a: Self::F) -> f32 {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_reduce_max_ps(a) }
    }

    #[inline(always)]
    fn round_to_words(self, a: Self::F) -> ([i32; 4], i32) {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let (mut words, rounded) = ([0; 4], _mm512_cvtps_epi32(a));
            _mm_storeu_si128(words.as_mut_ptr().cast(), _mm512_cvtsepi32_epi8(rounded));
            (words, _mm512_reduce_add_epi32(rounded))
        }
    }

    #[inline(always)]
    fn bytes(self, line: &Line) -> Self::B {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn prefetch(self, lines: &[Line], index: usize) {
        // SAFETY: a prefetch of any address has no effect on memory, and the address is not dereferenced.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(lines.as_ptr().wrapping_add(index).cast()) }
    }

    #[inline(always)]
    fn low_nibbles(self, a: Self::B) -> Self::B {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_and_si512(a, _mm512_set1_epi8(15)) }
    }

    #[inline(always)]
    fn high_nibbles(self, a: Self::B) -> Self::B {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_and_si512(_mm512_srli_epi16::<4>(a), _mm512_set1_epi8(15)) }
    }

    #[inline(always)]
    fn start(self, value: Start) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_set1_epi32(value.raised) }
    }

    #[inline(always)]
    fn scaled(self, sum: Self::I, scale: f32, shift: f32) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_fmadd_ps(_mm512_castsi512_ps(sum), _mm512_set1_ps(scale), _mm512_set1_ps(shift)) }
    }

    #[inline(always)]
    fn dot_small(self, sum: Self::I, a: Self::B, word: i32) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_dpbusd_epi32(sum, a, _mm512_set1_epi32(word)) }
    }

    #[inline(always)]
    fn dot_nibbles<const T: usize>(self, sums: &mut [Self::I; T], lines: &[Line; 4], words: [&[i32; 8]; T]) {
        // SAFETY: `self` is proof that the processor has these instructions.
        unsafe {
            if let (Ok(sums), Ok(words)) = (sums.as_mut_slice().try_into(), words.as_slice().try_into()) {
                return Eight::dot_nibbles(sums, lines, words);
            }
            if let (Ok(sums), Ok(words)) = (sums.as_mut_slice().try_into(), words.as_slice().try_into()) {
                return Four::dot_nibbles(sums, lines, words);
            }
        }
        super::dot_nibbles(self, sums, lines, words);
    }

    #[inline(always)]
    fn dot_bytes<const T: usize, const FIRST: usize, const OFFSET: bool>(
        self,
        sums: &mut [Self::I; T],
        lines: &[Line; 4],
        words: [&[i32; 8]; T],
    ) {
        // SAFETY: `self` is proof that the processor has these instructions.
        unsafe {
            if let (Ok(sums), Ok(words)) = (sums.as_mut_slice().try_into(), words.as_slice().try_into()) {
                return Eight::dot_bytes::<FIRST>(sums, lines, words);
            }
            if let (Ok(sums), Ok(words)) = (sums.as_mut_slice().try_into(), words.as_slice().try_into()) {
                return Four::dot_bytes::<FIRST>(sums, lines, words);
            }
        }
        super::dot_bytes::<Self, T, FIRST, OFFSET>(self, sums, lines, words);
    }

    #[inline(always)]
    fn add_scaled<const T: usize, const MINIMA: bool>(
        self,
        sums: &mut [Self::F; T],
        products: [Self::I; T],
        blocks: [&Block; T],
        scale: Self::F,
        minimum: Self::F,
    ) {
        let (products_of, blocks_of) = (products.as_slice(), blocks.as_slice());
        // SAFETY: `self` is proof that the processor has these instructions.
        unsafe {
            if let (Ok(sums), Ok(products), Ok(blocks)) =
                (sums.as_mut_slice().try_into(), products_of.try_into(), blocks_of.try_into())
            {
                return Eight::add_scaled::<MINIMA>(sums, products, blocks, scale, minimum);
            }
            if let (Ok(sums), Ok(products), Ok(blocks)) =
                (sums.as_mut_slice().try_into(), products_of.try_into(), blocks_of.try_into())
            {
                return Four::add_scaled::<MINIMA>(sums, products, blocks, scale, minimum);
            }
        }
        super::add_scaled::<Self, T, MINIMA>(self, sums, products, blocks, scale, minimum);
    }

    #[inline(always)]
    fn start_offset(self, value: Start) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_set1_epi32(value.raised) }
    }

    #[inline(always)]
    fn dot_offset(self, sum: Self::I, a: Self::B, word: i32) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { _mm512_dpbusd_epi32(sum, a, _mm512_set1_epi32(word)) }
    }
}
