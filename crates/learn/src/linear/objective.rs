//! The loss and its gradient as a fold.

use arrow::array::RecordBatch;

use super::Gauge;
use crate::encode::design::{Layout, view};
use crate::{Driver, Fold, Result};

/// What is minimised per row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// `(y - f)²/2`.
    Squared,
    /// Log-loss of two classes, y in {0, 1}.
    Logistic,
    /// Log-loss of several classes, y the class's number.
    Softmax(usize),
}

impl Loss {
    /// Scores per row.
    pub(crate) const fn outputs(self) -> usize {
        match self {
            Self::Softmax(classes) => classes,
            _ => 1,
        }
    }

    /// Replaces a row's scores by the loss's derivatives by them; gives the loss.
    fn differentiate(self, target: f64, scores: &mut [f64]) -> f64 {
        match self {
            Self::Squared => {
                let residual = scores[0] - target;
                scores[0] = residual;
                0.5 * residual * residual
            }
            Self::Logistic => {
                let score = scores[0];
                // ln(1 + e^f) - y f, written so that neither side overflows.
                let loss = score.max(0.0) - target * score + (-score.abs()).exp().ln_1p();
                scores[0] = sigmoid(score) - target;
                loss
            }
            Self::Softmax(_) => {
                let class = target as usize;
                let score = scores[class];
                let log_sum = softmax_in_place(scores);
                scores[class] -= 1.0;
                log_sum - score
            }
        }
    }
}

/// `1 / (1 + e^-x)`.
pub(crate) fn sigmoid(score: f64) -> f64 {
    if score >= 0.0 {
        1.0 / (1.0 + (-score).exp())
    } else {
        let e = score.exp();
        e / (1.0 + e)
    }
}

/// Replaces scores by their softmax; gives the logarithm of the sum of their exponentials.
pub(crate) fn softmax_in_place(scores: &mut [f64]) -> f64 {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - max).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
    max + sum.ln()
}

/// Encoded rows, the loss on them and the penalties.
#[derive(Debug)]
pub(super) struct Problem<'a> {
    pub(super) layout: &'a Layout,
    pub(super) loss: Loss,
    pub(super) rows: &'a [RecordBatch],
    pub(super) eval: &'a [RecordBatch],
    /// The sums of the row weights of `rows` and of `eval`.
    pub(super) weight_sum: f64,
    pub(super) eval_weight_sum: f64,
    pub(super) l1: f64,
    pub(super) l2: f64,
    pub(super) fit_intercept: bool,
    pub(super) gauge: Gauge,
    pub(super) driver: &'a Driver,
}

/// The objective's smooth part at some weights.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// With the L2 penalty and the gauge, without the L1 penalty.
    pub(super) value: f64,
    /// The mean loss of the rows alone.
    pub(super) loss: f64,
    pub(super) gradient: Vec<f64>,
}

impl Problem<'_> {
    /// Weights per output: the columns and the intercept.
    pub(super) fn stride(&self) -> usize {
        self.layout.columns + 1
    }

    pub(super) fn parameters(&self) -> usize {
        self.stride() * self.loss.outputs()
    }

    /// Whether a parameter is penalised: all but the intercepts are.
    pub(super) fn penalised(&self, parameter: usize) -> bool {
        parameter % self.stride() != self.layout.columns
    }

    pub(super) fn evaluate(&self, weights: &[f64]) -> Result<Point> {
        let fold = LossFold { layout: self.layout, loss: self.loss, weights, gradient: true };
        let (loss, mut gradient) = self.driver.fold(&fold, self.rows)?;
        let loss = loss / self.weight_sum;
        gradient.iter_mut().for_each(|g| *g /= self.weight_sum);
        let mut value = loss;
        for (at, (weight, gradient)) in weights.iter().zip(gradient.iter_mut()).enumerate() {
            if self.penalised(at) {
                value += 0.5 * self.l2 * weight * weight;
                *gradient += self.l2 * weight;
            } else if !self.fit_intercept {
                *gradient = 0.0;
            }
        }
        value += self.gauge.add(weights, self.stride(), &mut gradient);
        if !self.fit_intercept {
            gradient.iter_mut().skip(self.layout.columns).step_by(self.stride()).for_each(|g| *g = 0.0);
        }
        Ok(Point { value, loss, gradient })
    }

    /// The L1 penalty.
    pub(super) fn l1_value(&self, weights: &[f64]) -> f64 {
        if self.l1 == 0.0 {
            return 0.0;
        }
        let penalised = weights.iter().enumerate().filter(|(at, _)| self.penalised(*at));
        self.l1 * penalised.map(|(_, weight)| weight.abs()).sum::<f64>()
    }

    /// The mean loss of the held-out rows.
    pub(super) fn eval_loss(&self, weights: &[f64]) -> Result<Option<f64>> {
        if self.eval.is_empty() || self.eval_weight_sum <= 0.0 {
            return Ok(None);
        }
        let fold = LossFold { layout: self.layout, loss: self.loss, weights, gradient: false };
        let (loss, _) = self.driver.fold(&fold, self.eval)?;
        Ok(Some(loss / self.eval_weight_sum))
    }

    /// The loss as it is reported: the mean squared error, or the log-loss.
    pub(super) fn reported(&self, loss: f64) -> f64 {
        if self.loss == Loss::Squared { 2.0 * loss } else { loss }
    }
}

/// Sums of losses and of their gradients over rows.
struct LossFold<'a> {
    layout: &'a Layout,
    loss: Loss,
    /// `[outputs, columns + 1]`.
    weights: &'a [f64],
    gradient: bool,
}

impl Fold for LossFold<'_> {
    type State = (f64, Vec<f64>);
    type Output = (f64, Vec<f64>);

    fn init(&self) -> Self::State {
        (0.0, if self.gradient { vec![0.0; self.weights.len()] } else { Vec::new() })
    }

    fn accumulate(&self, (total, gradient): &mut Self::State, batch: &RecordBatch) -> Result<()> {
        let (design, targets, row_weights) = view(self.layout, batch)?;
        let stride = self.layout.columns + 1;
        let outputs = self.loss.outputs();
        // Output after output, so that each product runs over contiguous memory.
        let mut scores = vec![0.0; design.rows * outputs];
        for (scores, weights) in scores.chunks_exact_mut(design.rows).zip(self.weights.chunks_exact(stride)) {
            design.multiply_add(weights, scores);
        }
        let mut row_scores = vec![0.0; outputs];
        for row in 0..design.rows {
            for (output, score) in row_scores.iter_mut().enumerate() {
                *score = scores[output * design.rows + row];
            }
            let weight = row_weights[row];
            *total += weight * self.loss.differentiate(targets[row], &mut row_scores);
            for (output, derivative) in row_scores.iter().enumerate() {
                scores[output * design.rows + row] = weight * derivative;
            }
        }
        if self.gradient {
            for (factors, gradient) in scores.chunks_exact(design.rows).zip(gradient.chunks_exact_mut(stride)) {
                design.transpose_multiply_add(factors, gradient);
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::State, other: Self::State) -> Result<()> {
        into.0 += other.0;
        into.1.iter_mut().zip(&other.1).for_each(|(into, other)| *into += other);
        Ok(())
    }

    fn finish(&self, state: Self::State) -> Result<Self::Output> {
        Ok(state)
    }
}
