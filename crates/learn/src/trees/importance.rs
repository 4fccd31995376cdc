//! How much each feature counts, as XGBoost defines it.

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
