//! Exponentials and the functions made of them, sixteen at a time.
//!
//! `exp` is off by at most two units in the last place (tested against the double-precision one), the same bits at
//! every level.

use crate::simd::{LANES, Level, Simd, Work};

/// Below it `exp` is zero: the smallest normal number is `exp(-87.34)`.
const EXP_MIN: f32 = -87.3;

/// Above it `exp` stays where it is: `exp(88.72)` is the largest number, and `2^127` the largest power.
const EXP_MAX: f32 = 88.0;

/// `1.5 * 2^23`: added to a number, it rounds it to an integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// e^x by Cody and Waite's reduction and Cephes' polynomial of degree six.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::F) -> S::F {
    let low = simd.splat(EXP_MIN);
    let bounded = simd.min(simd.max(x, low), simd.splat(EXP_MAX));
    let shifted = simd.fma(bounded, simd.splat(std::f32::consts::LOG2_E), simd.splat(ROUND));
    let n = simd.sub(shifted, simd.splat(ROUND));
    let r = simd.fma(n, simd.splat(-0.693_359_4), bounded);
    let r = simd.fma(n, simd.splat(2.121_944_4e-4), r);
    let mut p = simd.splat(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1] {
        p = simd.fma(p, r, simd.splat(coefficient));
    }
    let p = simd.add(simd.fma(p, simd.mul(r, r), r), simd.splat(1.0));
    let result = simd.mul(p, simd.power_of_two(shifted));
    simd.select_less(x, low, simd.splat(0.0), result)
}

/// Applies `lanes` to `values`, the last ones filled up with zeros.
#[inline(always)]
fn map<S: Simd>(simd: S, values: &mut [f32], lanes: impl Fn(S::F) -> S::F) {
    let (whole, tail) = values.as_chunks_mut::<LANES>();
    for values in whole {
        let result = lanes(simd.load(values));
        simd.store(result, values);
    }
    if !tail.is_empty() {
        let mut padded = [0.0; LANES];
        padded[..tail.len()].copy_from_slice(tail);
        let result = lanes(simd.load(&padded));
        simd.store(result, &mut padded);
        tail.copy_from_slice(&padded[..tail.len()]);
    }
}

/// `out = gate * sigmoid(gate) * up`, the SwiGLU of Shazeer (GLU Variants Improve Transformer, 2020).
///
/// # Panics
/// When the slices differ in length.
pub fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    assert!(gate.len() == out.len() && up.len() == out.len(), "gate, up and out are of one length");
    Level::best().call(SwiGlu { gate, up, out });
}

struct SwiGlu<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    out: &'a mut [f32],
}

impl Work for SwiGlu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (gates, gate_tail) = self.gate.as_chunks::<LANES>();
        let (ups, up_tail) = self.up.as_chunks::<LANES>();
        let (outs, out_tail) = self.out.as_chunks_mut::<LANES>();
        for ((gate, up), out) in gates.iter().zip(ups).zip(outs) {
            let result = swiglu_lanes(simd, simd.load(gate), simd.load(up));
            simd.store(result, out);
        }
        if !out_tail.is_empty() {
            let (mut gate, mut up) = ([0.0; LANES], [0.0; LANES]);
            gate[..gate_tail.len()].copy_from_slice(gate_tail);
            up[..up_tail.len()].copy_from_slice(up_tail);
            let result = swiglu_lanes(simd, simd.load(&gate), simd.load(&up));
            simd.store(result, &mut gate);
            out_tail.copy_from_slice(&gate[..out_tail.len()]);
        }
    }
}

#[inline(always)]
fn swiglu_lanes<S: Simd>(simd: S, gate: S::F, up: S::F) -> S::F {
    let below = simd.add(simd.splat(1.0), exp(simd, simd.sub(simd.splat(0.0), gate)));
    simd.mul(simd.div(gate, below), up)
}

/// GELU by the tanh approximation (Hendrycks and Gimpel, 2016), in place.
pub fn gelu_tanh(values: &mut [f32]) {
    Level::best().call(GeluTanh(values));
}

struct GeluTanh<'a>(&'a mut [f32]);

impl Work for GeluTanh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // 0.5 x (1 + tanh(u)) is x / (1 + exp(-2u)), with u = sqrt(2 / pi) (x + 0.044715 x^3).
        map(simd, self.0, |x| {
            let inner = simd.fma(simd.mul(x, x), simd.splat(0.044_715), simd.splat(1.0));
            let u = simd.mul(simd.mul(x, inner), simd.splat(-2.0 * 0.797_884_6));
            simd.div(x, simd.add(simd.splat(1.0), exp(simd, u)))
        });
    }
}

/// GELU by the error function, in place; off by at most 1e-6 (Abramowitz and Stegun 7.1.26 gives the error function to
/// 1.5e-7).
pub fn gelu(values: &mut [f32]) {
    Level::best().call(Gelu(values));
}

struct Gelu<'a>(&'a mut [f32]);

impl Work for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        map(simd, self.0, |x| {
            let one = simd.splat(1.0);
            let z = simd.mul(simd.abs(x), simd.splat(std::f32::consts::FRAC_1_SQRT_2));
            let t = simd.div(one, simd.fma(z, simd.splat(0.327_591_1), one));
            let mut p = simd.splat(1.061_405_4);
            for coefficient in [-1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6] {
                p = simd.fma(p, t, simd.splat(coefficient));
            }
            let gone = simd.mul(simd.mul(p, t), exp(simd, simd.mul(simd.sub(simd.splat(0.0), z), z)));
            // Half of 1 + erf(x / sqrt 2) is 1 - gone / 2 above zero and gone / 2 below.
            let half = simd.mul(gone, simd.splat(0.5));
            simd.mul(x, simd.select_less(x, simd.splat(0.0), half, simd.sub(one, half)))
        });
    }
}

/// Turns scores into probabilities in place: `exp(x - max)` over their sum. Nothing becomes of no scores.
pub fn softmax(values: &mut [f32]) {
    Level::best().call(Softmax(values));
}

struct Softmax<'a>(&'a mut [f32]);

impl Work for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let max = simd.splat(max_of(simd, self.0));
        let (whole, tail) = self.0.as_chunks_mut::<LANES>();
        let mut sums = simd.splat(0.0);
        for values in &mut *whole {
            let result = exp(simd, simd.sub(simd.load(values), max));
            simd.store(result, values);
            sums = simd.add(sums, result);
        }
        let mut padded = [f32::NEG_INFINITY; LANES];
        padded[..tail.len()].copy_from_slice(tail);
        let result = exp(simd, simd.sub(simd.load(&padded), max));
        simd.store(result, &mut padded);
        tail.copy_from_slice(&padded[..tail.len()]);
        let sum = simd.sum(simd.add(sums, result));
        let factor = simd.splat(1.0 / sum);
        map(simd, self.0, |x| simd.mul(x, factor));
    }
}

#[inline(always)]
pub(crate) fn max_of<S: Simd>(simd: S, values: &[f32]) -> f32 {
    let (whole, tail) = values.as_chunks::<LANES>();
    let mut max = simd.splat(f32::NEG_INFINITY);
    for values in whole {
        max = simd.max(simd.load(values), max);
    }
    tail.iter().fold(simd.max_lane(max), |max, value| if *value > max { *value } else { max })
}

/// The index of the largest value, the first of equals; `None` of nothing. A value that is not a number is never it,
/// unless it stands alone at the front.
pub fn argmax(values: &[f32]) -> Option<usize> {
    if values.is_empty() {
        return None;
    }
    let max = Level::best().call(MaxOf(values));
    Some(values.iter().position(|value| *value == max).unwrap_or(0))
}

struct MaxOf<'a>(&'a [f32]);

impl Work for MaxOf<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        max_of(simd, self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Exp<'a>(&'a mut [f32]);

    impl Work for Exp<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            map(simd, self.0, |x| exp(simd, x));
        }
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    proptest! {
        #[test]
        fn exp_is_the_c_librarys(values in proptest::collection::vec(-87.0f32..88.0, 1..40)) {
            let mut first = Vec::new();
            for level in Level::available() {
                let mut out = values.clone();
                level.call(Exp(&mut out));
                for (x, got) in values.iter().zip(&out) {
                    let want = f64::from(*x).exp();
                    prop_assert!((f64::from(*got) / want - 1.0).abs() < 2.4e-7, "exp({x}) = {got}, not {want}");
                }
                if first.is_empty() { first = out } else { prop_assert_eq!(&first, &out) }
            }
        }

        #[test]
        fn swiglu_is_its_formula(pairs in proptest::collection::vec((-30.0f32..30.0, -3.0f32..3.0), 1..50)) {
            let (gate, up): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let mut first: Vec<f32> = Vec::new();
            for level in Level::available() {
                let mut out = vec![0.0; gate.len()];
                level.call(SwiGlu { gate: &gate, up: &up, out: &mut out });
                for ((gate, up), got) in gate.iter().zip(&up).zip(&out) {
                    let want = f64::from(*gate) * sigmoid(f64::from(*gate)) * f64::from(*up);
                    prop_assert!((f64::from(*got) - want).abs() <= want.abs() * 1e-6 + 1e-12);
                }
                if first.is_empty() { first = out } else { prop_assert_eq!(&first, &out) }
            }
        }

        #[test]
        fn softmax_adds_up_and_is_the_same_at_every_level(
            values in proptest::collection::vec(-20.0f32..20.0, 1..100),
        ) {
            let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = values.iter().map(|x| f64::from(x - max).exp()).sum();
            let mut first: Vec<f32> = Vec::new();
            for level in Level::available() {
                let mut out = values.clone();
                level.call(Softmax(&mut out));
                for (x, got) in values.iter().zip(&out) {
                    prop_assert!((f64::from(*got) - f64::from(x - max).exp() / sum).abs() < 1e-6);
                }
                if first.is_empty() { first = out } else { prop_assert_eq!(&first, &out) }
            }
            prop_assert_eq!(argmax(&values), values.iter().position(|value| *value == max));
        }
    }

    #[test]
    fn gelu_is_its_table() {
        // The formulas in double precision, by Python's math.erf and math.tanh.
        let x = [-3.0f32, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0];
        let exact = [-0.004_049_69, -0.158_655_26, -0.154_268_77, 0.0, 0.345_731_23, 0.841_344_7, 2.995_950_3];
        let tanh = [-0.003_637_392, -0.158_808_01, -0.154_286, 0.0, 0.345_714, 0.841_192, 2.996_362_7];
        let (mut got, mut got_tanh) = (x, x);
        gelu(&mut got);
        gelu_tanh(&mut got_tanh);
        for index in 0..x.len() {
            assert!((got[index] - exact[index]).abs() < 1e-6, "{} {}", got[index], exact[index]);
            assert!((got_tanh[index] - tanh[index]).abs() < 2e-6, "{} {}", got_tanh[index], tanh[index]);
        }
    }

    #[test]
    fn the_ends_of_exp() {
        let mut values = [f32::NEG_INFINITY, -1e9, 1e9, 0.0];
        Level::best().call(Exp(&mut values));
        assert!(values[0] == 0.0 && values[1] == 0.0 && values[2].is_finite() && values[3] == 1.0);
        assert_eq!(argmax(&[]), None);
    }
}
