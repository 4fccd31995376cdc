//! `DESCRIBE t`, `DESCRIBE query`, `DESCRIBE HISTORY t` and `DESCRIBE LINEAGE t`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMillisecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use datafusion::sql::parser::Statement as DFStatement;
use lakemill_lake::{LineageRecord, sql_type};
use sqlparser::ast::{ObjectName, SetExpr, Statement, TableFactor};

use super::show::rows_of;
use crate::dialect::parse_query_text;
use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::session::{StatementScope, position_of};

/// The columns of a table, view or file.
pub(super) async fn table(scope: &StatementScope, table: &ObjectName) -> Result<Outcome> {
    let mut all = parse_query_text("SELECT * FROM t")?;
    let SetExpr::Select(select) = all.body.as_mut() else {
        return Err(Error::internal("a SELECT did not parse as one"));
    };
    if let Some(TableFactor::Table { name, .. }) = select.from.first_mut().map(|from| &mut from.relation) {
        *name = table.clone();
    }
    let plan = scope.plan_query(&all).await?;
    rows_of(columns_batch(plan.schema().fields())?)
}

/// The columns that a query gives.
pub(super) async fn query(scope: &StatementScope, statement: &Statement) -> Result<Outcome> {
    let plan = scope.plan(DFStatement::Statement(Box::new(statement.clone()))).await?;
    rows_of(columns_batch(plan.schema().fields())?)
}

fn columns_batch(fields: &Fields) -> Result<RecordBatch> {
    let text = |of: &dyn Fn(&Field) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(fields.iter().map(|field| of(field))))
    };
    let nullable = |field: &Field| if field.is_nullable() { "YES" } else { "NO" }.to_owned();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("column_name", text(&|field| field.name().clone()), false),
        ("data_type", text(&|field| sql_type(field.data_type())), false),
        ("is_nullable", text(&nullable), false),
    ])?)
}

pub(super) async fn history(scope: &StatementScope, table: &ObjectName, limit: Option<u64>) -> Result<Outcome> {
    let name = scope.table_name(table)?;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let history = scope.lake().history(&name, limit).await;
    rows_of(history.map_err(|error| scope.locate(error.into(), position_of(table)))?)
}

/// One row for each input of each version, newest version first; an output without inputs has one row.
pub(super) async fn lineage(scope: &StatementScope, kind: Option<&str>, object: &ObjectName) -> Result<Outcome> {
    let name = scope.table_name(object)?;
    let kinds = kind.map_or_else(|| vec!["table", "view", "external table", "model"], |kind| vec![kind]);
    let mut records = Vec::new();
    for kind in kinds {
        records.extend(scope.lake().lineage_of(kind, &name.namespace, &name.table).await?);
    }
    if records.is_empty() {
        let message = format!("there is no lineage of '{name}': nothing of this name was written by a statement");
        return Err(scope.locate(Error::not_found(message), position_of(object)));
    }
    rows_of(lineage_batch(&records)?)
}

fn lineage_batch(records: &[LineageRecord]) -> Result<RecordBatch> {
    let mut rows: Vec<(&LineageRecord, Option<&lakemill_lake::LineageInput>)> = Vec::new();
    for record in records {
        match record.inputs.is_empty() {
            true => rows.push((record, None)),
            false => rows.extend(record.inputs.iter().map(|input| (record, Some(input)))),
        }
    }
    let text = |of: &dyn Fn(&LineageRecord) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(record, _)| of(record))))
    };
    let input = |of: &dyn Fn(&lakemill_lake::LineageInput) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, input)| input.map(of)).collect::<StringArray>())
    };
    let at =
        TimestampMillisecondArray::from_iter_values(rows.iter().map(|(record, _)| record.at_ms)).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("kind", text(&|record| record.kind.clone())),
        ("version", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|(record, _)| record.version)))),
        ("input_kind", input(&|input| input.kind.clone())),
        ("input", input(&|input| input.name.clone())),
        ("input_version", input(&|input| input.version.clone())),
        ("statement", text(&|record| record.statement.clone())),
        ("options", text(&|record| record.options.to_string())),
        ("seed", Arc::new(rows.iter().map(|(record, _)| record.seed).collect::<UInt64Array>())),
        ("at", Arc::new(at)),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| match column.data_type() {
            DataType::Timestamp(..) => {
                Field::new(*name, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false)
            }
            data_type => Field::new(*name, data_type.clone(), true),
        })
        .collect();
    let arrays = columns.into_iter().map(|(_, column)| column).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}
