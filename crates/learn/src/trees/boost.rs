//! Boosting: tree after tree on the gradients of the loss so far.

use crate::encode::TreeColumn;
use crate::{Driver, Iteration, Result, TrainingObserver};

use super::{Forest, Objective, TreeParams};

/// Rows with what is to be learned from them.
#[derive(Clone, Copy, Debug)]
pub struct TrainingRows<'a> {
    /// The features, each with one value per row.
    pub columns: &'a [TreeColumn],
    /// The target per row: a number, or the number of the class.
    pub target: &'a [f64],
    /// Weights per row, above or equal to zero; without them every row weighs 1.
    pub weights: Option<&'a [f64]>,
}

/// A trained forest and how the training went.
#[derive(Clone, Debug)]
pub struct BoostedTrees {
    /// The forest, cut behind the iteration with the least held-out loss where training stopped early.
    pub forest: Forest,
    /// Every iteration that was run.
    pub iterations: Vec<Iteration>,
    /// The iteration that the forest ends with.
    pub best_iteration: u32,
}

/// Fits boosted trees to `train`, watching the loss on `eval`.
///
/// # Errors
/// A setting out of range, a target or weight that cannot be used, no rows, or the observer cancelled.
pub fn fit(
    _train: &TrainingRows<'_>,
    _eval: Option<&TrainingRows<'_>>,
    _params: &TreeParams,
    _objective: Objective,
    _driver: &Driver,
    _observer: &dyn TrainingObserver,
) -> Result<BoostedTrees> {
    todo!()
}
