//! Batch gradient descent, on request: each step moves against the gradient of all rows, and shrinks the weights by the
//! L1 penalty (the proximal step).

use super::fit::Progress;
use super::objective::{Point, Problem};
use crate::Result;

/// How a step's length is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    /// From this length, doubled after each step and halved until the objective falls as the gradient promises.
    LineSearch(f64),
    /// Always this length.
    Constant(f64),
}

/// Halvings of one line search.
const HALVINGS_MAX: u32 = 60;

/// Runs until `max_iterations`, or until an iteration improves the objective by less than `min_rel_progress`.
pub(super) fn minimise(
    problem: &Problem<'_>,
    rate: Rate,
    min_rel_progress: Option<f64>,
    progress: &mut Progress<'_>,
) -> Result<Vec<f64>> {
    let mut weights = vec![0.0; problem.parameters()];
    let mut point = problem.evaluate(&weights)?;
    let mut length = match rate {
        Rate::LineSearch(length) | Rate::Constant(length) => length,
    };
    for _ in 0..progress.of {
        progress.start();
        let before = point.value + problem.l1_value(&weights);
        let Some((next, at, used)) = step(problem, &weights, &point, length, rate)? else { break };
        let after = at.value + problem.l1_value(&next);
        (weights, point) = (next, at);
        if matches!(rate, Rate::LineSearch(_)) {
            length = 2.0 * used;
        }
        progress.report(problem, point.loss, &weights, Some(used))?;
        let improved = (before - after) / before.abs().max(f64::MIN_POSITIVE);
        if min_rel_progress.is_some_and(|least| improved < least) {
            break;
        }
    }
    Ok(weights)
}

fn step(
    problem: &Problem<'_>,
    weights: &[f64],
    point: &Point,
    length: f64,
    rate: Rate,
) -> Result<Option<(Vec<f64>, Point, f64)>> {
    let mut length = length;
    for _ in 0..HALVINGS_MAX {
        let next: Vec<f64> = weights
            .iter()
            .zip(&point.gradient)
            .enumerate()
            .map(|(at, (weight, gradient))| {
                let moved = weight - length * gradient;
                let shrink = if problem.penalised(at) { length * problem.l1 } else { 0.0 };
                moved.signum() * (moved.abs() - shrink).max(0.0)
            })
            .collect();
        let at = problem.evaluate(&next)?;
        if matches!(rate, Rate::Constant(_)) {
            return Ok(Some((next, at, length)));
        }
        // The quadratic that majorises the smooth part when the length is below one over its curvature.
        let (mut linear, mut squares) = (0.0, 0.0);
        for ((next, now), gradient) in next.iter().zip(weights).zip(&point.gradient) {
            linear += gradient * (next - now);
            squares += (next - now) * (next - now);
        }
        if at.value <= point.value + linear + squares / (2.0 * length) {
            return Ok(Some((next, at, length)));
        }
        length *= 0.5;
    }
    Ok(None)
}
