//! `lakemill tables`.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, UInt64Array};
use datafusion::catalog::TableProvider;
use futures::stream::{self, StreamExt, TryStreamExt};
use lakemill_lake::{At, Lake, LakeTable, LineageRecord, Relation, RelationKind, RelationSummary, TableName, sql_type};
use lakemill_query::Session;
use serde_json::{Value, json};

use super::listing::{self, instant};
use crate::cli::{GlobalArgs, TablesArgs};
use crate::engine::look;
use crate::output::Format;

/// Delta logs that are read at the same time for a list.
const SNAPSHOTS_AT_ONCE: usize = 16;
/// Commits that the description of a table shows.
const COMMITS_SHOWN: usize = 10;

/// Lists tables, or describes one.
pub(super) fn run(global: &GlobalArgs, args: &TablesArgs) -> Result<u8> {
    look(global, async |session| match &args.name {
        Some(name) => describe(session, name, args.format).await,
        None => list(session, args.format).await,
    })
}

async fn list(session: &Session, format: Format) -> Result<()> {
    let lake = session.lake();
    let mut entries = Vec::new();
    for namespace in lake.namespaces().await? {
        entries.extend(lake.list(&namespace).await?);
    }
    let found: Vec<(RelationSummary, Option<Arc<LakeTable>>)> = stream::iter(entries)
        .map(|entry| async {
            let table = match entry.kind {
                RelationKind::Table => match lake.find(&entry.name, At::Latest).await? {
                    Some(Relation::Table(table)) => Some(table),
                    _ => None,
                },
                _ => None,
            };
            anyhow::Ok((entry, table))
        })
        .buffered(SNAPSHOTS_AT_ONCE)
        .try_collect()
        .await?;
    let text = |value: fn(&RelationSummary) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(found.iter().map(|(entry, _)| value(entry))))
    };
    let figure = |value: fn(&LakeTable) -> Option<u64>| -> ArrayRef {
        Arc::new(UInt64Array::from_iter(found.iter().map(|(_, table)| table.as_deref().and_then(value))))
    };
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("namespace", text(|entry| entry.name.namespace.clone()), false),
        ("name", text(|entry| entry.name.table.clone()), false),
        ("kind", text(|entry| kind_name(entry.kind).to_owned()), false),
        ("rows", figure(LakeTable::row_count), true),
        ("bytes", figure(|table| Some(table.size_bytes())), true),
        ("version", figure(|table| Some(table.version())), true),
        ("created", text(|entry| instant(entry.created_ms)), false),
    ])?;
    if found.is_empty() && format == Format::Table {
        writeln!(io::stderr(), "the lake has no tables yet")?;
        return Ok(());
    }
    listing::print(&batch, format)
}

const fn kind_name(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table => "table",
        RelationKind::View => "view",
        RelationKind::External => "external",
    }
}

async fn describe(session: &Session, name: &str, format: Format) -> Result<()> {
    let (namespace, table) = listing::qualified(name, &session.namespace());
    let name = TableName::new(namespace, table);
    let lake = session.lake();
    let relation = lake.resolve(&name, At::Latest).await?;
    let (properties, columns) = match &relation {
        Relation::Table(table) => (table_properties(table), columns(table.schema().fields())?),
        Relation::View(view) => {
            let sql = format!("DESCRIBE {}", name.quoted());
            let rows = listing::one_batch(&session.sql(&sql).await?)?;
            (
                vec![("kind", json!("view")), ("query", json!(view.sql)), ("created", json!(instant(view.created_ms)))],
                rows,
            )
        }
        Relation::External(entry) => {
            let mut properties = vec![
                ("kind", json!("external")),
                ("format", json!(entry.format)),
                ("location", json!(entry.location)),
                ("created", json!(instant(entry.created_ms))),
            ];
            properties.extend((!entry.options.is_empty()).then(|| ("options", json!(entry.options))));
            let sql = format!("DESCRIBE {}", name.quoted());
            (properties, listing::one_batch(&session.sql(&sql).await?)?)
        }
    };
    let history = match relation {
        Relation::Table(_) => Some(lake.history(&name, Some(COMMITS_SHOWN)).await?),
        _ => None,
    };
    let lineage = lineage(lake, &name, &relation).await?;
    let mut sections = vec![listing::Section::rows("columns", columns)];
    sections.extend(history.map(|rows| listing::Section::rows("history", rows)));
    sections.extend(lineage.map(|text| listing::Section::value("lineage", text)));
    listing::describe(&name.to_string(), &properties, &sections, format)
}

fn table_properties(table: &LakeTable) -> Vec<(&'static str, Value)> {
    let mut properties = vec![
        ("kind", json!("table")),
        ("version", json!(table.version())),
        ("rows", json!(table.row_count())),
        ("bytes", json!(table.size_bytes())),
        ("location", json!(table.location().as_str())),
    ];
    if !table.partition_columns().is_empty() {
        properties.push(("partitioned by", json!(table.partition_columns())));
    }
    properties.extend(table.checks().into_iter().map(|(name, sql)| ("check", json!(format!("{name}: {sql}")))));
    properties.extend(table.comment().map(|comment| ("comment", json!(comment))));
    properties
}

fn columns(fields: &arrow::datatypes::Fields) -> Result<RecordBatch> {
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(fields.iter().map(|f| f.name())));
    let types: ArrayRef = Arc::new(StringArray::from_iter_values(fields.iter().map(|f| sql_type(f.data_type()))));
    let nullable: ArrayRef = Arc::new(BooleanArray::from_iter(fields.iter().map(|f| Some(f.is_nullable()))));
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("column", names, false),
        ("type", types, false),
        ("nullable", nullable, false),
    ])?)
}

/// What the relation was made from, by its newest record.
async fn lineage(lake: &Lake, name: &TableName, relation: &Relation) -> Result<Option<Value>> {
    let kind = match relation {
        Relation::Table(_) => "table",
        Relation::View(_) => "view",
        Relation::External(_) => return Ok(None),
    };
    let records = lake.lineage_of(kind, &name.namespace, &name.table).await?;
    Ok(records.first().map(lineage_value))
}

/// A record of lineage for people and programs.
pub(super) fn lineage_value(record: &LineageRecord) -> Value {
    let inputs: Vec<String> =
        record.inputs.iter().map(|input| format!("{} {} at {}", input.kind, input.name, input.version)).collect();
    json!({ "made": instant(record.at_ms), "from": inputs, "by": record.statement })
}
