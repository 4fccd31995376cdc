//! Normalisation of rows.

use crate::simd::{LANES, Level, Simd, Work};

/// `out = x / sqrt(mean(x^2) + epsilon) * weight` (Zhang and Sennrich, Root Mean Square Layer Normalization, 2019).
///
/// # Panics
/// When the slices differ in length.
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    assert!(x.len() == out.len() && weight.len() == out.len(), "x, weight and out are of one length");
    let factor = 1.0 / (Level::best().call(Dot(x, x)) / x.len() as f32 + epsilon).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * factor * weight;
    }
}

/// `out = (x - mean) / sqrt(variance + epsilon) * weight + bias` (Ba et al., Layer Normalization, 2016). `x` is
/// normalised in place.
///
/// # Panics
/// When the slices differ in length.
pub fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    assert!(x.len() == weight.len() && x.len() == bias.len(), "x, weight and bias are of one length");
    let count = x.len() as f32;
    let mean = Level::best().call(Sum(x)) / count;
    x.iter_mut().for_each(|x| *x -= mean);
    let factor = 1.0 / (Level::best().call(Dot(x, x)) / count + epsilon).sqrt();
    for ((x, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
        *x = (*x * factor).mul_add(*weight, *bias);
    }
}

struct Sum<'a>(&'a [f32]);

impl Work for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let (whole, tail) = self.0.as_chunks::<LANES>();
        let mut sums = simd.splat(0.0);
        for values in whole {
            sums = simd.add(sums, simd.load(values));
        }
        let mut padded = [0.0; LANES];
        padded[..tail.len()].copy_from_slice(tail);
        simd.sum(simd.add(sums, simd.load(&padded)))
    }
}

/// The dot product of two slices of one length.
pub(crate) struct Dot<'a>(pub(crate) &'a [f32], pub(crate) &'a [f32]);

impl Work for Dot<'_> {
    type Output = f32;

    /// Four sums of sixteen lanes, then one of sixteen, then the rest filled up with zeros.
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let (a, b) = (self.0, self.1);
        let (wide_a, rest_a) = a.as_chunks::<{ 4 * LANES }>();
        let (wide_b, rest_b) = b.as_chunks::<{ 4 * LANES }>();
        let mut sums = [simd.splat(0.0); 4];
        for (a, b) in wide_a.iter().zip(wide_b) {
            let ((a, _), (b, _)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
            for index in 0..4 {
                sums[index] = simd.fma(simd.load(&a[index]), simd.load(&b[index]), sums[index]);
            }
        }
        let (whole_a, tail_a) = rest_a.as_chunks::<LANES>();
        let (whole_b, tail_b) = rest_b.as_chunks::<LANES>();
        for (a, b) in whole_a.iter().zip(whole_b) {
            sums[0] = simd.fma(simd.load(a), simd.load(b), sums[0]);
        }
        let (mut a, mut b) = ([0.0; LANES], [0.0; LANES]);
        a[..tail_a.len()].copy_from_slice(tail_a);
        b[..tail_b.len()].copy_from_slice(tail_b);
        sums[1] = simd.fma(simd.load(&a), simd.load(&b), sums[1]);
        simd.sum(simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3])))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_near_and_the_same_at_every_level(values in proptest::collection::vec(-9.0f32..9.0, 0..300)) {
            let other: Vec<f32> = values.iter().rev().copied().collect();
            let want: f64 = values.iter().zip(&other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let scale: f64 = values.iter().zip(&other).map(|(a, b)| (f64::from(*a) * f64::from(*b)).abs()).sum();
            let dots: Vec<f32> = Level::available().into_iter().map(|level| level.call(Dot(&values, &other))).collect();
            let sums: Vec<f32> = Level::available().into_iter().map(|level| level.call(Sum(&values))).collect();
            prop_assert!((f64::from(dots[0]) - want).abs() <= scale * 1e-6);
            prop_assert!(dots.iter().all(|dot| *dot == dots[0]) && sums.iter().all(|sum| *sum == sums[0]));
        }

        #[test]
        fn norms_are_their_formulas(values in proptest::collection::vec(-9.0f32..9.0, 1..100), epsilon in 1e-6f32..1e-3) {
            let count = values.len() as f64;
            let weight: Vec<f32> = (0..values.len()).map(|index| 0.5 + index as f32 * 0.01).collect();
            let bias: Vec<f32> = weight.iter().map(|weight| 1.0 - weight).collect();
            let square: f64 = values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>() / count;
            let mut out = vec![0.0; values.len()];
            rms_norm(&values, &weight, epsilon, &mut out);
            for ((x, weight), got) in values.iter().zip(&weight).zip(&out) {
                let want = f64::from(*x) / (square + f64::from(epsilon)).sqrt() * f64::from(*weight);
                prop_assert!((f64::from(*got) - want).abs() < 1e-5 * (1.0 + want.abs()));
            }
            let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
            let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
            let mut out = values.clone();
            layer_norm(&mut out, &weight, &bias, epsilon);
            for (index, got) in out.iter().enumerate() {
                let unit = (f64::from(values[index]) - mean) / (variance + f64::from(epsilon)).sqrt();
                let want = unit * f64::from(weight[index]) + f64::from(bias[index]);
                prop_assert!((f64::from(*got) - want).abs() < 1e-4 * (1.0 + want.abs()) + 1e-4 / f64::from(epsilon).sqrt() * 1e-3);
            }
        }
    }
}
