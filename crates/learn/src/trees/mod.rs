//! Gradient-boosted decision trees over histograms of quantile bins.
//!
//! The way of a training: [`bins`] cuts every column into at most 255 bins, [`dataset`] stores the bin numbers row by
//! row, [`objective`] turns scores into gradients, [`grow`] grows one tree from the histograms of its leaves
//! ([`histogram`], [`split`]), and [`boost`] adds tree after tree and watches the held-out loss. A [`Forest`] predicts
//! through [`scorer`] and saves itself through [`codec`].
//!
//! **Architecture invariant:** gradients are rounded to integers before they are summed, so histograms are exact:
//! neither the order of the rows nor the number of threads can change a split. Leaf values are sums of `f64` in the
//! order of the rows, cut at fixed places. Equal input and seed give the same forest bit for bit.

mod bins;
mod boost;
mod codec;
mod dataset;
mod forest;
mod grow;
mod histogram;
mod importance;
mod objective;
mod params;
mod scorer;
mod split;

pub use boost::{BoostedTrees, TrainingRows, fit};
pub use forest::{Feature, FeatureKind, Forest, Node, NodeSplit, Test, Tree};
pub use importance::FeatureImportance;
pub use objective::Objective;
pub use params::{Growth, TreeParams};
