//! What a training of trees can be told.

use crate::{Error, Result};

/// The order in which leaves are split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Growth {
    /// Level by level, as XGBoost's `depthwise`.
    #[default]
    DepthWise,
    /// The leaf with the largest gain first, as LightGBM and XGBoost's `lossguide`.
    LeafWise,
}

/// The settings of a training. The defaults are BigQuery ML's, which are XGBoost's.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeParams {
    /// Boosting rounds at most; each adds `parallel_trees` trees per class.
    pub iterations: u32,
    /// Splits from the root to a leaf at most; 0 is no limit.
    pub max_depth: u32,
    /// Leaves of a tree at most; 0 is no limit.
    pub max_leaves: u32,
    /// The order in which leaves are split.
    pub growth: Growth,
    /// Factor on every leaf value.
    pub learning_rate: f64,
    /// L1 penalty on leaf values.
    pub l1_reg: f64,
    /// L2 penalty on leaf values.
    pub l2_reg: f64,
    /// The gain below which no leaf is split (XGBoost's `gamma`).
    pub min_split_loss: f64,
    /// The sum of second derivatives that each side of a split needs at least.
    pub min_child_weight: f64,
    /// Share of the rows that each tree is grown on.
    pub subsample: f64,
    /// Share of the columns that each tree may use.
    pub colsample_bytree: f64,
    /// Share of those columns that each level of a tree may use.
    pub colsample_bylevel: f64,
    /// Share of those columns that each node may use.
    pub colsample_bynode: f64,
    /// Trees grown from the same gradients in one iteration, whose mean is added.
    pub parallel_trees: u32,
    /// Bins of a column at most, without the one for missing values; 2 to 255.
    pub max_bins: u32,
    /// Whether to stop when the held-out loss no longer falls.
    pub early_stop: bool,
    /// The relative fall of the held-out loss below which an iteration counts as no progress.
    pub min_rel_progress: f64,
    /// Categories' mean gradients are pulled towards zero by so much weight before categories are ordered by them.
    pub category_smoothing: f64,
    /// Added to `l2_reg` for splits that send a set of categories to one side.
    pub category_l2_reg: f64,
    /// The seed of all sampling.
    pub seed: u64,
}

impl Default for TreeParams {
    fn default() -> Self {
        Self {
            iterations: 20,
            max_depth: 6,
            max_leaves: 0,
            growth: Growth::DepthWise,
            learning_rate: 0.3,
            l1_reg: 0.0,
            l2_reg: 1.0,
            min_split_loss: 0.0,
            min_child_weight: 1.0,
            subsample: 1.0,
            colsample_bytree: 1.0,
            colsample_bylevel: 1.0,
            colsample_bynode: 1.0,
            parallel_trees: 1,
            max_bins: 255,
            early_stop: true,
            min_rel_progress: 0.01,
            category_smoothing: 10.0,
            category_l2_reg: 10.0,
            seed: 0,
        }
    }
}

impl TreeParams {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the first setting that is out of its range, by its SQL name.
    pub fn check(&self) -> Result<()> {
        let finite_from_zero = |name: &str, value: f64| match value.is_finite() && value >= 0.0 {
            true => Ok(()),
            false => Err(Error::option(name, format!("{name} must be a number from 0, not {value}"))),
        };
        let share = |name: &str, value: f64| match value > 0.0 && value <= 1.0 {
            true => Ok(()),
            false => Err(Error::option(name, format!("{name} must be above 0 and at most 1, not {value}"))),
        };
        finite_from_zero("learn_rate", self.learning_rate)?;
        finite_from_zero("l1_reg", self.l1_reg)?;
        finite_from_zero("l2_reg", self.l2_reg)?;
        finite_from_zero("min_split_loss", self.min_split_loss)?;
        finite_from_zero("min_tree_child_weight", self.min_child_weight)?;
        finite_from_zero("category_smoothing", self.category_smoothing)?;
        finite_from_zero("category_l2_reg", self.category_l2_reg)?;
        share("subsample", self.subsample)?;
        share("colsample_bytree", self.colsample_bytree)?;
        share("colsample_bylevel", self.colsample_bylevel)?;
        share("colsample_bynode", self.colsample_bynode)?;
        if self.iterations == 0 {
            return Err(Error::option("max_iterations", "max_iterations must be at least 1"));
        }
        if self.parallel_trees == 0 {
            return Err(Error::option("num_parallel_tree", "num_parallel_tree must be at least 1"));
        }
        if self.max_leaves == 1 {
            return Err(Error::option("max_leaves", "max_leaves must be at least 2, or 0 for no limit"));
        }
        if !(2..=255).contains(&self.max_bins) {
            let message = format!("max_bins must be from 2 to 255, not {}", self.max_bins);
            return Err(Error::option("max_bins", message));
        }
        Ok(())
    }
}
