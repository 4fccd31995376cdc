//! What CREATE MODEL says when it is done, and what the catalog keeps for SHOW and DESCRIBE.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use lakemill_lake::{ModelName, sql_type};
use lakemill_learn::{Model, OptionValue};
use serde_json::{Map, Value, json};

use super::train::Trained;
use crate::outcome::Summary;

/// The metrics that a message of one line has room for.
const METRICS_NAMED: [&str; 4] = ["roc_auc", "log_loss", "r2_score", "mean_squared_error"];

/// Everything that listings need without loading the model.
pub(super) fn catalog(trained: &Trained) -> Value {
    let model = &trained.model;
    let features =
        model.features().iter().map(|field| json!({ "name": field.name(), "type": sql_type(field.data_type()) }));
    json!({
        "label": model.label(),
        "features": features.collect::<Vec<_>>(),
        "options": options(model),
        "seed": model.spec().seed(),
        "rows_train": trained.rows_train,
        "rows_eval": trained.rows_eval,
        "dropped_null_label": trained.dropped_null_label,
        "iterations": iterations(model),
        "metrics": model.held_out_metrics().map(|metrics| metrics_json(&metrics)),
        "transform": trained.transform.as_ref().map(|transform| transform.text().to_owned()),
    })
}

/// The options that were given.
pub(super) fn options(model: &Model) -> Value {
    let given = model.spec().options.given().map(|(name, value)| (name.to_owned(), option_json(value)));
    Value::Object(given.collect())
}

/// One line for people, and the figures by name.
pub(super) fn message(name: &ModelName, version: u64, trained: &Trained) -> Summary {
    let model = &trained.model;
    let mut text = format!(
        "created model {name} (version {version}): {}, {} rows to train, {} to evaluate",
        model.model_type().as_str(),
        trained.rows_train,
        trained.rows_eval
    );
    if trained.dropped_null_label > 0 {
        text.push_str(&format!(", {} left out without a label", trained.dropped_null_label));
    }
    let iterations = iterations(model);
    text.push_str(&format!(", {iterations} {}", if iterations == 1 { "iteration" } else { "iterations" }));
    let metrics = model.held_out_metrics().map(|metrics| figures(&metrics)).unwrap_or_default();
    for (metric, value) in metrics.iter().filter(|(metric, _)| METRICS_NAMED.contains(&metric.as_str())) {
        text.push_str(&format!(", {metric} {value:.4}"));
    }
    let mut summary = Summary::new(text)
        .with_rows(trained.rows_train + trained.rows_eval)
        .with_detail("model_type", model.model_type().as_str())
        .with_detail("version", version)
        .with_detail("rows_train", trained.rows_train)
        .with_detail("rows_eval", trained.rows_eval)
        .with_detail("dropped_null_label", trained.dropped_null_label)
        .with_detail("iterations", iterations);
    for (metric, value) in metrics {
        summary = summary.with_detail(metric, value);
    }
    summary
}

fn iterations(model: &Model) -> usize {
    model.training_info().num_rows()
}

/// The numbers of a batch of one row.
fn figures(metrics: &RecordBatch) -> Vec<(String, f64)> {
    let schema = metrics.schema();
    let columns = schema.fields().iter().zip(metrics.columns());
    columns
        .filter(|(field, column)| *field.data_type() == DataType::Float64 && column.len() == 1 && column.is_valid(0))
        .map(|(field, column)| (field.name().clone(), column.as_primitive::<Float64Type>().value(0)))
        .collect()
}

fn metrics_json(metrics: &RecordBatch) -> Value {
    Value::Object(figures(metrics).into_iter().map(|(name, value)| (name, json!(value))).collect())
}

fn option_json(value: &OptionValue) -> Value {
    match value {
        OptionValue::Bool(value) => json!(value),
        OptionValue::Int(value) => json!(value),
        OptionValue::Float(value) => json!(value),
        OptionValue::String(value) => json!(value),
        OptionValue::Array(values) => Value::Array(values.iter().map(option_json).collect()),
        OptionValue::Struct(fields) => {
            let mut map = Map::new();
            for (index, (name, value)) in fields.iter().enumerate() {
                let name = if name.is_empty() { format!("_{index}") } else { name.clone() };
                map.insert(name, option_json(value));
            }
            Value::Object(map)
        }
    }
}
