//! `SHOW SCHEMAS`, `SHOW TABLES` and `SHOW CREATE`.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::compute::kernels::comparison::like;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::physical_plan::memory::MemoryStream;
use lakemill_base::{identifier, text_literal};
use lakemill_lake::{At, ExternalEntry, LakeTable, Relation, RelationKind, sql_type};
use sqlparser::ast::{Ident, ObjectName};

use crate::dialect::normalized;
use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::session::{StatementScope, ident_position, position_of};

pub(super) async fn namespaces(scope: &StatementScope) -> Result<Outcome> {
    let names = scope.session().namespaces_for(scope.rights().await?).await?;
    rows_of(text_batch(vec![("namespace", names)])?)
}

pub(super) async fn tables(
    scope: &StatementScope,
    namespace: Option<&Ident>,
    pattern: Option<&str>,
) -> Result<Outcome> {
    let rights = scope.rights().await?;
    let known = scope.session().namespaces_for(rights).await?;
    let namespaces = match namespace {
        None => known,
        Some(ident) => {
            let name = normalized(ident);
            if !known.contains(&name) {
                let message = lakemill_base::unknown("namespace", &name, known.iter().map(String::as_str));
                return Err(scope.locate(Error::not_found(message), ident_position(ident)));
            }
            vec![name]
        }
    };
    let (mut spaces, mut names, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
    let mut add = |namespace: &str, name: &str, kind: &str| -> Result<()> {
        if pattern.map_or(Ok(true), |pattern| matches(name, pattern))? {
            spaces.push(namespace.to_owned());
            names.push(name.to_owned());
            kinds.push(kind.to_owned());
        }
        Ok(())
    };
    for namespace in &namespaces {
        for relation in scope.session().relations_for(rights, namespace).await? {
            let kind = match (relation.kind, scope.session().temporary().contains(&relation.name)) {
                (RelationKind::Table, false) => "table",
                (RelationKind::Table, true) => "temporary table",
                (RelationKind::View, false) => "view",
                (RelationKind::View, true) => "temporary view",
                (RelationKind::External, _) => "external table",
            };
            add(namespace, &relation.name.table, kind)?;
        }
    }
    rows_of(text_batch(vec![("namespace", spaces), ("name", names), ("kind", kinds)])?)
}

fn matches(name: &str, pattern: &str) -> Result<bool> {
    let name = StringArray::from(vec![name]);
    let pattern = StringArray::new_scalar(pattern);
    Ok(like(&name, &pattern)?.value(0))
}

pub(super) async fn create(scope: &StatementScope, object: &ObjectName) -> Result<Outcome> {
    let name = scope.table_name(object)?;
    let relation = scope.lake().resolve(&name, At::Latest).await;
    let statement = match relation.map_err(|error| scope.locate(error.into(), position_of(object)))? {
        Relation::Table(table) => create_table_text(&table)?,
        Relation::View(view) => format!("CREATE VIEW {name} AS\n{}", view.sql),
        Relation::External(entry) => create_external_text(&entry),
    };
    rows_of(text_batch(vec![("name", vec![name.to_string()]), ("statement", vec![statement])])?)
}

fn create_table_text(table: &LakeTable) -> Result<String> {
    let mut lines = Vec::new();
    for field in table.schema().fields() {
        let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
        let comment = field.metadata().get("comment");
        let comment = comment.map(|text| format!(" COMMENT {}", text_literal(text))).unwrap_or_default();
        lines.push(format!("  {} {}{not_null}{comment}", identifier(field.name()), sql_type(field.data_type())));
    }
    for (name, sql) in table.checks() {
        lines.push(format!("  CONSTRAINT {} CHECK ({sql})", identifier(&name)));
    }
    let mut text = format!("CREATE TABLE {} (\n{}\n)", table.name(), lines.join(",\n"));
    let partitions: Vec<String> = table.partition_columns().iter().map(|column| identifier(column)).collect();
    if !partitions.is_empty() {
        let _ = write!(text, "\nPARTITIONED BY ({})", partitions.join(", "));
    }
    if let Some(comment) = table.comment() {
        let _ = write!(text, "\nCOMMENT {}", text_literal(&comment));
    }
    Ok(text)
}

fn create_external_text(entry: &ExternalEntry) -> String {
    let mut text = format!("CREATE EXTERNAL TABLE {}", entry.name);
    if let Some(schema) = &entry.schema {
        let columns: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| format!("  {} {}", identifier(field.name()), sql_type(field.data_type())))
            .collect();
        let _ = write!(text, " (\n{}\n)", columns.join(",\n"));
    }
    let _ = write!(text, "\nSTORED AS {}", entry.format.to_uppercase());
    if !entry.partition_columns.is_empty() {
        let columns: Vec<String> = entry.partition_columns.iter().map(|(name, _)| identifier(name)).collect();
        let _ = write!(text, "\nPARTITIONED BY ({})", columns.join(", "));
    }
    if !entry.options.is_empty() {
        let options: Vec<String> =
            entry.options.iter().map(|(key, value)| format!("{} {}", text_literal(key), text_literal(value))).collect();
        let _ = write!(text, "\nOPTIONS ({})", options.join(", "));
    }
    let _ = write!(text, "\nLOCATION {}", text_literal(&entry.location));
    text
}

/// One batch as the rows of a statement.
pub(super) fn rows_of(batch: RecordBatch) -> Result<Outcome> {
    let schema = batch.schema();
    Ok(Outcome::Rows(Box::pin(MemoryStream::try_new(vec![batch], schema, None)?)))
}

fn text_batch(columns: Vec<(&str, Vec<String>)>) -> Result<RecordBatch> {
    let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, false)).collect();
    let arrays = columns.into_iter().map(|(_, values)| Arc::new(StringArray::from(values)) as ArrayRef).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}
