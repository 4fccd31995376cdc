//! Relations that a model holds in itself: what was measured when it was trained, and what it has learned.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

use super::arguments::Arguments;
use crate::model::evaluate::Measure;
use crate::model::loaded::LoadedModel;
use crate::{Error, Result};

/// ML.TRAINING_INFO, ML.FEATURE_INFO, ML.WEIGHTS and ML.FEATURE_IMPORTANCE.
pub(super) fn plan(model: &LoadedModel, arguments: Arguments) -> Result<LogicalPlan> {
    let kind = model.model().model_type();
    let rows = match arguments.function {
        "ML.TRAINING_INFO" => model.model().training_info(),
        "ML.FEATURE_INFO" => model.model().feature_info(),
        "ML.WEIGHTS" if kind.is_tree() => return Err(unsupported(model, "ML.WEIGHTS", "ML.FEATURE_IMPORTANCE")),
        "ML.WEIGHTS" => model.model().weights(arguments.flag("standardize")?)?,
        "ML.FEATURE_IMPORTANCE" if !kind.is_tree() => {
            return Err(unsupported(model, "ML.FEATURE_IMPORTANCE", "ML.WEIGHTS"));
        }
        "ML.FEATURE_IMPORTANCE" => model.model().feature_importance()?,
        other => return Err(Error::internal(format!("{other} is not a relation of a model alone"))),
    };
    table(rows)
}

/// A measure on the rows that were held out in training; `has_settings` says whether the call asks for another one.
pub(super) fn measured(model: &LoadedModel, measure: &Measure, has_settings: bool) -> Result<LogicalPlan> {
    let curves = model.model().held_out_curves();
    let stored = match measure {
        Measure::Evaluate { .. } => model.model().held_out_metrics(),
        Measure::ConfusionMatrix { .. } => curves.confusion.clone(),
        Measure::RocCurve { .. } => curves.roc.clone(),
        Measure::Calibration { .. } => curves.calibration.clone(),
    };
    let function = measure.name();
    if has_settings {
        return Err(Error::invalid(format!(
            "{function} without rows gives what was measured in training, which settings cannot change; \
             give it rows: {function}(MODEL m, TABLE t, STRUCT(..))"
        )));
    }
    match stored {
        Some(rows) => table(rows),
        None => Err(Error::invalid(format!(
            "model {} has no held-out metrics, since all rows were used for training; \
             give rows: {function}(MODEL m, TABLE t), or train with data_split_method = 'RANDOM'",
            model.handle.name
        ))),
    }
}

fn unsupported(model: &LoadedModel, function: &str, instead: &str) -> Error {
    let trees = ["BOOSTED_TREE_CLASSIFIER", "BOOSTED_TREE_REGRESSOR"];
    let linear = ["LINEAR_REG", "LOGISTIC_REG"];
    let supported = if function == "ML.WEIGHTS" { linear } else { trees };
    Error::invalid(format!(
        "{function} is for {}, and model {} is a {}; use {instead}",
        supported.join(" and "),
        model.handle.name,
        model.model().model_type().as_str()
    ))
}

fn table(rows: RecordBatch) -> Result<LogicalPlan> {
    let provider = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
    Ok(LogicalPlanBuilder::scan("stored", provider_as_source(Arc::new(provider)), None)?.build()?)
}
