//! The definition of every operation, one lane after the other.

use half::f16;

use super::{LANES, Line, Simd, Start};

#[derive(Clone, Copy)]
pub(super) struct Scalar;

/// Applies `f` to each lane.
#[inline(always)]
fn lanes<T: Copy + Default>(f: impl Fn(usize) -> T) -> [T; LANES] {
    let mut out = [T::default(); LANES];
    for (lane, out) in out.iter_mut().enumerate() {
        *out = f(lane);
    }
    out
}

#[inline(always)]
fn dot(a: &[u8; 64], lane: usize, word: i32, offset: i32) -> i32 {
    let signed = word.to_le_bytes();
    (0..4).map(|byte| (i32::from(a[lane * 4 + byte]) - offset) * i32::from(signed[byte] as i8)).sum()
}

impl Simd for Scalar {
    type F = [f32; LANES];
    type I = [i32; LANES];
    type B = [u8; 64];
    const TILE_TOKENS: usize = 1;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Self::F {
        *values
    }

    #[inline(always)]
    fn store(self, a: Self::F, values: &mut [f32; LANES]) {
        *values = a;
    }

    #[inline(always)]
    fn load_f16(self, values: &[u16; LANES]) -> Self::F {
        lanes(|lane| f16::from_bits(values[lane]).to_f32())
    }

    #[inline(always)]
    fn load_bf16(self, values: &[u16; LANES]) -> Self::F {
        lanes(|lane| f32::from_bits(u32::from(values[lane]) << 16))
    }

    #[inline(always)]
    fn load_i8(self, values: &[i8; LANES]) -> Self::F {
        lanes(|lane| f32::from(values[lane]))
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        lanes(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        lanes(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        lanes(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        lanes(|lane| a[lane] / b[lane])
    }

    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        lanes(|lane| a[lane].mul_add(b[lane], c[lane]))
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        lanes(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        lanes(|lane| if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        lanes(|lane| a[lane].abs())
    }

    #[inline(always)]
    fn select_less(self, a: Self::F, b: Self::F, yes: Self::F, no: Self::F) -> Self::F {
        lanes(|lane| if a[lane] < b[lane] { yes[lane] } else { no[lane] })
    }

    #[inline(always)]
    fn power_of_two(self, a: Self::F) -> Self::F {
        lanes(|lane| f32::from_bits((a[lane].to_bits() << 23).wrapping_add(1.0f32.to_bits())))
    }

    #[inline(always)]
    fn sum(self, mut a: Self::F) -> f32 {
        for half in [8, 4, 2, 1] {
            for lane in 0..half {
                a[lane] += a[lane + half];
            }
        }
        a[0]
    }

    #[inline(always)]
    fn max_lane(self, a: Self::F) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, |max, value| if value > max { value } else { max })
    }

    #[inline(always)]
    fn round_to_words(self, a: Self::F) -> ([i32; 4], i32) {
        let bytes = lanes(|lane| a[lane].round_ties_even() as i8);
        let mut words = [0; 4];
        for (index, byte) in bytes.iter().enumerate() {
            words[index / 4] |= i32::from(byte.cast_unsigned()) << (index % 4 * 8);
        }
        (words, bytes.iter().map(|byte| i32::from(*byte)).sum())
    }

    #[inline(always)]
    fn bytes(self, line: &Line) -> Self::B {
        line.0
    }

    #[inline(always)]
    fn prefetch(self, _: &[Line], _: usize) {}

    #[inline(always)]
    fn low_nibbles(self, a: Self::B) -> Self::B {
        a.map(|byte| byte & 15)
    }

    #[inline(always)]
    fn high_nibbles(self, a: Self::B) -> Self::B {
        a.map(|byte| byte >> 4)
    }

    #[inline(always)]
    fn start(self, value: Start) -> Self::I {
        [value.value(); LANES]
    }

    #[inline(always)]
    fn scaled(self, sum: Self::I, scale: f32, _: f32) -> Self::F {
        lanes(|lane| sum[lane] as f32 * scale)
    }

    #[inline(always)]
    fn dot_small(self, sum: Self::I, a: Self::B, word: i32) -> Self::I {
        lanes(|lane| sum[lane] + dot(&a, lane, word, 0))
    }

    #[inline(always)]
    fn start_offset(self, _: Start) -> Self::I {
        [0; LANES]
    }

    #[inline(always)]
    fn dot_offset(self, sum: Self::I, a: Self::B, word: i32) -> Self::I {
        lanes(|lane| sum[lane] + dot(&a, lane, word, 128))
    }
}
