//! How good predictions are.
//!
//! Metrics are computed in two steps, so that a caller may score rows where they lie and keep no features:
//! [`scored`] turns a batch of features and label into labels and scores, and the functions below measure those.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::{Driver, Model, Result};

/// Labels and scores of rows that hold a model's features and its label.
///
/// The columns are the label in its own type, then for a classifier one FLOAT64 probability per class (in the order
/// of [`Model::class_labels`]), for a regressor the predicted value. Rows whose label is NULL are left out.
///
/// # Errors
/// A column is missing or has another type.
pub fn scored(_model: &Model, _batch: &RecordBatch) -> Result<RecordBatch> {
    todo!()
}

/// The metrics of `model` on what [`scored`] gave: one row of [`evaluate_schema`].
///
/// # Errors
/// No row has a label, or a classifier has never seen a label.
pub fn evaluate(
    _model: &Model,
    _scored: &[RecordBatch],
    _threshold: Option<f64>,
    _driver: &Driver,
) -> Result<RecordBatch> {
    todo!()
}

/// The columns of [`evaluate`]: for a classifier `precision, recall, accuracy, f1_score, log_loss, roc_auc`, for a
/// regressor `mean_absolute_error, mean_squared_error, mean_squared_log_error, median_absolute_error, r2_score,
/// explained_variance`.
pub fn evaluate_schema(_model: &Model) -> SchemaRef {
    todo!()
}

/// `threshold, recall, false_positive_rate, true_positives, false_positives, true_negatives, false_negatives`.
///
/// # Errors
/// The model is no binary classifier, or no row has a label.
pub fn roc_curve(
    _model: &Model,
    _scored: &[RecordBatch],
    _thresholds: Option<&[f64]>,
    _driver: &Driver,
) -> Result<RecordBatch> {
    todo!()
}

/// The columns of [`roc_curve`].
pub fn roc_curve_schema() -> SchemaRef {
    todo!()
}

/// `expected_label` and one count column per class.
///
/// # Errors
/// The model is no classifier, or no row has a label.
pub fn confusion_matrix(
    _model: &Model,
    _scored: &[RecordBatch],
    _threshold: Option<f64>,
    _driver: &Driver,
) -> Result<RecordBatch> {
    todo!()
}

/// The columns of [`confusion_matrix`].
///
/// # Errors
/// The model is no classifier.
pub fn confusion_matrix_schema(_model: &Model) -> Result<SchemaRef> {
    todo!()
}

/// Reliability bins: `bin_start, bin_end, rows, mean_predicted, fraction_positive`.
///
/// # Errors
/// The model is no binary classifier, or no row has a label.
pub fn calibration(_model: &Model, _scored: &[RecordBatch], _bins: usize, _driver: &Driver) -> Result<RecordBatch> {
    todo!()
}

/// The columns of [`calibration`].
pub fn calibration_schema() -> SchemaRef {
    todo!()
}
