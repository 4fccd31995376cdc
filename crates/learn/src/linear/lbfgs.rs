//! L-BFGS (Liu and Nocedal, 1989), and with an L1 penalty OWL-QN (Andrew and Gao, "Scalable training of L1-regularized
//! log-linear models", 2007).

use std::collections::VecDeque;

use super::fit::Progress;
use super::objective::{Point, Problem};
use crate::Result;
use crate::encode::design::dot;

/// Iterations without `max_iterations`.
pub(super) const ITERATIONS_MAX: u32 = 2_000;
/// Pairs of steps and gradient changes that stand for the curvature.
const MEMORY: usize = 20;
/// The largest entry of the gradient at which the optimum is reached.
const GRADIENT_MIN: f64 = 1e-9;
/// Evaluations of one line search.
const SEARCH_MAX: u32 = 50;
/// Conditions of Armijo and of weak Wolfe.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

/// Minimises the problem.
pub(super) fn minimise(problem: &Problem<'_>, progress: &mut Progress<'_>) -> Result<Vec<f64>> {
    let mut weights = vec![0.0; problem.parameters()];
    let mut point = problem.evaluate(&weights)?;
    let mut history: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::with_capacity(MEMORY);
    for iteration in 0..progress.of {
        progress.start();
        let steepest = pseudo_gradient(problem, &weights, &point.gradient);
        if largest(&steepest) <= GRADIENT_MIN {
            break;
        }
        let mut direction = two_loops(&steepest, &history);
        if problem.l1 > 0.0 {
            // Only the part of the step that descends by the L1 penalty too.
            for (at, (step, gradient)) in direction.iter_mut().zip(&steepest).enumerate() {
                if problem.penalised(at) && *step * gradient >= 0.0 {
                    *step = 0.0;
                }
            }
        }
        if dot(&direction, &steepest) >= 0.0 {
            history.clear();
            direction = steepest.iter().map(|g| -g).collect();
        }
        let first = if iteration == 0 { 1.0 / largest(&direction).max(1.0) } else { 1.0 };
        let Some((next, at, length)) = search(problem, &weights, &point, &steepest, &direction, first)? else {
            break; // No step improves: rounding is all that is left.
        };
        let step: Vec<f64> = next.iter().zip(&weights).map(|(next, now)| next - now).collect();
        let change: Vec<f64> = at.gradient.iter().zip(&point.gradient).map(|(next, now)| next - now).collect();
        let curvature = dot(&step, &change);
        if curvature > f64::EPSILON * dot(&change, &change) {
            if history.len() == MEMORY {
                history.pop_front();
            }
            history.push_back((step, change, 1.0 / curvature));
        }
        (weights, point) = (next, at);
        progress.report(problem, point.loss, &weights, Some(length))?;
    }
    Ok(weights)
}

/// The gradient, with the L1 penalty's in the direction in which it falls.
fn pseudo_gradient(problem: &Problem<'_>, weights: &[f64], gradient: &[f64]) -> Vec<f64> {
    if problem.l1 == 0.0 {
        return gradient.to_vec();
    }
    let l1 = problem.l1;
    let entries = weights.iter().zip(gradient).enumerate();
    entries
        .map(|(at, (weight, gradient))| {
            if !problem.penalised(at) {
                *gradient
            } else if *weight != 0.0 {
                gradient + l1 * weight.signum()
            } else if *gradient > l1 {
                gradient - l1
            } else if *gradient < -l1 {
                gradient + l1
            } else {
                0.0
            }
        })
        .collect()
}

/// The quasi-Newton direction.
fn two_loops(gradient: &[f64], history: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut factors = Vec::with_capacity(history.len());
    for (step, change, inverse) in history.iter().rev() {
        let factor = inverse * dot(step, &direction);
        direction.iter_mut().zip(change).for_each(|(d, change)| *d -= factor * change);
        factors.push(factor);
    }
    if let Some((_, change, inverse)) = history.back() {
        let scale = 1.0 / (inverse * dot(change, change));
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((step, change, inverse), factor) in history.iter().zip(factors.into_iter().rev()) {
        let back = inverse * dot(change, &direction);
        direction.iter_mut().zip(step).for_each(|(d, step)| *d += (factor - back) * step);
    }
    direction
}

/// A step that decreases the objective enough (and, without an L1 penalty, flattens it enough), by bisection.
fn search(
    problem: &Problem<'_>,
    weights: &[f64],
    point: &Point,
    steepest: &[f64],
    direction: &[f64],
    first: f64,
) -> Result<Option<(Vec<f64>, Point, f64)>> {
    let slope = dot(direction, steepest);
    let value = point.value + problem.l1_value(weights);
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    for _ in 0..SEARCH_MAX {
        let mut next: Vec<f64> = weights.iter().zip(direction).map(|(weight, d)| weight + length * d).collect();
        if problem.l1 > 0.0 {
            stay_in_orthant(problem, weights, steepest, &mut next);
        }
        let at = problem.evaluate(&next)?;
        let fall = if problem.l1 > 0.0 {
            next.iter().zip(weights).zip(steepest).map(|((next, now), g)| (next - now) * g).sum()
        } else {
            length * slope
        };
        if (at.value + problem.l1_value(&next) - value).is_nan()
            || at.value + problem.l1_value(&next) > value + DECREASE * fall
        {
            high = length;
        } else if problem.l1 == 0.0 && dot(&at.gradient, direction) < CURVATURE * slope {
            low = length;
        } else {
            return Ok(Some((next, at, length)));
        }
        length = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * length };
    }
    Ok(None)
}

/// Weights that would change their sign become zero.
fn stay_in_orthant(problem: &Problem<'_>, weights: &[f64], steepest: &[f64], next: &mut [f64]) {
    for (at, next) in next.iter_mut().enumerate() {
        let sign = if weights[at] != 0.0 { weights[at].signum() } else { -steepest[at].signum() };
        if problem.penalised(at) && *next * sign < 0.0 {
            *next = 0.0;
        }
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}
