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

/// One word of eight tokens, `$at` bytes from their pointers: each a link of a chain of its own, so that the chains'
/// latency is hidden. Written as instructions, since a compiler puts the links of one chain next to each other, or
/// fetches all words beforehand.
macro_rules! eight_dots {
    ($bytes:literal, $at:literal) => {
        concat!(
            eight_dots!(0, $bytes, $at),
            eight_dots!(1, $bytes, $at),
            eight_dots!(2, $bytes, $at),
            eight_dots!(3, $bytes, $at),
            eight_dots!(4, $bytes, $at),
            eight_dots!(5, $bytes, $at),
            eight_dots!(6, $bytes, $at),
            eight_dots!(7, $bytes, $at),
        )
    };
    ($token:literal, $bytes:literal, $at:literal) => {
        concat!("vpdpbusd {s", $token, ":z}, {", $bytes, ":z}, dword ptr [{w", $token, "} + ", $at, "]{{1to16}}\n")
    };
}

/// A line of nibbles, `$line` bytes from the first, with the words `$low` and `$high` bytes from the first.
macro_rules! nibbles_of_line {
    ($line:literal, $low:literal, $high:literal) => {
        concat!(
            "vmovdqa64 {low:z}, zmmword ptr [{lines} + ",
            $line,
            "]\n",
            "vpsrlw {high:z}, {low:z}, 4\n",
            "vpandd {low:z}, {low:z}, {mask:z}\n",
            "vpandd {high:z}, {high:z}, {mask:z}\n",
            eight_dots!("low", $low),
            eight_dots!("high", $high),
        )
    };
}

/// A line of bytes, `$line` bytes from the first, with the words `$word` bytes from the first.
macro_rules! bytes_of_line {
    ($line:literal, $word:literal) => {
        concat!("vmovdqa64 {line:z}, zmmword ptr [{lines} + ", $line, "]\n", eight_dots!("line", $word))
    };
}

/// [`Simd::dot_nibbles`] for eight tokens.
///
/// # Safety
/// The processor has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn dot_nibbles_8(sums: &mut [__m512i; 8], lines: &[Line; 4], words: [&[i32; 8]; 8]) {
    let [mut s0, mut s1, mut s2, mut s3, mut s4, mut s5, mut s6, mut s7] = *sums;
    let nothing = _mm512_setzero_si512();
    // SAFETY: the caller vouches for the processor; what is read are four lines and eight words of each token.
    unsafe {
        asm!(
            nibbles_of_line!(0, 0, 4),
            nibbles_of_line!(64, 8, 12),
            nibbles_of_line!(128, 16, 20),
            nibbles_of_line!(192, 24, 28),
            lines = in(reg) lines,
            mask = in(zmm_reg) _mm512_set1_epi8(15),
            low = inout(zmm_reg) nothing => _, high = inout(zmm_reg) nothing => _,
            w0 = in(reg) words[0], w1 = in(reg) words[1], w2 = in(reg) words[2], w3 = in(reg) words[3],
            w4 = in(reg) words[4], w5 = in(reg) words[5], w6 = in(reg) words[6], w7 = in(reg) words[7],
            s0 = inout(zmm_reg) s0, s1 = inout(zmm_reg) s1, s2 = inout(zmm_reg) s2, s3 = inout(zmm_reg) s3,
            s4 = inout(zmm_reg) s4, s5 = inout(zmm_reg) s5, s6 = inout(zmm_reg) s6, s7 = inout(zmm_reg) s7,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    *sums = [s0, s1, s2, s3, s4, s5, s6, s7];
}

/// [`Simd::dot_bytes`] for eight tokens.
///
/// # Safety
/// The processor has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn dot_bytes_8<const FIRST: usize>(sums: &mut [__m512i; 8], lines: &[Line; 4], words: [&[i32; 8]; 8]) {
    let [mut s0, mut s1, mut s2, mut s3, mut s4, mut s5, mut s6, mut s7] = *sums;
    // SAFETY: the caller vouches for the processor; what is read are four lines and, since `FIRST` is 0 or 4, words of each token.
    unsafe {
        asm!(
            bytes_of_line!(0, "4*{first} + 0"),
            bytes_of_line!(64, "4*{first} + 4"),
            bytes_of_line!(128, "4*{first} + 8"),
            bytes_of_line!(192, "4*{first} + 12"),
            lines = in(reg) lines,
            first = const FIRST,
            line = inout(zmm_reg) _mm512_setzero_si512() => _,
            w0 = in(reg) words[0], w1 = in(reg) words[1], w2 = in(reg) words[2], w3 = in(reg) words[3],
            w4 = in(reg) words[4], w5 = in(reg) words[5], w6 = in(reg) words[6], w7 = in(reg) words[7],
            s0 = inout(zmm_reg) s0, s1 = inout(zmm_reg) s1, s2 = inout(zmm_reg) s2, s3 = inout(zmm_reg) s3,
            s4 = inout(zmm_reg) s4, s5 = inout(zmm_reg) s5, s6 = inout(zmm_reg) s6, s7 = inout(zmm_reg) s7,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    *sums = [s0, s1, s2, s3, s4, s5, s6, s7];
}

/// The sum of products of one token into its sum: the scale, and the minimum where there is one, come out of memory with
/// the instruction. A compiler fetches them apart and spreads them by one that stands in the way of the products.
macro_rules! add_scaled_token {
    ($token:literal) => {
        concat!(
            "vbroadcastss {scaled:z}, dword ptr [{b",
            $token,
            "} + {shift_at}]\n",
            "vfmadd231ps {scaled:z}, {p",
            $token,
            ":z}, dword ptr [{b",
            $token,
            "} + {scale_at}]{{1to16}}\n",
            "vfmadd231ps {s",
            $token,
            ":z}, {scaled:z}, {scale:z}\n",
        )
    };
    ($token:literal, minimum) => {
        concat!(
            add_scaled_token!($token),
            "vfmadd231ps {s",
            $token,
            ":z}, {minimum:z}, dword ptr [{b",
            $token,
            "} + {sum_at}]{{1to16}}\n",
        )
    };
}
/// [`Simd::add_scaled`] for eight tokens, without minima.
///
/// # Safety
/// The processor has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn add_scaled_8(sums: &mut [__m512; 8], products: [__m512i; 8], blocks: [&Block; 8], scale: __m512) {
    let [mut s0, mut s1, mut s2, mut s3, mut s4, mut s5, mut s6, mut s7] = *sums;
    let [p0, p1, p2, p3, p4, p5, p6, p7] = products;
    // SAFETY: the caller vouches for the processor; what is read are fields of the blocks.
    unsafe {
        asm!(
            add_scaled_token!(0),
            add_scaled_token!(1),
            add_scaled_token!(2),
            add_scaled_token!(3),
            add_scaled_token!(4),
            add_scaled_token!(5),
            add_scaled_token!(6),
            add_scaled_token!(7),
            scale_at = const offset_of!(Block, scale), shift_at = const offset_of!(Block, shift),
            scale = in(zmm_reg) scale, scaled = inout(zmm_reg) _mm512_setzero_ps() => _,
            b0 = in(reg) blocks[0], b1 = in(reg) blocks[1], b2 = in(reg) blocks[2], b3 = in(reg) blocks[3],
            b4 = in(reg) blocks[4], b5 = in(reg) blocks[5], b6 = in(reg) blocks[6], b7 = in(reg) blocks[7],
            p0 = in(zmm_reg) p0, p1 = in(zmm_reg) p1, p2 = in(zmm_reg) p2, p3 = in(zmm_reg) p3,
            p4 = in(zmm_reg) p4, p5 = in(zmm_reg) p5, p6 = in(zmm_reg) p6, p7 = in(zmm_reg) p7,
            s0 = inout(zmm_reg) s0, s1 = inout(zmm_reg) s1, s2 = inout(zmm_reg) s2, s3 = inout(zmm_reg) s3,
            s4 = inout(zmm_reg) s4, s5 = inout(zmm_reg) s5, s6 = inout(zmm_reg) s6, s7 = inout(zmm_reg) s7,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    *sums = [s0, s1, s2, s3, s4, s5, s6, s7];
}

/// [`Simd::add_scaled`] for eight tokens, with minima.
///
/// # Safety
/// The processor has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn add_scaled_with_minima_8(
    sums: &mut [__m512; 8],
    products: [__m512i; 8],
    blocks: [&Block; 8],
    scale: __m512,
    minimum: __m512,
) {
    let [mut s0, mut s1, mut s2, mut s3, mut s4, mut s5, mut s6, mut s7] = *sums;
    let [p0, p1, p2, p3, p4, p5, p6, p7] = products;
    // SAFETY: the caller vouches for the processor; what is read are fields of the blocks.
    unsafe {
        asm!(
            add_scaled_token!(0, minimum),
            add_scaled_token!(1, minimum),
            add_scaled_token!(2, minimum),
            add_scaled_token!(3, minimum),
            add_scaled_token!(4, minimum),
            add_scaled_token!(5, minimum),
            add_scaled_token!(6, minimum),
            add_scaled_token!(7, minimum),
            scale_at = const offset_of!(Block, scale), shift_at = const offset_of!(Block, shift),
            sum_at = const offset_of!(Block, scaled_sum), minimum = in(zmm_reg) minimum,
            scale = in(zmm_reg) scale, scaled = inout(zmm_reg) _mm512_setzero_ps() => _,
            b0 = in(reg) blocks[0], b1 = in(reg) blocks[1], b2 = in(reg) blocks[2], b3 = in(reg) blocks[3],
            b4 = in(reg) blocks[4], b5 = in(reg) blocks[5], b6 = in(reg) blocks[6], b7 = in(reg) blocks[7],
            p0 = in(zmm_reg) p0, p1 = in(zmm_reg) p1, p2 = in(zmm_reg) p2, p3 = in(zmm_reg) p3,
            p4 = in(zmm_reg) p4, p5 = in(zmm_reg) p5, p6 = in(zmm_reg) p6, p7 = in(zmm_reg) p7,
            s0 = inout(zmm_reg) s0, s1 = inout(zmm_reg) s1, s2 = inout(zmm_reg) s2, s3 = inout(zmm_reg) s3,
            s4 = inout(zmm_reg) s4, s5 = inout(zmm_reg) s5, s6 = inout(zmm_reg) s6, s7 = inout(zmm_reg) s7,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    *sums = [s0, s1, s2, s3, s4, s5, s6, s7];
}

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
        if let (Ok(sums), Ok(words)) = (sums.as_mut_slice().try_into(), words.as_slice().try_into()) {
            // SAFETY: `self` is proof that the processor has these instructions.
            return unsafe { dot_nibbles_8(sums, lines, words) };
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
        if let (Ok(sums), Ok(words)) = (sums.as_mut_slice().try_into(), words.as_slice().try_into()) {
            // SAFETY: `self` is proof that the processor has these instructions.
            return unsafe { dot_bytes_8::<FIRST>(sums, lines, words) };
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
        let eight = (sums.as_mut_slice().try_into(), products.as_slice().try_into(), blocks.as_slice().try_into());
        if let (Ok(sums), Ok(products), Ok(blocks)) = eight {
            let (products, blocks): ([Self::I; 8], [&Block; 8]) = (products, blocks);
            // SAFETY: `self` is proof that the processor has these instructions.
            return unsafe {
                match MINIMA {
                    true => add_scaled_with_minima_8(sums, products, blocks, scale, minimum),
                    false => add_scaled_8(sums, products, blocks, scale),
                }
            };
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
