//! How near two vectors are: the dot product and the squared distance, of 32-bit numbers.
//!
//! Sums run in as many lanes as the widest registers hold and are added up in one order, without fused multiplication, so
//! that every path gives the same bits.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "the processor is asked for its registers at run time")
)]

/// Partial sums: two registers of AVX-512, so that one addition need not wait for the other.
const LANES: usize = 32;

/// The sum of products of two vectors of one length; elements that only one of them has do not count.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    widest(a, b, Measure::Dot)
}

/// The sum of squared differences of two vectors of one length; elements that only one of them has do not count.
pub fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    widest(a, b, Measure::SquaredDistance)
}

#[derive(Clone, Copy)]
enum Measure {
    Dot,
    SquaredDistance,
}

#[cfg(target_arch = "x86_64")]
fn widest(a: &[f32], b: &[f32], measure: Measure) -> f32 {
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512F.
        return unsafe { wide_512(a, b, measure) };
    }
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { wide_256(a, b, measure) };
    }
    plain(a, b, measure)
}

#[cfg(not(target_arch = "x86_64"))]
fn widest(a: &[f32], b: &[f32], measure: Measure) -> f32 {
    plain(a, b, measure)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn wide_512(a: &[f32], b: &[f32], measure: Measure) -> f32 {
    plain(a, b, measure)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn wide_256(a: &[f32], b: &[f32], measure: Measure) -> f32 {
    plain(a, b, measure)
}

#[inline(always)]
fn plain(a: &[f32], b: &[f32], measure: Measure) -> f32 {
    match measure {
        Measure::Dot => summed(a, b, |a, b| a * b),
        Measure::SquaredDistance => summed(a, b, |a, b| (a - b) * (a - b)),
    }
}

#[inline(always)]
fn summed(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let length = a.len().min(b.len());
    let (a_blocks, a_rest) = a[..length].as_chunks::<LANES>();
    let (b_blocks, b_rest) = b[..length].as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(*a, *b);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        let (low, high) = sums.split_at_mut(width);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        width /= 2;
    }
    a_rest.iter().zip(b_rest).fold(sums[0], |sum, (a, b)| sum + term(*a, *b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(length: usize, seed: u32) -> Vec<f32> {
        let value = |index: usize| ((index as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32;
        (0..length).map(|index| value(index) / 8_388_608.0 - 1.0).collect()
    }

    #[test]
    fn every_length_agrees_with_a_sum_in_double_precision() {
        for length in (0..70).chain([127, 128, 384, 385, 1536]) {
            let (a, b) = (vector(length, 1), vector(length, 77));
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e-4, "{length}");
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            assert!((f64::from(squared_distance(&a, &b)) - exact).abs() < 1e-3, "{length}");
        }
    }

    #[test]
    fn every_path_gives_the_same_bits() {
        for length in [0, 1, 31, 32, 33, 100, 384] {
            let (a, b) = (vector(length, 3), vector(length, 5));
            assert_eq!(dot(&a, &b).to_bits(), plain(&a, &b, Measure::Dot).to_bits());
            let measure = Measure::SquaredDistance;
            assert_eq!(squared_distance(&a, &b).to_bits(), plain(&a, &b, measure).to_bits());
        }
    }
}
