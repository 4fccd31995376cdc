//! Symmetric linear systems: a blocked parallel Cholesky factorisation, and the minimum-norm solution of a singular one.
//!
//! Matrices are square, row by row; only the lower triangle is read.

use rayon::prelude::*;

use crate::Driver;
use crate::encode::design::dot;

/// Columns that are factored at a time.
const BLOCK: usize = 64;
/// A pivot below this part of its diagonal entry means that a column is a combination of the columns before it: what is
/// left is rounding.
const PIVOT_MIN: f64 = 1e-11;

/// Factors `matrix` in place into `L Lᵀ`.
///
/// # Errors
/// The first column that depends on those before it; the matrix is then partly overwritten.
pub(super) fn cholesky(matrix: &mut [f64], n: usize, driver: &Driver) -> Result<(), usize> {
    let diagonal: Vec<f64> = (0..n).map(|i| matrix[i * n + i]).collect();
    driver.pool().install(|| {
        for start in (0..n).step_by(BLOCK) {
            let end = (start + BLOCK).min(n);
            let (top, below) = matrix.split_at_mut(end * n);
            factor_block(top, n, start..end, &diagonal)?;
            let top = &top[start * n..];
            below.par_chunks_mut(n).for_each(|row| eliminate(row, top, n, start..end));
        }
        Ok(())
    })
}

/// Factors the rows `range`, whose entries left of it are final.
fn factor_block(top: &mut [f64], n: usize, range: std::ops::Range<usize>, diagonal: &[f64]) -> Result<(), usize> {
    for i in range.clone() {
        let (before, row) = top.split_at_mut(i * n);
        for j in range.start..i {
            let other = &before[j * n..j * n + n];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        if pivot.is_nan() || pivot <= PIVOT_MIN * diagonal[i] {
            return Err(i);
        }
        row[i] = pivot.sqrt();
    }
    Ok(())
}

/// Solves for the entries `range` of one row below the factored rows.
fn eliminate(row: &mut [f64], factored: &[f64], n: usize, range: std::ops::Range<usize>) {
    // The columns left of the block first, four at a time so that the row is read once for four products.
    let start = range.start;
    let mut at = range.start;
    while at < range.end {
        let count = (range.end - at).min(4);
        let mut sums = [0.0; 4];
        for (k, sum) in sums[..count].iter_mut().enumerate() {
            let other = &factored[(at + k - start) * n..];
            *sum = dot(&row[..start], &other[..start]);
        }
        row[at..at + count].iter_mut().zip(sums).for_each(|(value, sum)| *value -= sum);
        at += count;
    }
    for j in range {
        let other = &factored[(j - start) * n..(j - start) * n + n];
        row[j] = (row[j] - dot(&row[start..j], &other[start..j])) / other[j];
    }
}

/// Solves `L Lᵀ x = b` in place.
pub(super) fn solve_factored(factor: &[f64], n: usize, x: &mut [f64]) {
    for i in 0..n {
        let row = &factor[i * n..i * n + n];
        x[i] = (x[i] - dot(&row[..i], &x[..i])) / row[i];
    }
    for i in (0..n).rev() {
        let row = &factor[i * n..i * n + n];
        x[i] /= row[i];
        let value = x[i];
        x[..i].iter_mut().zip(row).for_each(|(x, l)| *x -= l * value);
    }
}

/// The solution of `A x = b` with the least sum of squares, for positive semidefinite `A` (Courrieu, "Fast computation
/// of Moore-Penrose inverse matrices", 2005): with `A = L Lᵀ` of full column rank, `x = L (LᵀL)⁻¹ (LᵀL)⁻¹ Lᵀ b`.
pub(super) fn minimum_norm(matrix: &[f64], n: usize, b: &[f64], driver: &Driver) -> Vec<f64> {
    let (columns, rank) = full_rank_factor(matrix, n);
    let mut inner = vec![0.0; rank * rank];
    for i in 0..rank {
        for j in 0..=i {
            inner[i * rank + j] = dot(&columns[i * n..(i + 1) * n], &columns[j * n..(j + 1) * n]);
        }
    }
    let mut small: Vec<f64> = (0..rank).map(|i| dot(&columns[i * n..(i + 1) * n], b)).collect();
    if cholesky(&mut inner, rank, driver).is_err() {
        return vec![0.0; n];
    }
    solve_factored(&inner, rank, &mut small);
    solve_factored(&inner, rank, &mut small);
    let mut x = vec![0.0; n];
    for (column, factor) in columns.chunks_exact(n).zip(&small) {
        x.iter_mut().zip(column).for_each(|(x, l)| *x += factor * l);
    }
    x
}

/// The columns of `L` one after the other (each `n` long), and their number: the pivoted factorisation leaves out
/// columns that depend on others.
fn full_rank_factor(matrix: &[f64], n: usize) -> (Vec<f64>, usize) {
    let mut columns: Vec<f64> = Vec::new();
    let mut left: Vec<f64> = (0..n).map(|i| matrix[i * n + i]).collect();
    let largest = left.iter().copied().fold(0.0, f64::max);
    let mut rank = 0;
    while rank < n {
        let Some((pivot, value)) = left.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        if value <= PIVOT_MIN * largest {
            break;
        }
        let root = value.sqrt();
        let mut column: Vec<f64> =
            (0..n).map(|i| if i >= pivot { matrix[i * n + pivot] } else { matrix[pivot * n + i] }).collect();
        for earlier in columns.chunks_exact(n) {
            let factor = earlier[pivot];
            column.iter_mut().zip(earlier).for_each(|(value, l)| *value -= factor * l);
        }
        for (i, value) in column.iter_mut().enumerate() {
            *value = if left[i] == f64::NEG_INFINITY { 0.0 } else { *value / root };
        }
        column[pivot] = root;
        for (left, value) in left.iter_mut().zip(&column) {
            *left -= value * value;
        }
        left[pivot] = f64::NEG_INFINITY;
        columns.extend_from_slice(&column);
        rank += 1;
    }
    (columns, rank)
}

#[cfg(test)]
mod tests {
    use lakemill_base::SplitMix64;

    use super::*;

    fn random_gram(rows: usize, n: usize, seed: u64) -> Vec<f64> {
        let mut random = SplitMix64::new(seed);
        let x: Vec<f64> = (0..rows * n).map(|_| random.next_normal()).collect();
        let mut gram = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                gram[i * n + j] = (0..rows).map(|r| x[r * n + i] * x[r * n + j]).sum();
            }
        }
        gram
    }

    fn multiply(matrix: &[f64], x: &[f64]) -> Vec<f64> {
        matrix.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
    }

    #[test]
    fn solves_systems_of_every_size_around_the_block() {
        let driver = Driver::new(2).unwrap();
        for n in [1, 2, 63, 64, 65, 130, 200] {
            let gram = random_gram(n + 10, n, n as u64);
            let truth: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
            let mut x = multiply(&gram, &truth);
            let mut factor = gram.clone();
            cholesky(&mut factor, n, &driver).unwrap();
            solve_factored(&factor, n, &mut x);
            for (x, truth) in x.iter().zip(&truth) {
                assert!((x - truth).abs() < 1e-6, "{n}: {x} {truth}");
            }
        }
    }

    #[test]
    fn a_singular_system_gives_the_shortest_solution() {
        let driver = Driver::new(2).unwrap();
        // Two equal columns: the weight is shared.
        let gram = [2.0, 2.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 1.0];
        assert_eq!(cholesky(&mut gram.clone(), 3, &driver), Err(1));
        let x = minimum_norm(&gram, 3, &[4.0, 4.0, 3.0], &driver);
        for (x, truth) in x.iter().zip([1.0, 1.0, 3.0]) {
            assert!((x - truth).abs() < 1e-12);
        }
    }
}
