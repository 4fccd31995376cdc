//! Derivatives of losses, and their rounding to integers.
//!
//! The exponential and the logarithm are our own: they vectorise, and they give the same bits on every machine, which
//! the C library's do not.

use crate::histogram::{DERIVATIVE_BITS, pack};

/// `1.5 * 2^52`: adding it to a number below `2^51` leaves that number, rounded to an integer, in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// `e^x` with a relative error of a few units in the last place; `x` is cut to [-708, 708].
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = x.clamp(-708.0, 708.0);
    let rounded = x.mul_add(std::f64::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    // Taylor's series up to r^13: |r| <= ln(2) / 2, so the remainder is below 5e-18.
    let mut sum = 1.0 / 6_227_020_800.0;
    for factor in [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = r.mul_add(sum, factor);
    }
    f64::from_bits(sum.to_bits().wrapping_add(rounded.to_bits() << 52))
}

/// `ln(1 + x)` for `x` in [0, 1], relative error below 1e-15.
#[inline(always)]
pub fn ln_1p_unit(x: f64) -> f64 {
    // ln(1 + x) = 2 atanh(s) with s = x / (2 + x) <= 1/3; the first term left out is s^33 / 33.
    const FACTORS: [f64; 15] = [
        1.0 / 29.0,
        1.0 / 27.0,
        1.0 / 25.0,
        1.0 / 23.0,
        1.0 / 21.0,
        1.0 / 19.0,
        1.0 / 17.0,
        1.0 / 15.0,
        1.0 / 13.0,
        1.0 / 11.0,
        1.0 / 9.0,
        1.0 / 7.0,
        1.0 / 5.0,
        1.0 / 3.0,
        1.0,
    ];
    let s = x / (2.0 + x);
    let square = s * s;
    let mut sum = 1.0 / 31.0;
    for factor in FACTORS {
        sum = square.mul_add(sum, factor);
    }
    2.0 * s * sum
}

/// The logistic function `1 / (1 + e^-x)`, without loss of digits on either side.
#[inline(always)]
pub fn logistic(x: f64) -> f64 {
    let e = exp(-x.abs());
    let tail = if x < 0.0 { e } else { 1.0 };
    tail / (1.0 + e)
}

/// Replaces log-odds by probabilities.
pub fn logistic_in_place(scores: &mut [f64]) {
    for score in scores {
        *score = logistic(*score);
    }
}

/// Log-losses `ln(1 + e^s) - t s` of the log-odds `scores`, and their derivatives by the scores.
///
/// # Panics
/// When the slices differ in length.
pub fn logistic_losses_and_derivatives(
    scores: &[f64],
    target: &[f64],
    losses: &mut [f64],
    first: &mut [f64],
    second: &mut [f64],
) {
    let rows = target.len();
    assert!(scores.len() == rows && losses.len() == rows && first.len() == rows && second.len() == rows);
    let inputs = scores.iter().zip(target);
    for (((score, target), loss), (first, second)) in inputs.zip(losses).zip(first.iter_mut().zip(second)) {
        let e = exp(-score.abs());
        let inverse = 1.0 / (1.0 + e);
        let p = if *score < 0.0 { e * inverse } else { inverse };
        *first = p - target;
        *second = (e * inverse * inverse).max(SECOND_MIN);
        *loss = target.mul_add(-score, score.max(0.0)) + ln_1p_unit(e);
    }
}

/// The least second derivative of a log-loss, as in XGBoost: a leaf of rows that are all but certain keeps a weight.
pub const SECOND_MIN: f64 = 1e-16;

/// Log-losses of log-odds: `losses[i] = ln(1 + e^s) - t s`.
///
/// # Panics
/// When the slices differ in length.
pub fn logistic_losses(scores: &[f64], target: &[f64], losses: &mut [f64]) {
    assert!(scores.len() == target.len() && losses.len() == target.len());
    for ((score, target), loss) in scores.iter().zip(target).zip(losses) {
        *loss = target.mul_add(-score, score.max(0.0)) + ln_1p_unit(exp(-score.abs()));
    }
}

/// The largest rounded derivative.
const DERIVATIVE_MAX: f64 = ((1u64 << DERIVATIVE_BITS) - 1) as f64;

/// The factor that maps derivatives of at most `largest` onto the rounded range.
pub fn rounding_scale(largest: f64) -> f64 {
    let scale = DERIVATIVE_MAX / largest;
    if scale.is_finite() { scale } else { 1.0 }
}

/// Rounds derivatives to integers and packs each row's two into one.
///
/// # Panics
/// When the slices differ in length.
pub fn round_and_pack(first: &[f64], second: &[f64], scales: [f64; 2], packed: &mut [u64]) {
    assert!(first.len() == packed.len() && second.len() == packed.len());
    for ((first, second), packed) in first.iter().zip(second).zip(packed) {
        *packed = pack(round(first * scales[0]), round(second * scales[1]));
    }
}

/// Rounds derivatives to integers that keep 40 bits, for sums that cannot be packed.
///
/// # Panics
/// When the slices differ in length.
pub fn round_wide(first: &[f64], second: &[f64], scales: [f64; 2], wide: &mut [[i64; 2]]) {
    assert!(first.len() == wide.len() && second.len() == wide.len());
    for ((first, second), wide) in first.iter().zip(second).zip(wide) {
        *wide = [round(first * scales[0]), round(second * scales[1])];
    }
}

#[inline(always)]
fn round(x: f64) -> i64 {
    ((x + ROUND).to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::histogram::unpack;

    fn near(a: f64, b: f64, relative: f64) -> bool {
        (a - b).abs() <= relative * b.abs() + f64::MIN_POSITIVE
    }

    proptest! {
        #[test]
        fn exp_is_the_c_librarys(x in -700.0f64..700.0) {
            prop_assert!(near(exp(x), x.exp(), 4e-16 + x.abs() * 1e-18), "{} {}", exp(x), x.exp());
        }

        #[test]
        fn ln_1p_is_the_c_librarys(x in 0.0f64..=1.0) {
            prop_assert!(near(ln_1p_unit(x), x.ln_1p(), 1e-15), "{} {}", ln_1p_unit(x), x.ln_1p());
        }

        #[test]
        fn derivatives_are_those_of_the_loss(score in -30.0f64..30.0, target in 0u8..2) {
            let target = f64::from(target);
            let (mut both, mut first, mut second) = ([0.0], [0.0], [0.0]);
            logistic_losses_and_derivatives(&[score], &[target], &mut both, &mut first, &mut second);
            let p = 1.0 / (1.0 + (-score).exp());
            prop_assert!((first[0] - (p - target)).abs() < 1e-15);
            prop_assert!(near(second[0], (p * (1.0 / (1.0 + score.exp()))).max(SECOND_MIN), 1e-14));
            let mut loss = [0.0];
            logistic_losses(&[score], &[target], &mut loss);
            prop_assert_eq!(loss, both);
            let want = if target == 1.0 { (-score).exp().ln_1p() } else { score.exp().ln_1p() };
            prop_assert!((loss[0] - want).abs() < 1e-13 * (1.0 + score.abs()), "{} {want}", loss[0]);
        }

        #[test]
        fn rounding_is_to_the_nearest(first in -1.0f64..1.0, second in 0.0f64..1.0) {
            let scale = rounding_scale(1.0);
            let mut packed = [0];
            round_and_pack(&[first], &[second], [scale, scale], &mut packed);
            let (one, two) = unpack(packed[0]);
            prop_assert_eq!(one as f64, (first * scale).round_ties_even());
            prop_assert_eq!(two as f64, (second * scale).round_ties_even());
        }
    }

    #[test]
    fn the_ends_are_finite() {
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e9) > 0.0 && exp(1e9).is_finite());
        assert_eq!(logistic(0.0), 0.5);
        assert!(logistic(1e9) == 1.0 && logistic(-1e9) < 1e-300);
        assert_eq!(rounding_scale(0.0), 1.0);
    }
}
