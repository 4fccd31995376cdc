//! How good predictions are.
//!
//! Metrics are computed in two steps, so that a caller may score rows where they lie and keep no features:
//! [`scored`] turns a batch of features and label into labels and scores, and the functions below measure those.

mod classifier;
mod curves;
mod regressor;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch};
use arrow::compute::{filter_record_batch, is_not_null};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};

use crate::encode::numbers::{numbers, texts};
use crate::target::{Classes, column};
use crate::{Driver, Error, Model, Result, TrainSpec};

pub use curves::{calibration, calibration_schema, roc_curve, roc_curve_schema};

/// Labels and scores of rows that hold a model's features and its label.
///
/// The columns are the label in its own type, then for a classifier one FLOAT64 probability per class (in the order
/// of [`Model::class_labels`]), for a regressor the predicted value. Rows whose label is NULL are left out.
///
/// # Errors
/// A column is missing or has another type.
pub fn scored(model: &Model, batch: &RecordBatch) -> Result<RecordBatch> {
    let label = column(batch, model.label())?;
    let batch = match label.logical_null_count() {
        0 => batch.clone(),
        _ => filter_record_batch(batch, &is_not_null(label)?)?,
    };
    let scores = model.scores(&batch)?;
    let label = column(&batch, model.label())?.clone();
    let mut fields = vec![Field::new(model.label(), label.data_type().clone(), true)];
    let mut columns: Vec<ArrayRef> = vec![label];
    for at in 0..scores.width {
        fields.push(Field::new(format!("score_{at}"), DataType::Float64, false));
        columns.push(Arc::new(scores.values.iter().skip(at).step_by(scores.width).copied().collect::<Float64Array>()));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The metrics of `model` on what [`scored`] gave: one row of [`evaluate_schema`].
///
/// Of two classes, precision, recall and F1 are the higher class's at `threshold` (0.5); of several they are means over
/// the classes that occur, and `roc_auc` the mean over each class against the rest.
///
/// # Errors
/// No row has a label, or a label is none of the model's classes.
pub fn evaluate(model: &Model, scored: &[RecordBatch], threshold: Option<f64>, driver: &Driver) -> Result<RecordBatch> {
    check_rows(model, scored)?;
    let values = match &model.classes {
        Some(classes) => classifier::evaluate(classes, model.label(), scored, threshold, driver)?,
        None => {
            if threshold.is_some() {
                return Err(Error::invalid("threshold is for classifiers; this model predicts a number"));
            }
            regressor::evaluate(scored, driver)?
        }
    };
    let columns = values.into_iter().map(|value| Arc::new(Float64Array::from(vec![value])) as ArrayRef).collect();
    Ok(RecordBatch::try_new(evaluate_schema(model), columns)?)
}

/// The columns of [`evaluate`]: for a classifier `precision, recall, accuracy, f1_score, log_loss, roc_auc`, for a
/// regressor `mean_absolute_error, mean_squared_error, mean_squared_log_error, median_absolute_error, r2_score,
/// explained_variance`.
pub fn evaluate_schema(model: &Model) -> SchemaRef {
    let names = if model.is_classifier() { classifier::METRICS } else { regressor::METRICS };
    Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Float64, true)).to_vec()))
}

/// `expected_label` and one count column per class.
///
/// # Errors
/// The model is no classifier, or no row has a label.
pub fn confusion_matrix(
    model: &Model,
    scored: &[RecordBatch],
    threshold: Option<f64>,
    driver: &Driver,
) -> Result<RecordBatch> {
    let schema = confusion_matrix_schema(model)?;
    check_rows(model, scored)?;
    let classes = classes(model)?;
    let counts = classifier::confusion(classes, model.label(), scored, threshold, driver)?;
    let mut columns = vec![classes.labels.clone()];
    let n = classes.len();
    for predicted in 0..n {
        let column = counts.iter().skip(predicted).step_by(n).map(|count| i64::try_from(*count).unwrap_or(i64::MAX));
        columns.push(Arc::new(column.collect::<arrow::array::Int64Array>()));
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// The columns of [`confusion_matrix`].
///
/// # Errors
/// The model is no classifier.
pub fn confusion_matrix_schema(model: &Model) -> Result<SchemaRef> {
    let classes = classes(model)?;
    let mut fields = vec![Field::new("expected_label", classes.labels.data_type().clone(), true)];
    fields.extend(classes.vocabulary.categories.iter().map(|name| {
        // A class of the name of the first column must not hide it.
        let name = if name == "expected_label" { "_expected_label" } else { name };
        Field::new(name, DataType::Int64, true)
    }));
    Ok(Arc::new(Schema::new(fields)))
}

/// The rows whose label the model knows: of a held-out part, those of classes that training saw.
pub(crate) fn known_labels(spec: &TrainSpec, classes: Option<&Classes>, batch: &RecordBatch) -> Result<RecordBatch> {
    let label = column(batch, &spec.label)?;
    let known: BooleanArray = match classes {
        Some(classes) => texts(label)?
            .iter()
            .map(|text| Some(text.is_some_and(|text| classes.vocabulary.code(text).is_some())))
            .collect(),
        None => numbers(label)?.iter().map(|value| Some(value.is_finite())).collect(),
    };
    if known.true_count() == batch.num_rows() {
        return Ok(batch.clone());
    }
    Ok(filter_record_batch(batch, &known)?)
}

fn classes(model: &Model) -> Result<&Classes> {
    let kind = model.model_type().as_str();
    model.classes.as_ref().ok_or_else(|| Error::invalid(format!("a {kind} predicts numbers; this is for classifiers")))
}

/// The classes of a binary classifier.
fn two_classes(model: &Model) -> Result<&Classes> {
    let classes = classes(model)?;
    if classes.len() != 2 {
        return Err(Error::invalid(format!("this is for classifiers of two classes; the model has {}", classes.len())));
    }
    Ok(classes)
}

fn check_rows(model: &Model, scored: &[RecordBatch]) -> Result<()> {
    if scored.iter().all(|batch| batch.num_rows() == 0) {
        let label = model.label();
        return Err(Error::column(label, format!("no row has a label '{label}'; there is nothing to measure")));
    }
    Ok(())
}

/// The scores of column `at`, the first being 1.
fn scores(batch: &RecordBatch, at: usize) -> Result<&[f64]> {
    let column = batch.columns().get(at).and_then(|array| array.as_primitive_opt::<Float64Type>());
    Ok(column.ok_or_else(|| Error::internal("scored rows lack a column of scores"))?.values())
}
