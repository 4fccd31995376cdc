//! Linear regression by the normal equations `(XᵀSX/Σs + l2) w = XᵀSy/Σs`, and with an L1 penalty by coordinate
//! descent on the same matrix (Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via
//! coordinate descent", 2010).

use super::gram::gram;
use super::objective::Problem;
use super::solve::{cholesky, minimum_norm, solve_factored};
use crate::Result;

/// Coordinate descent ends when no weight moves by more than this part of the largest.
const COORDINATE_TOLERANCE: f64 = 1e-12;
const SWEEPS_MAX: usize = 10_000;

/// The weights that minimise the problem, whose loss is the squared one.
pub(super) fn solve(problem: &Problem<'_>) -> Result<Vec<f64>> {
    let n = problem.stride();
    let take_weights = |_: &crate::encode::design::Design<'_>, _: &[f64], weights: &[f64]| vec![weights.to_vec()];
    let mut matrix =
        gram(problem.layout, problem.rows, 1, &take_weights, problem.driver)?.pop().unwrap_or_else(|| vec![0.0; n * n]);
    matrix.iter_mut().for_each(|value| *value /= problem.weight_sum);
    // The gradient at zero is the right side with its sign turned; the penalties vanish there.
    let right: Vec<f64> = problem.evaluate(&vec![0.0; n])?.gradient.iter().map(|g| -g).collect();
    add_penalties(problem, &mut matrix);
    if problem.l1 > 0.0 {
        return Ok(coordinate_descent(problem, matrix, right));
    }
    let mut weights = right.clone();
    let mut factor = matrix;
    // A singular matrix is factored anew from a copy; rather than keep one, its diagonal and upper triangle do.
    mirror(&mut factor, n);
    let diagonal: Vec<f64> = (0..n).map(|i| factor[i * n + i]).collect();
    if cholesky(&mut factor, n, problem.driver).is_err() {
        restore(&mut factor, n, &diagonal);
        return Ok(minimum_norm(&factor, n, &right, problem.driver));
    }
    solve_factored(&factor, n, &mut weights);
    Ok(weights)
}

fn add_penalties(problem: &Problem<'_>, matrix: &mut [f64]) {
    let n = problem.stride();
    let last = n - 1;
    for i in 0..last {
        matrix[i * n + i] += problem.l2;
    }
    problem.gauge.add_hessian(1, n, matrix);
    if !problem.fit_intercept {
        matrix[last * n..last * n + last].fill(0.0);
        matrix[last * n + last] = 0.0;
    }
    // A column without any value has weight 0.
    for i in 0..n {
        if matrix[i * n + i] == 0.0 {
            matrix[i * n + i] = 1.0;
        }
    }
}

/// Copies the lower triangle to the upper one, which the factorisation leaves alone.
fn mirror(matrix: &mut [f64], n: usize) {
    for i in 0..n {
        for j in 0..i {
            matrix[j * n + i] = matrix[i * n + j];
        }
    }
}

fn restore(matrix: &mut [f64], n: usize, diagonal: &[f64]) {
    for i in 0..n {
        matrix[i * n + i] = diagonal[i];
        for j in 0..i {
            matrix[i * n + j] = matrix[j * n + i];
        }
    }
}

/// Minimises `wᵀAw/2 - bᵀw + l1 |w|`, one weight at a time.
fn coordinate_descent(problem: &Problem<'_>, mut matrix: Vec<f64>, right: Vec<f64>) -> Vec<f64> {
    let n = problem.stride();
    mirror(&mut matrix, n);
    let mut weights = vec![0.0; n];
    // What is left of the right side: b - A w.
    let mut residual = right;
    for _ in 0..SWEEPS_MAX {
        let (mut moved, mut largest) = (0.0f64, 0.0f64);
        for i in 0..n {
            let row = &matrix[i * n..(i + 1) * n];
            let target = residual[i] + row[i] * weights[i];
            let shrink = if problem.penalised(i) { problem.l1 } else { 0.0 };
            let new = target.signum() * (target.abs() - shrink).max(0.0) / row[i];
            let step = new - weights[i];
            if step != 0.0 {
                residual.iter_mut().zip(row).for_each(|(residual, a)| *residual -= a * step);
                weights[i] = new;
            }
            moved = moved.max(step.abs());
            largest = largest.max(new.abs());
        }
        if moved <= COORDINATE_TOLERANCE * largest.max(f64::MIN_POSITIVE) {
            break;
        }
    }
    weights
}
