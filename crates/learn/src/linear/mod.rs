//! Linear and logistic regression.
//!
//! Both minimise, over weights `w` of the encoded features and an intercept that no penalty touches,
//!
//! ```text
//! (1 / Σ s_i) Σ s_i loss(y_i, x_i·w + b)  +  l1_reg Σ|w_j|  +  l2_reg/2 Σ w_j²
//! ```
//!
//! with row weights `s_i` and the loss (y - f)²/2, or the log-loss of the logistic or softmax function.
//!
//! Solvers: the [`normal`] equations and coordinate descent on them for linear regression, [`newton`] for logistic
//! regression with few parameters, [`lbfgs`] beyond and for an L1 penalty, [`descent`] on request. Every pass over the
//! rows is a fold ([`objective`], [`gram`]).
//!
//! Where the columns determine the weights only up to a shift (a complete one-hot block and the intercept, the classes
//! of a softmax), the weights that sum to zero are chosen by a term that is zero at the optimum ([`Gauge`]).

mod descent;
mod fit;
mod gram;
mod lbfgs;
mod newton;
mod normal;
mod objective;
mod solve;

use crate::encode::design::Layout;

pub(crate) use fit::fit;
pub(crate) use objective::{Loss, sigmoid, softmax_in_place};

/// Curvature, along the free direction, of the term that chooses among equal optima: of the order of the mean squares
/// of standardised columns.
const GAUGE: f64 = 1.0;

/// Chooses one of several weight vectors that predict the same: adds `GAUGE/(2 width) (Σ_block w)²` for every complete
/// one-hot block, and `GAUGE/(2 classes) (Σ_classes w_j)²` for every column of a softmax.
#[derive(Clone, Debug)]
pub(super) struct Gauge {
    /// Complete one-hot blocks as ranges of columns.
    blocks: Vec<std::ops::Range<usize>>,
    classes: bool,
}

impl Gauge {
    /// With an L1 penalty the optimum is another one than at sum zero, so there is nothing to choose; without an
    /// intercept a single block has no freedom.
    pub(super) fn new(layout: &Layout, loss: Loss, fit_intercept: bool, l1: f64) -> Self {
        let free = l1 == 0.0;
        let complete = layout.blocks.iter().filter(|block| free && fit_intercept && block.complete);
        Self {
            blocks: complete.map(|block| block.offset..block.offset + block.width).collect(),
            classes: free && loss.outputs() > 1,
        }
    }

    /// Adds the term and its gradient; `stride` weights per output.
    fn add(&self, weights: &[f64], stride: usize, gradient: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for (weights, gradient) in weights.chunks_exact(stride).zip(gradient.chunks_exact_mut(stride)) {
            for block in &self.blocks {
                let sum: f64 = weights[block.clone()].iter().sum();
                let strength = GAUGE / block.len() as f64;
                value += 0.5 * strength * sum * sum;
                gradient[block.clone()].iter_mut().for_each(|g| *g += strength * sum);
            }
        }
        if self.classes {
            let strength = GAUGE * stride as f64 / weights.len() as f64;
            for column in 0..stride {
                let sum: f64 = weights.iter().skip(column).step_by(stride).sum();
                value += 0.5 * strength * sum * sum;
                gradient.iter_mut().skip(column).step_by(stride).for_each(|g| *g += strength * sum);
            }
        }
        value
    }

    /// Adds the term's second derivatives to the lower triangle of `[outputs * stride]²`.
    fn add_hessian(&self, outputs: usize, stride: usize, hessian: &mut [f64]) {
        let n = outputs * stride;
        for output in 0..outputs {
            for block in &self.blocks {
                for i in block.clone() {
                    for j in block.start..=i {
                        hessian[(output * stride + i) * n + output * stride + j] += GAUGE / block.len() as f64;
                    }
                }
            }
        }
        if self.classes {
            for a in 0..outputs {
                for b in 0..=a {
                    for column in 0..stride {
                        hessian[(a * stride + column) * n + b * stride + column] += GAUGE / outputs as f64;
                    }
                }
            }
        }
    }
}
