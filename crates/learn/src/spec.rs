//! What to train: the model type, its options, and which columns are the label, the split and the weights.

use arrow::datatypes::Schema;

use crate::{OptionValue, Result};

/// The estimators that can be trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelType {
    /// `LINEAR_REG`
    LinearReg,
    /// `LOGISTIC_REG`
    LogisticReg,
    /// `BOOSTED_TREE_CLASSIFIER`
    BoostedTreeClassifier,
    /// `BOOSTED_TREE_REGRESSOR`
    BoostedTreeRegressor,
}

impl ModelType {
    /// Every model type.
    pub const ALL: [Self; 4] =
        [Self::LinearReg, Self::LogisticReg, Self::BoostedTreeClassifier, Self::BoostedTreeRegressor];

    /// Its name in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LinearReg => "LINEAR_REG",
            Self::LogisticReg => "LOGISTIC_REG",
            Self::BoostedTreeClassifier => "BOOSTED_TREE_CLASSIFIER",
            Self::BoostedTreeRegressor => "BOOSTED_TREE_REGRESSOR",
        }
    }

    /// Whether it predicts a class.
    pub const fn is_classifier(self) -> bool {
        matches!(self, Self::LogisticReg | Self::BoostedTreeClassifier)
    }

    /// Whether it is made of trees.
    pub const fn is_tree(self) -> bool {
        matches!(self, Self::BoostedTreeClassifier | Self::BoostedTreeRegressor)
    }
}

/// A training as asked for, checked against the columns it will read.
#[derive(Clone, Debug)]
pub struct TrainSpec {
    /// The estimator.
    pub model_type: ModelType,
    /// The label column.
    pub label: String,
}

impl TrainSpec {
    /// Reads the options of `CREATE MODEL` for rows of the schema `input` (after TRANSFORM).
    ///
    /// # Errors
    /// An option is unknown, of the wrong type or out of range ([`crate::Error::option_name`] says which), or a
    /// column that it names does not exist.
    pub fn parse(_options: &[(String, OptionValue)], _input: &Schema) -> Result<Self> {
        todo!()
    }

    /// The label column.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The columns that TRANSFORM must pass through: label, split and weight columns.
    pub fn passthrough(&self) -> Vec<&str> {
        todo!()
    }

    /// The seed of everything random.
    pub fn seed(&self) -> u64 {
        todo!()
    }
}

/// The columns that options name (label, split, weight), before the rest is checked: what TRANSFORM passes through.
///
/// # Errors
/// An option that names columns has the wrong type.
pub fn passthrough_columns(_options: &[(String, OptionValue)], _input: &Schema) -> Result<Vec<String>> {
    todo!()
}
