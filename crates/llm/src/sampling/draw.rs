//! Drawing a token from filtered probabilities.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{Scratch, probability};
use crate::Sampling;

/// The least temperature that is told from 0 in the division of logits.
const TEMPERATURE_MIN: f32 = 1e-5;
/// Rows are summed and searched in stretches of this many, most of which are skipped.
const STRETCH: usize = 128;
/// How many of the most probable tokens top-p looks at first.
const FEW: usize = 128;

/// The token at `uniform` in [0, 1) of the filtered distribution; `None` only by rounding.
pub(super) fn draw(sampling: &Sampling, logits: &[f32], max: f32, uniform: f64, scratch: &mut Scratch) -> Option<u32> {
    let scale = 1.0 / sampling.temperature.max(TEMPERATURE_MIN);
    if sampling.top_k > 0 && sampling.top_k < logits.len() {
        largest(logits, sampling.top_k, &mut scratch.candidates);
        for (_, value) in &mut scratch.candidates {
            *value = probability::exp((*value - max) * scale);
        }
        scratch.candidates.retain(|(_, weight)| *weight > 0.0 && *weight >= sampling.min_p);
        return among(&mut scratch.candidates, sampling.top_p, uniform);
    }
    let weights = &mut scratch.weights;
    weights.clear();
    weights.extend(logits.iter().map(|logit| probability::exp((logit - max) * scale)));
    if sampling.min_p > 0.0 {
        for weight in weights.iter_mut() {
            *weight = if *weight >= sampling.min_p { *weight } else { 0.0 };
        }
    }
    if sampling.top_p >= 1.0 {
        return walk(weights, uniform);
    }
    let whole = probability::sum(weights);
    let candidates = &mut scratch.candidates;
    let goal = f64::from(sampling.top_p) * whole;
    // A model is sure enough as a rule that a few tokens reach the goal.
    largest(weights, FEW, candidates);
    if cut(candidates, goal) {
        return among(candidates, 1.0, uniform);
    }
    candidates.clear();
    // All tokens below this weight together have less than 1 - top_p of the whole, so none of them is wanted.
    let least = (1.0 - f64::from(sampling.top_p)) * whole / weights.len() as f64;
    let wanted = |(_, weight): &(u32, f32)| *weight > 0.0 && f64::from(*weight) >= least;
    candidates.extend((0..).zip(weights.iter().copied()).filter(wanted));
    candidates.sort_unstable_by(order);
    cut(candidates, goal);
    among(candidates, 1.0, uniform)
}

/// Larger values first, lower ids first among equals.
fn order(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// An entry of a heap whose top is the worst.
#[derive(PartialEq)]
struct Entry((u32, f32));

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

/// Puts the `count` largest elements of `row` with their indices into `out`, largest first, lower indices first among
/// equals. NaN and minus infinity are left out.
pub(super) fn largest(row: &[f32], count: usize, out: &mut Vec<(u32, f32)>) {
    out.clear();
    if count == 0 {
        return;
    }
    let mut heap: BinaryHeap<Entry> = BinaryHeap::with_capacity(count.min(row.len()) + 1);
    let mut least = f32::NEG_INFINITY;
    for (stretch, values) in row.chunks(STRETCH).enumerate() {
        // Most stretches have nothing to offer, which is seen for a whole one at once.
        if !values.iter().fold(false, |any, value| any | (*value > least)) {
            continue;
        }
        for (index, value) in (stretch * STRETCH..).zip(values.iter().copied()) {
            // Later indices lose against equals.
            if value > least {
                heap.push(Entry((index as u32, value)));
                if heap.len() > count {
                    heap.pop();
                }
                if heap.len() == count {
                    least = heap.peek().map_or(least, |entry| entry.0.1);
                }
            }
        }
    }
    out.extend(heap.into_iter().map(|entry| entry.0));
    out.sort_unstable_by(order);
}

/// Keeps the first candidates whose weights reach `goal`. False where all of them do not.
fn cut(candidates: &mut Vec<(u32, f32)>, goal: f64) -> bool {
    let mut sum = 0.0;
    let reached = candidates.iter().position(|(_, weight)| {
        sum += f64::from(*weight);
        sum >= goal
    });
    if let Some(last) = reached {
        candidates.truncate(last + 1);
    }
    reached.is_some()
}

/// Draws among sorted candidates after the cut at `top_p` of their sum.
fn among(candidates: &mut Vec<(u32, f32)>, top_p: f32, uniform: f64) -> Option<u32> {
    let total = |candidates: &[(u32, f32)]| candidates.iter().map(|(_, weight)| f64::from(*weight)).sum::<f64>();
    if top_p < 1.0 {
        let goal = f64::from(top_p) * total(candidates);
        cut(candidates, goal);
    }
    let mut left = uniform * total(candidates);
    for (token, weight) in candidates.iter() {
        left -= f64::from(*weight);
        if left < 0.0 {
            return Some(*token);
        }
    }
    candidates.last().map(|(token, _)| *token)
}

/// Draws among all weights, in the order of their ids.
fn walk(weights: &[f32], uniform: f64) -> Option<u32> {
    let sums: Vec<f64> = weights.chunks(STRETCH).map(probability::sum).collect();
    let mut left = uniform * sums.iter().sum::<f64>();
    for (stretch, (weights, sum)) in weights.chunks(STRETCH).zip(&sums).enumerate() {
        if left >= *sum {
            left -= sum;
            continue;
        }
        let mut last = None;
        for (index, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            left -= f64::from(*weight);
            last = Some((stretch * STRETCH + index) as u32);
            if left < 0.0 {
                break;
            }
        }
        return last;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{largest, order};

    proptest! {
        #[test]
        fn largest_equals_sorting(row in prop::collection::vec(-8i32..8, 0..200), count in 0usize..50) {
            let row: Vec<f32> = row.into_iter().map(|value| value as f32 / 2.0).collect();
            let mut sorted: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
            sorted.sort_by(order);
            sorted.truncate(count);
            let mut out = Vec::new();
            largest(&row, count, &mut out);
            prop_assert_eq!(out, sorted);
        }
    }
}
