//! A trained model.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Field;

use crate::{Artifact, ModelType, Result, TrainSpec};

/// A trained model. Immutable; predictions may run from many threads.
#[derive(Debug)]
pub struct Model {}

/// How to predict.
#[derive(Clone, Debug, Default)]
pub struct PredictOptions {
    /// A binary classifier predicts its higher class at this probability and above; 0.5 when not given.
    pub threshold: Option<f64>,
    /// Leaves out the column of probabilities, which costs more than the labels when nobody reads it.
    pub labels_only: bool,
}

/// Probabilities `[rows, classes]` of a classifier or values `[rows, 1]` of a regressor, row by row.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Values per row: the number of classes, or 1.
    pub width: usize,
    /// Row after row.
    pub values: Vec<f64>,
}

/// What was measured on the held-out rows for reports.
#[derive(Clone, Debug, Default)]
pub struct HeldOutCurves {
    /// As [`crate::metrics::roc_curve`]; binary classifiers only.
    pub roc: Option<RecordBatch>,
    /// As [`crate::metrics::confusion_matrix`]; classifiers only.
    pub confusion: Option<RecordBatch>,
    /// As [`crate::metrics::calibration`]; binary classifiers only.
    pub calibration: Option<RecordBatch>,
}

impl Model {
    /// The estimator.
    pub fn model_type(&self) -> ModelType {
        todo!()
    }
    /// The label column.
    pub fn label(&self) -> &str {
        todo!()
    }
    /// The input columns by name and type, after TRANSFORM.
    pub fn features(&self) -> &[Field] {
        todo!()
    }
    /// Whether it predicts a class.
    pub fn is_classifier(&self) -> bool {
        todo!()
    }
    /// The classes in rising order, in the label's own type.
    pub fn class_labels(&self) -> Option<ArrayRef> {
        todo!()
    }
    /// What was asked for.
    pub fn spec(&self) -> &TrainSpec {
        todo!()
    }
    /// The columns that [`Model::predict`] gives.
    pub fn output_fields(&self) -> Vec<Field> {
        todo!()
    }
    /// Predicts for each row; columns are found by name, others are ignored.
    ///
    /// # Errors
    /// A feature is missing or has another type.
    pub fn predict(&self, _features: &RecordBatch, _options: &PredictOptions) -> Result<Vec<ArrayRef>> {
        todo!()
    }
    /// Probabilities or values for each row.
    ///
    /// # Errors
    /// A feature is missing or has another type.
    pub fn scores(&self, _features: &RecordBatch) -> Result<Scores> {
        todo!()
    }
    /// `training_run, iteration, loss, eval_loss, learning_rate, duration_ms`.
    pub fn training_info(&self) -> RecordBatch {
        todo!()
    }
    /// `input, min, max, mean, median, stddev, category_count, null_count, dimension`.
    pub fn feature_info(&self) -> RecordBatch {
        todo!()
    }
    /// `[class_label,] processed_input, weight, category_weights`, in the inputs' own scale or (`standardize`) per
    /// standard deviation.
    ///
    /// # Errors
    /// The model has no weights.
    pub fn weights(&self, _standardize: bool) -> Result<RecordBatch> {
        todo!()
    }
    /// `feature, importance_weight, importance_gain, importance_cover`.
    ///
    /// # Errors
    /// The model has no trees.
    pub fn feature_importance(&self) -> Result<RecordBatch> {
        todo!()
    }
    /// The metrics of the held-out rows, in the columns of [`crate::metrics::evaluate`].
    pub fn held_out_metrics(&self) -> Option<RecordBatch> {
        todo!()
    }
    /// The curves of the held-out rows.
    pub fn held_out_curves(&self) -> &HeldOutCurves {
        todo!()
    }
    /// Saves the model.
    ///
    /// # Errors
    /// A part cannot be written as Arrow.
    pub fn to_artifact(&self) -> Result<Artifact> {
        todo!()
    }
    /// Loads a model.
    ///
    /// # Errors
    /// Data when the artifact is damaged, Invalid when it is from a newer version.
    pub fn from_artifact(_artifact: &Artifact) -> Result<Self> {
        todo!()
    }
}
