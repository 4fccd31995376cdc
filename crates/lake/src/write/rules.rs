//! What every row of a table must fulfil: its columns' types, NOT NULL and CHECK.
//!
//! A CHECK whose value is NULL is fulfilled, as SQL has it. Delta asks for TRUE, so the stored text of a CHECK made here
//! ends in `IS NOT FALSE`, which gives the same answer in every engine.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::common::DFSchema;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use deltalake::delta_datafusion::expr::fmt_expr_to_sql;
use lakemill_base::unknown;

use super::source::delta_session;
use crate::error::{Error, Result};
use crate::name::TableName;
use crate::table::CHECK_PREFIX;
use crate::types::sql_type;

/// Ends the stored text of a CHECK.
const NULL_PASSES: &str = " IS NOT FALSE";

/// A cast that cannot keep a value is an error, never NULL.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

/// The rules of one table, ready for one input.
#[derive(Debug)]
pub(super) struct RowRules {
    table: TableName,
    schema: SchemaRef,
    /// The input's column for each of the table's; `None`: NULL.
    columns: Vec<Option<usize>>,
    checks: Vec<(String, String, Arc<dyn PhysicalExpr>)>,
}

impl RowRules {
    /// The rules for input columns that are matched by name.
    pub(super) fn new(
        table: &TableName,
        schema: &SchemaRef,
        checks: &[(String, String)],
        input: &Schema,
        session: &SessionState,
    ) -> Result<Self> {
        for field in input.fields() {
            if schema.field_with_name(field.name()).is_err() {
                let known = schema.fields().iter().map(|field| field.name().as_str());
                return Err(Error::invalid(format!("table {table}: {}", unknown("column", field.name(), known))));
            }
        }
        let columns = schema.fields().iter().map(|field| input.index_of(field.name()).ok()).collect();
        let checks = checks
            .iter()
            .map(|(name, sql)| Ok((name.clone(), shown_check(sql).to_owned(), stored_check(sql, schema, session)?)))
            .collect::<Result<_>>()?;
        Ok(Self { table: table.clone(), schema: Arc::clone(schema), columns, checks })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows as the table holds them, or what is wrong with the first bad one.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (field, source) in self.schema.fields().iter().zip(&self.columns) {
            let column = match source {
                None => new_null_array(field.data_type(), batch.num_rows()),
                Some(source) => cast_with_options(batch.column(*source), field.data_type(), &STRICT)
                    .map_err(|error| self.bad_value(field.name(), error))?,
            };
            if !field.is_nullable() && column.logical_null_count() > 0 {
                return Err(Error::data(format!(
                    "column '{}' of table {} is NOT NULL, and {} of the new rows have no value for it",
                    field.name(),
                    self.table,
                    column.logical_null_count()
                )));
            }
            columns.push(column);
        }
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.checks.iter().try_for_each(|check| self.enforce(check, &rows))?;
        Ok(rows)
    }

    fn enforce(&self, (name, sql, check): &(String, String, Arc<dyn PhysicalExpr>), rows: &RecordBatch) -> Result<()> {
        let value = check.evaluate(rows)?.into_array(rows.num_rows())?;
        let passed = value
            .as_boolean_opt()
            .ok_or_else(|| Error::invalid(format!("CHECK '{name}' of table {} is no condition: {sql}", self.table)))?;
        let Some(bad) = (0..passed.len()).find(|row| passed.is_null(*row) || !passed.value(*row)) else {
            return Ok(());
        };
        Err(Error::data(format!(
            "a new row breaks CHECK '{name}' ({sql}) of table {}: {}",
            self.table,
            shown_row(rows, bad)
        )))
    }

    fn bad_value(&self, column: &str, error: ArrowError) -> Error {
        let why = match &error {
            ArrowError::CastError(why) | ArrowError::ParseError(why) | ArrowError::ComputeError(why) => why.clone(),
            other => other.to_string(),
        };
        Error::data(format!("column '{column}' of table {}: {why}", self.table)).with_source(error)
    }
}

/// How many values of a bad row are shown.
const SHOWN_VALUES_MAX: usize = 12;

pub(super) fn shown_row(rows: &RecordBatch, row: usize) -> String {
    let shown = rows.schema_ref().fields().iter().zip(rows.columns()).take(SHOWN_VALUES_MAX).map(|(field, column)| {
        let value = arrow::util::display::array_value_to_string(column, row).unwrap_or_default();
        let value = if column.is_null(row) { "NULL".to_owned() } else { value };
        format!("{} = {value}", field.name())
    });
    let mut shown = shown.collect::<Vec<_>>().join(", ");
    if rows.num_columns() > SHOWN_VALUES_MAX {
        shown.push_str(", ..");
    }
    shown
}

/// A CHECK's text as people wrote it.
pub(super) fn shown_check(stored: &str) -> &str {
    stored.strip_suffix(NULL_PASSES).unwrap_or(stored)
}

/// A stored CHECK as an expression over the table's columns.
fn stored_check(sql: &str, schema: &SchemaRef, session: &SessionState) -> Result<Arc<dyn PhysicalExpr>> {
    let df_schema = DFSchema::try_from(Arc::clone(schema))?;
    let session = delta_session(session);
    let expr = session.create_logical_expr(sql, &df_schema)?;
    Ok(session.create_physical_expr(expr, &df_schema)?)
}

/// A CHECK from a statement: the expression that is stored.
pub(super) fn parse_check(name: &str, sql: &str, schema: &SchemaRef, session: &SessionState) -> Result<Expr> {
    let df_schema = DFSchema::try_from(Arc::clone(schema))?;
    let expr = session
        .create_logical_expr(sql, &df_schema)
        .and_then(|expr| session.create_physical_expr(expr.clone(), &df_schema).map(|physical| (expr, physical)))
        .and_then(|(expr, physical)| physical.data_type(schema).map(|data_type| (expr, data_type)));
    let (expr, data_type) = expr.map_err(|error| Error::from(error).context(format_args!("CHECK '{name}'")))?;
    if data_type != arrow::datatypes::DataType::Boolean {
        return Err(Error::invalid(format!("CHECK '{name}' is {}, not a condition: {sql}", sql_type(&data_type))));
    }
    Ok(expr.is_not_false())
}

/// The table property that holds a CHECK.
pub(super) fn check_property(name: &str, check: &Expr) -> Result<(String, String)> {
    lakemill_base::check_identifier("constraint", name).map_err(Error::invalid)?;
    Ok((format!("{CHECK_PREFIX}{name}"), fmt_expr_to_sql(check)?))
}
