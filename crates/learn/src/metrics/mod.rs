//! How good predictions are.

use arrow::array::RecordBatch;

use crate::{Driver, Model, Result};

/// The metrics of `model` on rows that hold its features and its label: one row.
///
/// # Errors
/// A column is missing, or no row has a label.
pub fn evaluate(
    _model: &Model,
    _batches: &[RecordBatch],
    _threshold: Option<f64>,
    _driver: &Driver,
) -> Result<RecordBatch> {
    todo!()
}

/// `threshold, recall, false_positive_rate, true_positives, false_positives, true_negatives, false_negatives`.
///
/// # Errors
/// The model is no binary classifier, a column is missing, or no row has a label.
pub fn roc_curve(
    _model: &Model,
    _batches: &[RecordBatch],
    _thresholds: Option<&[f64]>,
    _driver: &Driver,
) -> Result<RecordBatch> {
    todo!()
}

/// `expected_label` and one count column per class.
///
/// # Errors
/// The model is no classifier, a column is missing, or no row has a label.
pub fn confusion_matrix(
    _model: &Model,
    _batches: &[RecordBatch],
    _threshold: Option<f64>,
    _driver: &Driver,
) -> Result<RecordBatch> {
    todo!()
}

/// Reliability bins: `bin_start, bin_end, rows, mean_predicted, fraction_positive`.
///
/// # Errors
/// The model is no binary classifier, a column is missing, or no row has a label.
pub fn calibration(_model: &Model, _batches: &[RecordBatch], _bins: usize, _driver: &Driver) -> Result<RecordBatch> {
    todo!()
}
