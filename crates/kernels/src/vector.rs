//! Distances of vectors, for search among embeddings.

use crate::norm::Dot;
use crate::simd::Level;

/// The dot product.
///
/// # Panics
/// When the vectors differ in length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one length");
    Level::best().call(Dot(a, b))
}

/// The cosine of the angle between two vectors; 0 where one of them has no length.
///
/// # Panics
/// When the vectors differ in length.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

/// The square of the Euclidean distance. Summed by eight lanes' worth of plain code that the compiler vectorises.
///
/// # Panics
/// When the vectors differ in length.
pub fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one length");
    const LANES: usize = 16;
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            let difference = a[lane] - b[lane];
            sums[lane] = difference.mul_add(difference, sums[lane]);
        }
    }
    let tail: f32 = a_tail.iter().zip(b_tail).map(|(a, b)| (a - b) * (a - b)).sum();
    sums.iter().sum::<f32>() + tail
}

/// The dot products of a query with every vector of `vectors`, which is `[out.len(), query.len()]`.
///
/// # Panics
/// When `vectors` has another length.
pub fn dots(query: &[f32], vectors: &[f32], out: &mut [f32]) {
    assert_eq!(vectors.len(), query.len() * out.len(), "as many vectors as results");
    let level = Level::best();
    for (vector, out) in vectors.chunks_exact(query.len().max(1)).zip(out) {
        *out = level.call(Dot(query, vector));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors() {
        let a: Vec<f32> = (1..=35).map(|index| index as f32).collect();
        let b: Vec<f32> = a.iter().map(|value| value * 2.0).collect();
        // 35 * 36 * 71 / 6 = 14,910.
        assert_eq!(dot(&a, &a), 14_910.0);
        assert_eq!(squared_distance(&a, &b), 14_910.0);
        assert!((cosine(&a, &b) - 1.0).abs() < 1e-6);
        assert_eq!(cosine(&[0.0; 3], &[1.0; 3]), 0.0);
        let mut out = [0.0; 2];
        dots(&a, &[a.clone(), b].concat(), &mut out);
        assert_eq!(out, [14_910.0, 29_820.0]);
    }
}
