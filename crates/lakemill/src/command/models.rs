//! `lakemill models`.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use lakemill_lake::{ModelEntry, ModelName};
use lakemill_query::Session;
use serde_json::{Value, json};

use super::listing::{self, Section, instant};
use super::tables::lineage_value;
use crate::cli::{GlobalArgs, ModelsArgs};
use crate::engine::look;
use crate::output::Format;

/// Lists models, or describes one.
pub(super) fn run(global: &GlobalArgs, args: &ModelsArgs) -> Result<u8> {
    look(global, async |session| match &args.name {
        Some(name) => describe(session, name, args.format).await,
        None => list(session, args.format).await,
    })
}

async fn list(session: &Session, format: Format) -> Result<()> {
    let models = session.lake().models(None).await?;
    if models.is_empty() && format == Format::Table {
        writeln!(io::stderr(), "the lake has no models yet; CREATE MODEL trains one")?;
        return Ok(());
    }
    let text = |value: fn(&ModelEntry) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(models.iter().map(value)))
    };
    let versions: ArrayRef = Arc::new(UInt64Array::from_iter_values(models.iter().map(|m| m.version.version)));
    let batch = RecordBatch::try_from_iter([
        ("namespace", text(|m| m.version.name.namespace.clone())),
        ("name", text(|m| m.version.name.model.clone())),
        ("type", text(|m| m.model_type.clone())),
        ("version", versions),
        ("metrics", text(|m| metrics(&m.summary))),
        ("created", text(|m| instant(m.version.created_ms))),
    ])?;
    listing::print(&batch, format)
}

/// The metrics of the held-out rows in a few words.
fn metrics(summary: &Value) -> String {
    let Some(Value::Object(metrics)) = summary.get("metrics") else { return String::new() };
    let shown = metrics.iter().filter_map(|(name, value)| Some(format!("{name} {:.4}", value.as_f64()?)));
    shown.collect::<Vec<_>>().join(", ")
}

async fn describe(session: &Session, name: &str, format: Format) -> Result<()> {
    let (namespace, model) = listing::qualified(name, &session.namespace());
    let name = ModelName::new(namespace, model);
    let lake = session.lake();
    let entry = lake.model(&name, None).await?;
    let properties = [
        ("type", json!(entry.model_type)),
        ("version", json!(entry.version.version)),
        ("created", json!(instant(entry.version.created_ms))),
        ("artifact", json!(entry.version.path)),
    ];
    let mut sections = Vec::new();
    if let Value::Object(summary) = &entry.summary {
        sections.extend(summary.iter().map(|(key, value)| Section::value(key, value.clone())));
    }
    let versions = lake.model_versions(&name).await?;
    let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(versions.iter().map(|v| v.version)));
    let created: ArrayRef = Arc::new(StringArray::from_iter_values(versions.iter().map(|v| instant(v.created_ms))));
    let paths: ArrayRef = Arc::new(StringArray::from_iter_values(versions.iter().map(|v| v.path.as_str())));
    let versions = RecordBatch::try_from_iter([("version", numbers), ("created", created), ("artifact", paths)])?;
    sections.push(Section::rows("versions", versions));
    let records = lake.lineage_of("model", &name.namespace, &name.model).await?;
    let lineage = match records.first() {
        Some(record) => lineage_value(record),
        None => entry.lineage.clone(),
    };
    sections.push(Section::value("lineage", lineage));
    listing::describe(&name.to_string(), &properties, &sections, format)
}
