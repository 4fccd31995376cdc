//! How much each feature counts, as XGBoost defines it.

use super::Forest;

/// The importance of one feature.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureImportance {
    /// Its name.
    pub feature: String,
    /// Number of splits that use it.
    pub weight: u64,
    /// Mean gain of those splits.
    pub gain: f64,
    /// Mean cover (sum of second derivatives) of those splits.
    pub cover: f64,
}

pub(super) fn of(forest: &Forest) -> Vec<FeatureImportance> {
    let mut all: Vec<FeatureImportance> = forest
        .features
        .iter()
        .map(|feature| FeatureImportance { feature: feature.name.clone(), weight: 0, gain: 0.0, cover: 0.0 })
        .collect();
    for node in forest.trees.iter().flat_map(|tree| &tree.nodes) {
        if let Some(split) = &node.split {
            let importance = &mut all[split.feature as usize];
            importance.weight += 1;
            importance.gain += split.gain;
            importance.cover += node.cover;
        }
    }
    for importance in all.iter_mut().filter(|importance| importance.weight > 0) {
        importance.gain /= importance.weight as f64;
        importance.cover /= importance.weight as f64;
    }
    all
}
