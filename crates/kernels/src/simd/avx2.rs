//! Two registers of 256 bits.
#![expect(unsafe_code, reason = "vector instructions")]

use core::arch::x86_64::*;

use super::{LANES, Line, Simd, Start, Work};

/// Proof that the instructions are there: made by [`found`](Self::found) alone.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The proof, where the processor has it.
    pub(super) fn found() -> Option<Self> {
        let found =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        found.then_some(Self(()))
    }
}

/// Runs a kernel; only to be chosen where [`Avx2::found`] said so.
pub(super) fn call<W: Work>(work: W) -> W::Output {
    // SAFETY: `Level::available` lists this level only where the instructions were found.
    unsafe { enter(work) }
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn enter<W: Work>(work: W) -> W::Output {
    work.run(Avx2(()))
}

/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn widen(a: __m128i) -> __m256 {
    // SAFETY: the caller vouches for the processor.
    unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(a))) }
}

/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn power_of_two(a: __m256) -> __m256 {
    // SAFETY: the caller vouches for the processor.
    unsafe {
        let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(a));
        _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_castps_si256(_mm256_set1_ps(1.0))))
    }
}

/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn sum_i32(a: __m256i) -> i32 {
    // SAFETY: the caller vouches for the processor.
    unsafe {
        let four = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
        let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
    }
}

/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn add_pairs(sum: __m256i, pairs: __m256i) -> __m256i {
    // SAFETY: the caller vouches for the processor.
    unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))) }
}

/// Signs go over to the other factor, since the instruction takes one unsigned: two products of at most 128 * 127 do
/// not saturate 16 bits.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn dot_offset(sum: __m256i, a: __m256i, word: i32) -> __m256i {
    // SAFETY: the caller vouches for the processor.
    unsafe {
        let signed = _mm256_xor_si256(a, _mm256_set1_epi8(-128));
        let factor = _mm256_sign_epi8(_mm256_set1_epi32(word), signed);
        add_pairs(sum, _mm256_maddubs_epi16(_mm256_abs_epi8(signed), factor))
    }
}

impl Simd for Avx2 {
    type F = [__m256; 2];
    type I = [__m256i; 2];
    type B = [__m256i; 2];
    const TILE_TOKENS: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_loadu_ps(values.as_ptr()), _mm256_loadu_ps(values.as_ptr().add(8))] }
    }

    #[inline(always)]
    fn store(self, a: Self::F, values: &mut [f32; LANES]) {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            _mm256_storeu_ps(values.as_mut_ptr(), a[0]);
            _mm256_storeu_ps(values.as_mut_ptr().add(8), a[1]);
        }
    }

    #[inline(always)]
    fn load_f16(self, values: &[u16; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let from = values.as_ptr();
            [_mm256_cvtph_ps(_mm_loadu_si128(from.cast())), _mm256_cvtph_ps(_mm_loadu_si128(from.add(8).cast()))]
        }
    }

    #[inline(always)]
    fn load_bf16(self, values: &[u16; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let from = values.as_ptr();
            [widen(_mm_loadu_si128(from.cast())), widen(_mm_loadu_si128(from.add(8).cast()))]
        }
    }

    #[inline(always)]
    fn load_i8(self, values: &[i8; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let from = values.as_ptr();
            [
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.add(8).cast()))),
            ]
        }
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            [_mm256_andnot_ps(sign, a[0]), _mm256_andnot_ps(sign, a[1])]
        }
    }

    #[inline(always)]
    fn select_less(self, a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            [
                _mm256_blendv_ps(no[0], yes[0], _mm256_cmp_ps::<_CMP_LT_OQ>(a[0], b[0])),
                _mm256_blendv_ps(no[1], yes[1], _mm256_cmp_ps::<_CMP_LT_OQ>(a[1], b[1])),
            ]
        }
    }

    #[inline(always)]
    fn power_of_two(self, a: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [power_of_two(a[0]), power_of_two(a[1])] }
    }

    #[inline(always)]
    fn sum(self, a: Self::F) -> f32 {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let eight = _mm256_add_ps(a[0], a[1]);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn max_lane(self, a: Self::F) -> f32 {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let eight = _mm256_max_ps(a[0], a[1]);
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn round_to_words(self, a: Self::F) -> ([i32; 4], i32) {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let mut words = [0; 4];
            let (first, second) = (_mm256_cvtps_epi32(a[0]), _mm256_cvtps_epi32(a[1]));
            let short = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(first, second));
            let bytes = _mm_packs_epi16(_mm256_castsi256_si128(short), _mm256_extracti128_si256::<1>(short));
            _mm_storeu_si128(words.as_mut_ptr().cast(), bytes);
            (words, sum_i32(_mm256_add_epi32(first, second)))
        }
    }

    #[inline(always)]
    fn bytes(self, line: &Line) -> Self::B {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_load_si256(line.0.as_ptr().cast()), _mm256_load_si256(line.0.as_ptr().add(32).cast())] }
    }

    #[inline(always)]
    fn prefetch(self, lines: &[Line], index: usize) {
        // SAFETY: a prefetch of any address has no effect on memory, and the address is not dereferenced.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(lines.as_ptr().wrapping_add(index).cast()) }
    }

    #[inline(always)]
    fn low_nibbles(self, a: Self::B) -> Self::B {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let mask = _mm256_set1_epi8(15);
            [_mm256_and_si256(a[0], mask), _mm256_and_si256(a[1], mask)]
        }
    }

    #[inline(always)]
    fn high_nibbles(self, a: Self::B) -> Self::B {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let mask = _mm256_set1_epi8(15);
            [_mm256_and_si256(_mm256_srli_epi16::<4>(a[0]), mask), _mm256_and_si256(_mm256_srli_epi16::<4>(a[1]), mask)]
        }
    }

    #[inline(always)]
    fn start(self, value: Start) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_set1_epi32(value.value()); 2] }
    }

    #[inline(always)]
    fn scaled(self, sum: Self::I, scale: f32, _: f32) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let scale = _mm256_set1_ps(scale);
            [_mm256_mul_ps(_mm256_cvtepi32_ps(sum[0]), scale), _mm256_mul_ps(_mm256_cvtepi32_ps(sum[1]), scale)]
        }
    }

    #[inline(always)]
    fn dot_small(self, sum: Self::I, a: Self::B, word: i32) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let word = _mm256_set1_epi32(word);
            [add_pairs(sum[0], _mm256_maddubs_epi16(a[0], word)), add_pairs(sum[1], _mm256_maddubs_epi16(a[1], word))]
        }
    }

    #[inline(always)]
    fn start_offset(self, _: Start) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    fn dot_offset(self, sum: Self::I, a: Self::B, word: i32) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [dot_offset(sum[0], a[0], word), dot_offset(sum[1], a[1], word)] }
    }
}
