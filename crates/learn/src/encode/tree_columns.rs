//! Columns as the tree estimators take them: numbers as they are, categories as codes.
//!
//! No scaling: a split does not see it.

use arrow::buffer::ScalarBuffer;

/// One column for trees.
#[derive(Clone, Debug)]
pub struct TreeColumn {
    /// The feature's name; an element of an array is `name[3]`, a field of a struct `name_field`.
    pub name: String,
    /// One value per row.
    pub values: TreeValues,
}

/// The values of a column. Buffers are shared with the Arrow arrays they come from where no conversion is needed.
#[derive(Clone, Debug)]
pub enum TreeValues {
    /// Numbers; NaN is a missing value.
    Numeric(ScalarBuffer<f64>),
    /// Label-encoded categories in alphabetical order from 1; 0 is NULL or a category that training did not see.
    Categorical {
        /// One code per row, each below `cardinality`.
        codes: ScalarBuffer<u32>,
        /// Number of codes, 0 among them.
        cardinality: u32,
    },
}

impl TreeColumn {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        match &self.values {
            TreeValues::Numeric(values) => values.len(),
            TreeValues::Categorical { codes, .. } => codes.len(),
        }
    }

    /// Whether the column holds category codes.
    pub fn is_categorical(&self) -> bool {
        matches!(self.values, TreeValues::Categorical { .. })
    }
}
