//! A trained forest: its trees as nodes, and prediction.

use arrow::array::RecordBatch;

use crate::encode::TreeColumn;
use crate::{Driver, Result};

use super::{FeatureImportance, Objective};

/// What a feature's values are.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureKind {
    /// Numbers; NaN is missing.
    Numeric,
    /// Categories; `bin_of_code[code]` is the bin that a category is counted in. Code 0 is missing.
    Categorical {
        /// The bin of each code.
        bin_of_code: Vec<u8>,
    },
}

/// A feature of a forest.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: FeatureKind,
}

/// A node of a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {}

/// One tree, its nodes in preorder.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {}

/// A sum of trees. Send and Sync; predictions need no lock.
#[derive(Clone, Debug)]
pub struct Forest {
    objective: Objective,
}

impl Forest {
    /// What the forest was trained for.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The features in the order that predictions expect their columns in.
    pub fn features(&self) -> &[Feature] {
        todo!()
    }

    /// The scores of `columns` before the link function, row by row: `[rows, outputs]`.
    ///
    /// # Errors
    /// The columns are not the forest's features, or `out` has the wrong length.
    pub fn margins_into(&self, _columns: &[TreeColumn], _out: &mut [f64]) -> Result<()> {
        todo!()
    }

    /// The predictions of `columns`, row by row: a number, the probability of class 1, or one probability per class.
    /// Uses the calling thread alone.
    ///
    /// # Errors
    /// The columns are not the forest's features, or `out` has the wrong length.
    pub fn predict_into(&self, _columns: &[TreeColumn], _out: &mut [f64]) -> Result<()> {
        todo!()
    }

    /// As [`Forest::predict_into`], on all threads of `driver`.
    ///
    /// # Errors
    /// The columns are not the forest's features, or `out` has the wrong length.
    pub fn predict_parallel_into(&self, _columns: &[TreeColumn], _out: &mut [f64], _driver: &Driver) -> Result<()> {
        todo!()
    }

    /// The importance of every feature, in the order of the features; 0 where no split uses it.
    pub fn importance(&self) -> Vec<FeatureImportance> {
        todo!()
    }

    /// The forest as two relations for a model artifact: one row per node, and one per feature.
    ///
    /// # Errors
    /// Arrow cannot build the batches.
    pub fn to_batches(&self) -> Result<(RecordBatch, RecordBatch)> {
        todo!()
    }

    /// Reads what [`Forest::to_batches`] wrote.
    ///
    /// # Errors
    /// The batches are not a forest: what is wrong with them.
    pub fn from_batches(_nodes: &RecordBatch, _features: &RecordBatch) -> Result<Self> {
        todo!()
    }
}
