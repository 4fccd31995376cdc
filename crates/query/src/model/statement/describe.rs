//! DESCRIBE MODEL: everything that is known of a model, as rows of section, name and value.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use lakemill_lake::{ModelEntry, sql_type};
use lakemill_learn::options::options_of;
use serde_json::Value;
use sqlparser::ast::Expr;

use super::rows;
use crate::dialect::normalized;
use crate::model::cache::{self, AnyModel};
use crate::model::language;
use crate::model::loaded::LoadedModel;
use crate::model::parse::ModelReference;
use crate::outcome::Outcome;
use crate::session::StatementScope;
use crate::{Error, Result};

/// Describes a model.
pub(in crate::model) async fn describe(scope: &StatementScope, model: &Expr) -> Result<Outcome> {
    let model = match named(scope, model).await? {
        AnyModel::Predictive(model) => model,
        AnyModel::Language(handle) => return describe_language(scope, &handle).await,
    };
    let versions = scope.lake().model_versions(&model.handle.name).await?.len();
    let mut table = Table::default();
    about(&mut table, &model, versions);
    for feature in model.model().features() {
        table.row("feature", feature.name(), sql_type(feature.data_type()));
    }
    options(&mut table, &model);
    if let Value::Object(metrics) = &model.entry.summary["metrics"] {
        for (name, value) in metrics {
            table.row("held-out metric", name, text(value));
        }
    }
    lineage(&mut table, &model.entry);
    rows(table.batch()?)
}

async fn describe_language(scope: &StatementScope, handle: &language::LanguageHandle) -> Result<Outcome> {
    let versions = scope.lake().model_versions(&handle.model_name()).await?.len();
    let mut table = Table::default();
    for (section, name, value) in language::describe(handle, versions) {
        table.row(section, &name, value);
    }
    rows(table.batch()?)
}

/// The model that a statement names.
pub(super) async fn named(scope: &StatementScope, model: &Expr) -> Result<AnyModel> {
    let reference = ModelReference::from_expr(model, normalized)
        .ok_or_else(|| Error::internal(format!("'{model}' does not name a model")))?;
    let name = scope.model_name(&reference.object_name())?;
    let loaded = cache::load(scope, &name, reference.version).await;
    loaded.map_err(|error| scope.locate(error, reference.position()))
}

fn about(table: &mut Table, model: &LoadedModel, versions: usize) {
    let summary = &model.entry.summary;
    table.row("model", "name", model.handle.name.to_string());
    table.row("model", "version", format!("{} of {versions}", model.handle.version));
    table.row("model", "type", model.entry.model_type.clone());
    table.row("model", "label", model.model().label().to_owned());
    if let Some(classes) = model.model().class_labels() {
        let classes: Vec<String> = (0..classes.len())
            .map(|row| arrow::util::display::array_value_to_string(&classes, row).unwrap_or_default())
            .collect();
        table.row("model", "classes", classes.join(", "));
    }
    for name in ["rows_train", "rows_eval", "dropped_null_label", "iterations", "seed"] {
        table.row("model", name, text(&summary[name]));
    }
    if let Some(transform) = &model.transform {
        table.row("model", "transform", transform.text().to_owned());
        for field in transform.input().fields() {
            table.row("input", field.name(), sql_type(field.data_type()));
        }
    }
}

fn options(table: &mut Table, model: &LoadedModel) {
    let given = &model.entry.summary["options"];
    for option in options_of(model.model().model_type()) {
        let value = match &given[option.name] {
            Value::Null => format!("{} (default)", option.default),
            value => text(value),
        };
        table.row("option", option.name, value);
    }
}

fn lineage(table: &mut Table, entry: &ModelEntry) {
    table.row("lineage", "query", text(&entry.lineage["query"]));
    for input in entry.lineage["inputs"].as_array().into_iter().flatten() {
        let name = format!("{} {}", text(&input["kind"]), text(&input["name"]));
        table.row("lineage", &name, format!("version {}", text(&input["version"])));
    }
    table.row("lineage", "lakemill_version", text(&entry.lineage["lakemill_version"]));
    table.row("lineage", "path", entry.version.path.clone());
}

/// A JSON value as people read it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[derive(Default)]
struct Table {
    sections: Vec<String>,
    names: Vec<String>,
    values: Vec<String>,
}

impl Table {
    fn row(&mut self, section: &str, name: &str, value: String) {
        self.sections.push(section.to_owned());
        self.names.push(name.to_owned());
        self.values.push(value);
    }

    fn batch(self) -> Result<RecordBatch> {
        Ok(RecordBatch::try_from_iter([
            ("section", Arc::new(StringArray::from(self.sections)) as _),
            ("name", Arc::new(StringArray::from(self.names)) as _),
            ("value", Arc::new(StringArray::from(self.values)) as _),
        ])?)
    }
}
