//! Four registers of 128 bits.
//!
//! Conversions from half precision, products of bytes and prefetches are written as instructions: their intrinsics are
//! not in stable Rust.
#![expect(unsafe_code, reason = "vector instructions")]

use core::arch::aarch64::*;
use core::arch::asm;

use super::{LANES, Line, Simd, Start, Work};

/// Registers that make up the lanes.
const PARTS: usize = 4;

/// Proof that the instructions are there: made by [`found`](Self::found) alone. `DOT` says whether products of bytes
/// have instructions of their own, as in all processors since Armv8.4 and in many before it.
#[derive(Clone, Copy)]
pub(super) struct Neon<const DOT: bool>(());

impl<const DOT: bool> Neon<DOT> {
    /// The proof, where the processor has it.
    pub(super) fn found() -> Option<Self> {
        let dot = std::arch::is_aarch64_feature_detected!("dotprod");
        (std::arch::is_aarch64_feature_detected!("neon") && (dot || !DOT)).then_some(Self(()))
    }
}

/// Runs a kernel; only to be chosen where [`Neon::found`] said so.
pub(super) fn call<W: Work>(work: W) -> W::Output {
    // SAFETY: `Level::available` lists this level only where the instructions were found.
    unsafe { enter(work) }
}

/// Runs a kernel with products of bytes; only to be chosen where [`Neon::found`] said so.
pub(super) fn call_dot<W: Work>(work: W) -> W::Output {
    // SAFETY: `Level::available` lists this level only where the instructions were found.
    unsafe { enter_dot(work) }
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon")]
unsafe fn enter<W: Work>(work: W) -> W::Output {
    work.run(Neon::<false>(()))
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon,dotprod")]
unsafe fn enter_dot<W: Work>(work: W) -> W::Output {
    work.run(Neon::<true>(()))
}

/// Applies `f` to each register.
#[inline(always)]
fn parts<T>(f: impl Fn(usize) -> T) -> [T; PARTS] {
    [f(0), f(1), f(2), f(3)]
}

/// Four numbers of half precision.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn widen_f16(halves: uint16x4_t) -> float32x4_t {
    let wide: float32x4_t;
    // SAFETY: the caller vouches for the processor; the instruction reads and writes registers alone.
    unsafe {
        asm!("fcvtl {wide:v}.4s, {halves:v}.4h", wide = lateout(vreg) wide, halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags));
    }
    wide
}

/// Adds to each lane the products of its four signed bytes with those of `word`.
///
/// # Safety
/// The processor has NEON, and the products of bytes if `DOT`.
#[inline(always)]
unsafe fn dot<const DOT: bool>(mut sum: int32x4_t, a: int8x16_t, word: int8x16_t) -> int32x4_t {
    // SAFETY: the caller vouches for the processor; the instruction reads and writes registers alone.
    unsafe {
        if DOT {
            asm!("sdot {sum:v}.4s, {a:v}.16b, {word:v}.16b", sum = inlateout(vreg) sum, a = in(vreg) a,
                word = in(vreg) word, options(pure, nomem, nostack, preserves_flags));
            return sum;
        }
        // Products of at most 128 * 128 fit 16 bits, and the pairs are added in 32.
        let low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(word)));
        let high = vpaddlq_s16(vmull_high_s8(a, word));
        vaddq_s32(sum, vpaddq_s32(low, high))
    }
}

impl<const DOT: bool> Simd for Neon<DOT> {
    type F = [float32x4_t; PARTS];
    type I = [int32x4_t; PARTS];
    type B = [uint8x16_t; PARTS];
    const TILE_TOKENS: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe { [vdupq_n_f32(value); PARTS] }
    }

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        parts(|i| unsafe { vld1q_f32(values.as_ptr().add(i * 4)) })
    }

    #[inline(always)]
    fn store(self, a: Self::F, values: &mut [f32; LANES]) {
        for (i, part) in a.into_iter().enumerate() {
            // SAFETY: `self` is proof that the processor has these instructions; references cover what is written.
            unsafe { vst1q_f32(values.as_mut_ptr().add(i * 4), part) }
        }
    }

    #[inline(always)]
    fn load_f16(self, values: &[u16; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        parts(|i| unsafe { widen_f16(vld1_u16(values.as_ptr().add(i * 4))) })
    }

    #[inline(always)]
    fn load_bf16(self, values: &[u16; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        parts(|i| unsafe { vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(values.as_ptr().add(i * 4)))) })
    }

    #[inline(always)]
    fn load_i8(self, values: &[i8; LANES]) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let bytes = vld1q_s8(values.as_ptr());
            let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
            [
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
                vcvtq_f32_s32(vmovl_high_s16(low)),
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                vcvtq_f32_s32(vmovl_high_s16(high)),
            ]
        }
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vaddq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vsubq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vmulq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vdivq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vfmaq_f32(c[i], a[i], b[i]) })
    }

    /// By comparison: the instruction for it takes a NaN from either side.
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i]) })
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vbslq_f32(vcltq_f32(a[i], b[i]), a[i], b[i]) })
    }

    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vabsq_f32(a[i]) })
    }

    #[inline(always)]
    fn select_less(self, a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vbslq_f32(vcltq_f32(a[i], b[i]), yes[i], no[i]) })
    }

    #[inline(always)]
    fn power_of_two(self, a: Self::F) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe {
            let exponent = vshlq_n_s32::<23>(vreinterpretq_s32_f32(a[i]));
            vreinterpretq_f32_s32(vaddq_s32(exponent, vreinterpretq_s32_f32(vdupq_n_f32(1.0))))
        })
    }

    #[inline(always)]
    fn sum(self, a: Self::F) -> f32 {
        // SAFETY: `self` is proof that the processor has these instructions.
        unsafe {
            let four = vaddq_f32(vaddq_f32(a[0], a[2]), vaddq_f32(a[1], a[3]));
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }
    }

    #[inline(always)]
    fn max_lane(self, a: Self::F) -> f32 {
        // SAFETY: `self` is proof that the processor has these instructions.
        unsafe {
            let four = vmaxnmq_f32(vmaxnmq_f32(a[0], a[2]), vmaxnmq_f32(a[1], a[3]));
            vmaxnmvq_f32(four)
        }
    }

    #[inline(always)]
    fn round_to_words(self, a: Self::F) -> ([i32; 4], i32) {
        let mut words = [0; 4];
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        unsafe {
            let [a, b, c, d] = parts(|i| vcvtnq_s32_f32(a[i]));
            let low = vmovn_high_s32(vmovn_s32(a), b);
            let high = vmovn_high_s32(vmovn_s32(c), d);
            vst1q_s32(words.as_mut_ptr(), vreinterpretq_s32_s8(vmovn_high_s16(vmovn_s16(low), high)));
            (words, vaddvq_s32(vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d))))
        }
    }

    #[inline(always)]
    fn bytes(self, line: &Line) -> Self::B {
        // SAFETY: `self` is proof that the processor has these instructions; references cover what is read or written.
        parts(|i| unsafe { vld1q_u8(line.0.as_ptr().add(i * 16)) })
    }

    #[inline(always)]
    fn prefetch(self, lines: &[Line], index: usize) {
        let at = lines.as_ptr().wrapping_add(index);
        // SAFETY: a prefetch of any address has no effect on memory, and the address is not dereferenced.
        unsafe { asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(readonly, nostack, preserves_flags)) }
    }

    #[inline(always)]
    fn low_nibbles(self, a: Self::B) -> Self::B {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vandq_u8(a[i], vdupq_n_u8(15)) })
    }

    #[inline(always)]
    fn high_nibbles(self, a: Self::B) -> Self::B {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vshrq_n_u8::<4>(a[i]) })
    }

    #[inline(always)]
    fn start(self, value: Start) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions.
        unsafe { [vdupq_n_s32(value.value()); PARTS] }
    }

    #[inline(always)]
    fn scaled(self, sum: Self::I, scale: f32, _: f32) -> Self::F {
        // SAFETY: `self` is proof that the processor has these instructions.
        parts(|i| unsafe { vmulq_n_f32(vcvtq_f32_s32(sum[i]), scale) })
    }

    #[inline(always)]
    fn dot_small(self, sum: Self::I, a: Self::B, word: i32) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions. Bytes below 64 are the same with a sign.
        unsafe {
            let word = vreinterpretq_s8_s32(vdupq_n_s32(word));
            parts(|i| dot::<DOT>(sum[i], vreinterpretq_s8_u8(a[i]), word))
        }
    }

    #[inline(always)]
    fn start_offset(self, _: Start) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions.
        unsafe { [vdupq_n_s32(0); PARTS] }
    }

    #[inline(always)]
    fn dot_offset(self, sum: Self::I, a: Self::B, word: i32) -> Self::I {
        // SAFETY: `self` is proof that the processor has these instructions.
        unsafe {
            let word = vreinterpretq_s8_s32(vdupq_n_s32(word));
            parts(|i| dot::<DOT>(sum[i], vreinterpretq_s8_u8(veorq_u8(a[i], vdupq_n_u8(128))), word))
        }
    }
}
