//! Maxima, exponentials and sums over a row of logits, in an order that does not depend on the machine.

/// Sums run in this many lanes, which the compiler turns into vector registers.
const LANES: usize = 16;

/// Rows are searched in stretches of this many.
const STRETCH: usize = 512;

/// The first largest element and its index; NaN counts as minus infinity. `(0, -inf)` for an empty row.
pub(crate) fn argmax(row: &[f32]) -> (u32, f32) {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    let max = lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |max, value| if *value > max { *value } else { max });
    // Whole stretches are compared at once; only the one that has it is walked through.
    let stretch =
        row.chunks(STRETCH).position(|chunk| chunk.iter().fold(false, |found, value| found | (*value == max)));
    let start = stretch.map_or(0, |stretch| stretch * STRETCH);
    let at = row[start..].iter().position(|value| *value == max).map_or(0, |at| start + at);
    (at as u32, max)
}

/// e^x for x <= 0, within 2 units in the last place; 0 below -87.
///
/// x = k ln 2 + r with |r| <= ln 2 / 2; e^r by the polynomial of Cephes (Moshier), 2^k by the exponent's bits. Written
/// without branches, so that a loop over it becomes vector code.
#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.0, 0.0);
    let k = (clamped * std::f32::consts::LOG2_E).round_ties_even();
    let r = k.mul_add(-LN2_LOW, k.mul_add(-LN2_HIGH, clamped));
    let mut p = 1.987_569_2e-4_f32;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul_add(r, coefficient);
    }
    let e = p.mul_add(r * r, r) + 1.0;
    let scale = f32::from_bits((((k as i32) + 127) << 23) as u32);
    // NaN stands for "not allowed" and gives 0 like everything far below.
    if x >= -87.0 { e * scale } else { 0.0 }
}

/// The sum of `values` in 64 bits.
pub(crate) fn sum(values: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(*value);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|value| f64::from(*value)).sum::<f64>()
}

/// The logarithm of the sum of the exponentials of a row.
pub(crate) fn log_sum_exp(row: &[f32]) -> f64 {
    let (_, max) = argmax(row);
    if !max.is_finite() {
        return f64::from(max);
    }
    let mut total = 0.0;
    let mut weights = [0.0_f32; 256];
    for chunk in row.chunks(weights.len()) {
        for (weight, logit) in weights.iter_mut().zip(chunk) {
            *weight = exp(logit - max);
        }
        total += sum(&weights[..chunk.len()]);
    }
    f64::from(max) + total.ln()
}

/// The report on `token` and the `top` most probable ones, from unchanged logits.
pub(crate) fn log_probability(row: &[f32], token: u32, top: usize) -> crate::TokenLogProbability {
    let normal = log_sum_exp(row);
    let of = |logit: f32| (f64::from(logit) - normal) as f32;
    let own = row.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
    let rank = row.iter().filter(|logit| **logit > own).count();
    let mut best = Vec::new();
    super::draw::largest(row, top, &mut best);
    let top = best.into_iter().map(|(token, logit)| (token, of(logit))).collect();
    crate::TokenLogProbability { token, log_probability: of(own), rank, top }
}

#[cfg(test)]
mod tests {
    use super::{argmax, exp, log_probability, log_sum_exp};

    #[test]
    fn exp_is_near_the_standard_library() {
        let mut worst = 0.0_f64;
        for i in 0..400_000 {
            let x = -87.0 * i as f32 / 400_000.0;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        // Two units in the last place of 24 bits.
        assert!(worst < 2.4e-7, "{worst}");
        assert_eq!((exp(0.0), exp(-90.0), exp(f32::NEG_INFINITY), exp(f32::NAN)), (1.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn normalises_and_ranks() {
        let row: Vec<f32> = (0..1000).map(|i| ((i * 37) % 1000) as f32 / 100.0).collect();
        let exact = row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
        assert!((log_sum_exp(&row) - exact).abs() < 1e-6);
        let (best, max) = argmax(&row);
        assert_eq!((row[best as usize], max), (9.99, 9.99));
        let report = log_probability(&row, 1, 2);
        assert_eq!((report.rank, report.top[0].0), (999 - 37, best));
        assert!((f64::from(report.log_probability) - (0.37 - exact)).abs() < 1e-5);
    }
}
