//! A trained model: what it predicts, how it was trained, and what it has learned.

mod predict;
mod report;
mod save;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields};

use crate::drift::Profile;
use crate::encode::Encoder;
use crate::linear::Loss;
use crate::target::Classes;
use crate::trees::Forest;
use crate::{ModelType, Result, TrainSpec};

pub(crate) use predict::{check_threshold, predicted_class};
pub(crate) use report::{feature_info, median, training_info};

/// A trained model. Immutable; predictions may run from many threads.
#[derive(Debug)]
pub struct Model {
    pub(crate) spec: TrainSpec,
    features: Vec<Field>,
    label_field: Field,
    pub(crate) encoder: Encoder,
    pub(crate) classes: Option<Classes>,
    kernel: Kernel,
    pub(crate) training_info: RecordBatch,
    pub(crate) feature_info: RecordBatch,
    pub(crate) held_out_metrics: Option<RecordBatch>,
    pub(crate) held_out_curves: HeldOutCurves,
    pub(crate) profile: Option<Profile>,
}

/// What was fitted.
#[derive(Debug)]
pub(crate) enum Kernel {
    /// Weights `[outputs, columns + 1]` of the encoded features, the intercept last.
    Linear {
        loss: Loss,
        weights: Vec<f64>,
    },
    Trees(Forest),
}

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
    pub(crate) fn new(
        spec: TrainSpec,
        features: Vec<Field>,
        label_field: Field,
        encoder: Encoder,
        classes: Option<Classes>,
        kernel: Kernel,
    ) -> Self {
        let empty = RecordBatch::new_empty(arrow::datatypes::SchemaRef::new(arrow::datatypes::Schema::empty()));
        Self {
            spec,
            features,
            label_field,
            encoder,
            classes,
            kernel,
            training_info: empty.clone(),
            feature_info: empty,
            held_out_metrics: None,
            held_out_curves: HeldOutCurves::default(),
            profile: None,
        }
    }

    /// The estimator.
    pub fn model_type(&self) -> ModelType {
        self.spec.model_type
    }

    /// The label column.
    pub fn label(&self) -> &str {
        &self.spec.label
    }

    /// The input columns by name and type, after TRANSFORM.
    pub fn features(&self) -> &[Field] {
        &self.features
    }

    /// Whether it predicts a class.
    pub fn is_classifier(&self) -> bool {
        self.spec.model_type.is_classifier()
    }

    /// The classes in rising order, in the label's own type.
    pub fn class_labels(&self) -> Option<ArrayRef> {
        self.classes.as_ref().map(|classes| classes.labels.clone())
    }

    /// What was asked for.
    pub fn spec(&self) -> &TrainSpec {
        &self.spec
    }

    /// The columns that [`Model::predict`] gives.
    pub fn output_fields(&self) -> Vec<Field> {
        let name = format!("predicted_{}", self.spec.label);
        let Some(classes) = &self.classes else {
            return vec![Field::new(name, DataType::Float64, true)];
        };
        let item = Field::new("item", DataType::Struct(self.probability_fields(classes)), false);
        let probabilities = Field::new(format!("{name}_probs"), DataType::List(item.into()), true);
        vec![Field::new(name, classes.labels.data_type().clone(), true), probabilities]
    }

    fn probability_fields(&self, classes: &Classes) -> Fields {
        Fields::from(vec![
            Field::new("label", classes.labels.data_type().clone(), false),
            Field::new("prob", DataType::Float64, false),
        ])
    }

    /// `training_run, iteration, loss, eval_loss, learning_rate, duration_ms`.
    pub fn training_info(&self) -> RecordBatch {
        self.training_info.clone()
    }

    /// `input, min, max, mean, median, stddev, category_count, null_count, dimension`.
    pub fn feature_info(&self) -> RecordBatch {
        self.feature_info.clone()
    }

    /// `[class_label,] processed_input, weight, category_weights`, in the inputs' own scale or (`standardize`) per
    /// standard deviation.
    ///
    /// # Errors
    /// The model has no weights.
    pub fn weights(&self, standardize: bool) -> Result<RecordBatch> {
        report::weights(self, standardize)
    }

    /// `feature, importance_weight, importance_gain, importance_cover`.
    ///
    /// # Errors
    /// The model has no trees.
    pub fn feature_importance(&self) -> Result<RecordBatch> {
        report::feature_importance(self)
    }

    /// The metrics of the held-out rows, in the columns of [`crate::metrics::evaluate`].
    pub fn held_out_metrics(&self) -> Option<RecordBatch> {
        self.held_out_metrics.clone()
    }

    /// The curves of the held-out rows.
    pub fn held_out_curves(&self) -> &HeldOutCurves {
        &self.held_out_curves
    }

    /// How the features were distributed over the training rows; models of before this was kept have none.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel
    }
}
