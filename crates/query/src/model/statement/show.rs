//! SHOW MODELS

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array};
use lakemill_lake::ModelEntry;
use serde_json::Value;

use super::rows;
use crate::Result;
use crate::outcome::Outcome;
use crate::session::StatementScope;

/// The newest version of each model.
pub(in crate::model) async fn show(scope: &StatementScope) -> Result<Outcome> {
    let models = scope.session().models_for(scope.rights().await?).await?;
    let text = |value: &dyn Fn(&ModelEntry) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(models.iter().map(value)))
    };
    let count = |name: &str| -> ArrayRef {
        Arc::new(models.iter().map(|model| model.summary[name].as_i64()).collect::<Int64Array>())
    };
    let created = TimestampMillisecondArray::from_iter_values(models.iter().map(|model| model.version.created_ms));
    let batch = RecordBatch::try_from_iter([
        ("namespace", text(&|model| model.version.name.namespace.clone())),
        ("model", text(&|model| model.version.name.model.clone())),
        ("version", Arc::new(UInt64Array::from_iter_values(models.iter().map(|model| model.version.version))) as _),
        ("model_type", text(&|model| model.model_type.clone())),
        ("label", text(&|model| model.summary["label"].as_str().unwrap_or_default().to_owned())),
        ("rows_train", count("rows_train")),
        ("rows_eval", count("rows_eval")),
        ("metrics", text(&|model| metrics(&model.summary["metrics"]))),
        ("created", Arc::new(created.with_timezone("UTC")) as _),
    ])?;
    rows(batch)
}

/// `roc_auc=0.7312, log_loss=0.5211`
fn metrics(metrics: &Value) -> String {
    let Value::Object(metrics) = metrics else { return String::new() };
    let shown = metrics.iter().filter_map(|(name, value)| value.as_f64().map(|value| format!("{name}={value:.4}")));
    shown.collect::<Vec<_>>().join(", ")
}
