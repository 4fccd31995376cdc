//! Which rows train and which are held out.

use arrow::array::RecordBatch;

use crate::{Driver, Result, TrainSpec};

/// Rows in canonical order, cut into those that train and those that evaluate.
#[derive(Clone, Debug)]
pub struct Split {
    /// Rows to fit on.
    pub train: Vec<RecordBatch>,
    /// Rows held out; none for `NO_SPLIT` and small inputs.
    pub eval: Vec<RecordBatch>,
    /// Rows left out because their label is NULL.
    pub dropped_null_label: u64,
}

/// Puts rows into canonical order and splits them as the options say.
///
/// # Errors
/// There are no rows, or a split leaves none to train on.
pub fn split(_spec: &TrainSpec, _rows: &[RecordBatch], _driver: &Driver) -> Result<Split> {
    todo!()
}
