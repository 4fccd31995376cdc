//! Newton's method (iteratively reweighted least squares) for logistic and softmax regression of modest size.

use super::fit::Progress;
use super::gram::gram;
use super::objective::{Loss, Problem, sigmoid, softmax_in_place};
use super::solve::{cholesky, solve_factored};
use crate::encode::design::{Design, dot};
use crate::{Error, Result};

/// The most parameters: a Hessian costs rows * parameters², and L-BFGS is the faster one beyond.
pub(super) const PARAMETERS_MAX: usize = 400;
/// Iterations without `max_iterations`; ten are usual, more only on separable classes.
pub(super) const ITERATIONS_MAX: u32 = 50;
/// The predicted improvement below which the optimum is reached, relative to the objective.
const DECREMENT_MIN: f64 = 1e-15;
/// A mean log-loss that only separable classes reach: the weights would grow without end.
const SEPARABLE_LOSS: f64 = 1e-8;
/// The part of the mean diagonal that is added where the Hessian is singular, ten times more at each failure.
const DAMPING: f64 = 1e-9;
const HALVINGS_MAX: u32 = 40;

/// Minimises the problem, which has no L1 penalty.
pub(super) fn minimise(problem: &Problem<'_>, progress: &mut Progress<'_>) -> Result<Vec<f64>> {
    let mut weights = vec![0.0; problem.parameters()];
    let mut point = problem.evaluate(&weights)?;
    for _ in 0..progress.of {
        progress.start();
        let hessian = hessian(problem, &weights)?;
        let step = newton_step(problem, &hessian, &point.gradient)?;
        let decrement = -dot(&step, &point.gradient);
        if decrement <= DECREMENT_MIN * (1.0 + point.value.abs()) {
            break;
        }
        let mut length = 1.0;
        let mut halvings = 0;
        let (next, at) = loop {
            let next: Vec<f64> = weights.iter().zip(&step).map(|(weight, step)| weight + length * step).collect();
            let at = problem.evaluate(&next)?;
            if at.value <= point.value - 1e-4 * length * decrement || halvings == HALVINGS_MAX {
                break (next, at);
            }
            length *= 0.5;
            halvings += 1;
        };
        if at.value.is_nan() || at.value > point.value {
            break; // Rounding is all that is left.
        }
        (weights, point) = (next, at);
        progress.report(problem, point.loss, &weights, Some(length))?;
        if point.loss < SEPARABLE_LOSS {
            break;
        }
    }
    Ok(weights)
}

fn hessian(problem: &Problem<'_>, weights: &[f64]) -> Result<Vec<f64>> {
    let (stride, outputs) = (problem.stride(), problem.loss.outputs());
    let n = stride * outputs;
    let pairs = outputs * (outputs + 1) / 2;
    let loss = problem.loss;
    let factors = move |design: &Design<'_>, _: &[f64], rows: &[f64]| curvature(loss, design, weights, stride, rows);
    let blocks = gram(problem.layout, problem.rows, pairs, &factors, problem.driver)?;
    let mut hessian = vec![0.0; n * n];
    let places = (0..outputs).flat_map(|a| (0..=a).map(move |b| (a, b)));
    for ((a, b), block) in places.zip(blocks) {
        for i in 0..stride {
            for j in 0..stride {
                // The block of two classes is symmetric too, but only its lower triangle was computed.
                let value = if i >= j { block[i * stride + j] } else { block[j * stride + i] };
                hessian[(a * stride + i) * n + b * stride + j] = value / problem.weight_sum;
            }
        }
    }
    for i in 0..n {
        if problem.penalised(i) {
            hessian[i * n + i] += problem.l2;
        }
    }
    problem.gauge.add_hessian(outputs, stride, &mut hessian);
    for i in 0..n {
        if !problem.fit_intercept && !problem.penalised(i) {
            (0..n).for_each(|j| {
                hessian[i * n + j] = 0.0;
                hessian[j * n + i] = 0.0;
            });
        }
        if hessian[i * n + i] == 0.0 {
            hessian[i * n + i] = 1.0;
        }
    }
    Ok(hessian)
}

/// The second derivatives of each row's loss by its scores, for the pairs (0,0), (1,0), (1,1), (2,0), ..
fn curvature(loss: Loss, design: &Design<'_>, weights: &[f64], stride: usize, row_weights: &[f64]) -> Vec<Vec<f64>> {
    let rows = design.rows;
    let outputs = loss.outputs();
    let mut scores = vec![0.0; rows * outputs];
    for (scores, weights) in scores.chunks_exact_mut(rows).zip(weights.chunks_exact(stride)) {
        design.multiply_add(weights, scores);
    }
    let mut pairs = vec![vec![0.0; rows]; outputs * (outputs + 1) / 2];
    if outputs == 1 {
        for ((out, score), weight) in pairs[0].iter_mut().zip(&scores).zip(row_weights) {
            let probability = sigmoid(*score);
            *out = weight * probability * (1.0 - probability);
        }
        return pairs;
    }
    let mut probabilities = vec![0.0; outputs];
    for (row, weight) in row_weights.iter().enumerate() {
        for (output, probability) in probabilities.iter_mut().enumerate() {
            *probability = scores[output * rows + row];
        }
        softmax_in_place(&mut probabilities);
        let mut pair = 0;
        for a in 0..outputs {
            for b in 0..=a {
                let same = if a == b { 1.0 } else { 0.0 };
                pairs[pair][row] = weight * probabilities[a] * (same - probabilities[b]);
                pair += 1;
            }
        }
    }
    pairs
}

fn newton_step(problem: &Problem<'_>, hessian: &[f64], gradient: &[f64]) -> Result<Vec<f64>> {
    let n = gradient.len();
    let mean_diagonal = (0..n).map(|i| hessian[i * n + i]).sum::<f64>() / n as f64;
    let mut damping = 0.0;
    loop {
        let mut factor = hessian.to_vec();
        (0..n).for_each(|i| factor[i * n + i] += damping);
        if cholesky(&mut factor, n, problem.driver).is_ok() {
            let mut step: Vec<f64> = gradient.iter().map(|g| -g).collect();
            solve_factored(&factor, n, &mut step);
            return Ok(step);
        }
        damping = if damping == 0.0 { DAMPING * mean_diagonal } else { 10.0 * damping };
        if !damping.is_finite() || damping == 0.0 {
            return Err(Error::data("the second derivatives of the loss are not finite; scale the features"));
        }
    }
}
