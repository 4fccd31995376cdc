//! Losses and their derivatives.

use lakemill_kernels::gradient::{
    SECOND_MIN, exp, logistic_in_place, logistic_losses, logistic_losses_and_derivatives,
};

use crate::{Error, Result};

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// Log-loss of two classes; the target is 0 or 1, a score is a log-odds.
    BinaryLogistic,
    /// Log-loss of several classes; the target is the class's number, there is a score per class.
    Softmax {
        /// Number of classes.
        classes: u32,
    },
    /// Half the squared error. The loss that is reported is the mean squared error.
    SquaredError,
}

/// Probabilities are kept this far from 0 and 1 before their logarithm is taken.
const PROBABILITY_MIN: f64 = 1e-15;

impl Objective {
    /// Scores per row.
    pub const fn outputs(self) -> usize {
        match self {
            Self::Softmax { classes } => classes as usize,
            Self::BinaryLogistic | Self::SquaredError => 1,
        }
    }

    /// Checks targets and weights.
    pub(super) fn check(self, target: &[f64], weights: Option<&[f64]>) -> Result<()> {
        let fits = |value: f64| match self {
            Self::BinaryLogistic => value == 0.0 || value == 1.0,
            Self::Softmax { classes } => value >= 0.0 && value < f64::from(classes) && value.fract() == 0.0,
            Self::SquaredError => value.is_finite(),
        };
        if let Some(row) = target.iter().position(|value| !fits(*value)) {
            let want = match self {
                Self::BinaryLogistic => "0 or 1".to_string(),
                Self::Softmax { classes } => format!("a class number below {classes}"),
                Self::SquaredError => "a finite number".to_string(),
            };
            return Err(Error::data(format!("the label {} of row {row} must be {want}", target[row])));
        }
        let Some(weights) = weights else { return Ok(()) };
        if let Some(row) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
            return Err(Error::data(format!(
                "the weight {} of row {row} must be a finite number from 0",
                weights[row]
            )));
        }
        if !target.is_empty() && weights.iter().all(|weight| *weight == 0.0) {
            return Err(Error::data("all weights are 0; at least one row must weigh something"));
        }
        Ok(())
    }

    /// The scores before any tree: what a constant prediction would be at its best.
    pub(super) fn base_scores(self, target: &[f64], weights: Option<&[f64]>) -> Vec<f64> {
        let mut sums = vec![0.0; self.outputs()];
        let mut total = 0.0;
        for (row, target) in target.iter().enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[row]);
            total += weight;
            match self {
                Self::Softmax { .. } => sums[*target as usize] += weight,
                Self::BinaryLogistic | Self::SquaredError => sums[0] += weight * target,
            }
        }
        let mean = |sum: f64| if total > 0.0 { sum / total } else { 0.0 };
        let clamped = |p: f64| p.clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN);
        match self {
            Self::SquaredError => vec![mean(sums[0])],
            Self::BinaryLogistic => {
                let p = clamped(mean(sums[0]));
                vec![(p / (1.0 - p)).ln()]
            }
            Self::Softmax { .. } => sums.into_iter().map(|sum| clamped(mean(sum)).ln()).collect(),
        }
    }

    /// Losses of rows by their `scores` (`[outputs][rows]`), unweighted.
    pub(super) fn losses(self, scores: &[&[f64]], target: &[f64], losses: &mut [f64]) {
        match self {
            Self::BinaryLogistic => logistic_losses(scores[0], target, losses),
            Self::SquaredError => {
                for ((loss, score), target) in losses.iter_mut().zip(scores[0]).zip(target) {
                    *loss = (score - target) * (score - target);
                }
            }
            Self::Softmax { .. } => {
                for (row, loss) in losses.iter_mut().enumerate() {
                    let most = scores.iter().map(|scores| scores[row]).fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = scores.iter().map(|scores| exp(scores[row] - most)).sum();
                    *loss = sum.ln() + most - scores[target[row] as usize][row];
                }
            }
        }
    }

    /// Losses of rows, and their first and second derivatives by each output's score (`[outputs][rows]`), unweighted.
    pub(super) fn losses_and_derivatives(
        self,
        scores: &[&[f64]],
        target: &[f64],
        losses: &mut [f64],
        first: &mut [&mut [f64]],
        second: &mut [&mut [f64]],
    ) {
        if self == Self::BinaryLogistic {
            return logistic_losses_and_derivatives(scores[0], target, losses, first[0], second[0]);
        }
        self.losses(scores, target, losses);
        match self {
            Self::BinaryLogistic => {}
            Self::SquaredError => {
                for ((first, score), target) in first[0].iter_mut().zip(scores[0]).zip(target) {
                    *first = score - target;
                }
                second[0].fill(1.0);
            }
            Self::Softmax { .. } => softmax_derivatives(scores, target, first, second),
        }
    }

    /// Turns a row's scores into what is predicted.
    pub(super) fn link(self, scores: &mut [f64]) {
        match self {
            Self::SquaredError => {}
            Self::BinaryLogistic => logistic_in_place(scores),
            Self::Softmax { classes } => {
                for row in scores.chunks_exact_mut(classes as usize) {
                    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let mut sum = 0.0;
                    for score in row.iter_mut() {
                        *score = exp(*score - most);
                        sum += *score;
                    }
                    row.iter_mut().for_each(|score| *score /= sum);
                }
            }
        }
    }
}

/// As in XGBoost, the second derivative is twice that of the class's own score: it accounts for the other classes'
/// trees of the same iteration.
fn softmax_derivatives(scores: &[&[f64]], target: &[f64], first: &mut [&mut [f64]], second: &mut [&mut [f64]]) {
    let rows = target.len();
    let mut most = vec![f64::NEG_INFINITY; rows];
    for scores in scores {
        most.iter_mut().zip(*scores).for_each(|(most, score)| *most = most.max(*score));
    }
    let mut sum = vec![0.0; rows];
    for (scores, first) in scores.iter().zip(first.iter_mut()) {
        for (((sum, most), score), first) in sum.iter_mut().zip(&most).zip(*scores).zip(first.iter_mut()) {
            *first = exp(score - most);
            *sum += *first;
        }
    }
    for (class, (first, second)) in first.iter_mut().zip(second).enumerate() {
        for (((sum, target), first), second) in sum.iter().zip(target).zip(first.iter_mut()).zip(second.iter_mut()) {
            let p = *first / sum;
            *second = (2.0 * p * (1.0 - p)).max(SECOND_MIN);
            *first = p - if *target == class as f64 { 1.0 } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_of_two_classes_is_logistic() {
        let (scores, target) = ([0.3, -1.2], [1.0, 0.0]);
        let zero = [0.0; 2];
        let (mut f0, mut f1, mut s0, mut s1) = ([0.0; 2], [0.0; 2], [0.0; 2], [0.0; 2]);
        let softmax = Objective::Softmax { classes: 2 };
        let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
        let both: [&[f64]; 2] = [&zero, &scores];
        softmax.losses_and_derivatives(&both, &target, &mut a, &mut [&mut f0, &mut f1], &mut [&mut s0, &mut s1]);
        let (mut first, mut second) = ([0.0; 2], [0.0; 2]);
        let logistic = Objective::BinaryLogistic;
        logistic.losses_and_derivatives(&[&scores], &target, &mut b, &mut [&mut first], &mut [&mut second]);
        for row in 0..2 {
            assert!((first[row] - f1[row]).abs() < 1e-15 && (first[row] + f0[row]).abs() < 1e-15);
            assert!((2.0 * second[row] - s1[row]).abs() < 1e-15);
        }
        assert!((a[0] - b[0]).abs() < 1e-14 && (a[1] - b[1]).abs() < 1e-14);
    }

    #[test]
    fn targets_and_weights_are_checked() {
        let text = |result: Result<()>| result.unwrap_err().to_string();
        assert_eq!(text(Objective::BinaryLogistic.check(&[0.0, 2.0], None)), "the label 2 of row 1 must be 0 or 1");
        assert_eq!(
            text(Objective::Softmax { classes: 3 }.check(&[3.0], None)),
            "the label 3 of row 0 must be a class number below 3"
        );
        assert_eq!(
            text(Objective::SquaredError.check(&[f64::NAN], None)),
            "the label NaN of row 0 must be a finite number"
        );
        assert_eq!(
            text(Objective::SquaredError.check(&[1.0], Some(&[-1.0]))),
            "the weight -1 of row 0 must be a finite number from 0"
        );
    }
}
