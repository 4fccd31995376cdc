//! `INSERT {INTO | OVERWRITE} t [(columns)] query`

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use lakemill_base::ErrorKind;
use lakemill_lake::{WriteMode, sql_type};
use sqlparser::ast::{Insert, ObjectName, Query, SetExpr, TableObject};

use super::query::collect;
use super::update::target_table;
use super::write::{rows, write};
use crate::dialect::normalized;
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, Temporary, position_of, spanned_position};

pub(super) async fn execute(scope: &StatementScope, insert: &Insert) -> Result<Outcome> {
    refuse_extras(insert)?;
    let TableObject::TableName(object) = &insert.table else {
        return Err(Error::invalid("INSERT INTO takes a table; write COPY .. TO for files"));
    };
    let Some(source) = &insert.source else {
        return Err(Error::invalid("INSERT needs rows: VALUES (..) or a query"));
    };
    let name = scope.table_name(object)?;
    let temporary = scope.session().temporary().table(&name);
    let schema = target_schema(scope, object).await?;
    let columns = insert_columns(scope, insert, &schema)?;
    let plan = scope.plan_query(source).await?;
    if plan.schema().fields().len() != columns.len() {
        let given = plan.schema().fields().len();
        let message = format!("{} columns to fill ({}), but the rows have {given}", columns.len(), columns.join(", "));
        return Err(scope.locate(Error::invalid(message), spanned_position(source.as_ref())));
    }
    let target = SchemaRef::new(
        schema.project(&columns.iter().map(|column| schema.index_of(column)).collect::<Result<Vec<_>, _>>()?)?,
    );
    let given = Arc::clone(plan.schema().inner());
    let explained = |error| explain_cast(scope, source, &given, &target, error);
    let plan = renamed(scope, plan, SchemaRef::clone(&target))?;
    if let Some(table) = temporary {
        let source = datafusion::datasource::provider_as_source(table);
        let plan = LogicalPlanBuilder::insert_into(
            filled(scope, plan, &schema)?,
            name.table.clone(),
            source,
            if insert.overwrite { InsertOp::Overwrite } else { InsertOp::Append },
        )
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| scope.error(error))?;
        let count = count_of(&collect(scope, &plan).await.map_err(explained)?);
        let message = format!("inserted {} into temporary table {name}", rows(count));
        return Ok(Outcome::Done(Summary::new(message).with_rows(count)));
    }
    let mode = if insert.overwrite { WriteMode::Overwrite } else { WriteMode::Append };
    let written = write(scope, &name, mode, plan).await.map_err(explained);
    let commit = match written.map_err(|error| scope.locate(error, position_of(object)))? {
        Some(commit) => commit,
        None => return Err(Error::internal("an INSERT wrote nothing")),
    };
    let verb = if insert.overwrite { "replaced all rows with" } else { "inserted" };
    let place = if insert.overwrite { "in" } else { "into" };
    let message = format!("{verb} {} {place} {name} (version {})", rows(commit.rows), commit.version);
    Ok(Outcome::Done(Summary::new(message).with_rows(commit.rows)))
}

async fn target_schema(scope: &StatementScope, object: &ObjectName) -> Result<SchemaRef> {
    let name = scope.table_name(object)?;
    match scope.session().temporary().get(&name) {
        Some(Temporary::Table(table)) => return Ok(table.schema()),
        // It hides whatever the lake has of its name.
        Some(Temporary::View(_)) => {
            let error = Error::invalid(format!("'{name}' is a temporary view; change the tables below it"));
            return Err(scope.locate(error, position_of(object)));
        }
        None => {}
    }
    Ok(target_table(scope, &named(object), &name).await?.schema)
}

/// The columns that an INSERT fills, in the order of its rows.
///
/// # Errors
/// The table or a column does not exist.
pub(super) async fn filled_columns(scope: &StatementScope, insert: &Insert) -> Result<SchemaRef> {
    let TableObject::TableName(object) = &insert.table else { return Ok(SchemaRef::new(Schema::empty())) };
    let schema = target_schema(scope, object).await?;
    let columns = insert_columns(scope, insert, &schema)?;
    let indices = columns.iter().map(|column| schema.index_of(column)).collect::<Result<Vec<_>, _>>()?;
    Ok(SchemaRef::new(schema.project(&indices)?))
}

/// Says which column a value does not fit, and where the value stands, if the error is about a cast.
fn explain_cast(scope: &StatementScope, source: &Query, given: &Schema, target: &Schema, error: Error) -> Error {
    let lower = error.message().to_lowercase();
    if error.kind() != ErrorKind::Data || !["cast", "pars", "overflow"].iter().any(|word| lower.contains(word)) {
        return error;
    }
    match source.body.as_ref() {
        SetExpr::Values(values) => {
            let cells = values.rows.iter().flat_map(|row| row.iter().zip(target.fields()));
            let wrong = cells.into_iter().find(|(value, field)| {
                scope.constant(value).is_ok_and(|value| value.cast_to(field.data_type()).is_err())
            });
            let Some((value, field)) = wrong else { return error };
            let (name, data_type) = (field.name(), sql_type(field.data_type()));
            let explained =
                Error::new(error.kind(), format!("column '{name}' is {data_type}, which {value} does not turn into"));
            scope.locate(explained.with_source(error), spanned_position(value))
        }
        body => {
            let cast = given.fields().iter().zip(target.fields()).enumerate().filter(|(_, (from, to))| {
                from.data_type() != to.data_type() && error.message().contains(&sql_type(to.data_type()))
            });
            let [(index, (_, field))] = cast.collect::<Vec<_>>()[..] else { return error };
            let item = match body {
                SetExpr::Select(select) if select.projection.len() == target.fields().len() => {
                    select.projection.get(index).and_then(spanned_position)
                }
                _ => None,
            };
            let (name, data_type) = (field.name(), sql_type(field.data_type()));
            let message = format!(
                "column '{name}' is {data_type}, which not all values turn into: {}; TRY_CAST(.. AS {data_type}) gives NULL \
                 for those",
                error.message()
            );
            let explained = Error::new(error.kind(), message);
            scope.locate(explained.with_source(error), item.or_else(|| spanned_position(source)))
        }
    }
}

fn insert_columns(scope: &StatementScope, insert: &Insert, schema: &SchemaRef) -> Result<Vec<String>> {
    if insert.columns.is_empty() {
        return Ok(schema.fields().iter().map(|field| field.name().clone()).collect());
    }
    let mut columns: Vec<String> = Vec::with_capacity(insert.columns.len());
    for object in &insert.columns {
        let column = object.0.last().and_then(|part| part.as_ident()).map(normalized).unwrap_or_default();
        let known = schema.fields().iter().map(|field| field.name().as_str());
        let error = if schema.index_of(&column).is_err() {
            Some(Error::not_found(lakemill_base::unknown("column", &column, known)))
        } else if columns.contains(&column) {
            Some(Error::invalid(format!("column '{column}' is named twice")))
        } else {
            None
        };
        if let Some(error) = error {
            return Err(scope.locate(error, position_of(object)));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// The plan's columns, by position, with the names and types of `target`.
pub(super) fn renamed(scope: &StatementScope, plan: LogicalPlan, target: SchemaRef) -> Result<LogicalPlan> {
    let given = plan.schema().fields().len();
    if given != target.fields().len() {
        return Err(Error::invalid(format!(
            "{} columns are named, but the query gives {given}",
            target.fields().len()
        )));
    }
    let mut exprs = Vec::with_capacity(given);
    for (index, field) in target.fields().iter().enumerate() {
        let column = Expr::Column(Column::from(plan.schema().qualified_field(index)));
        let cast = column.cast_to(field.data_type(), plan.schema()).map_err(|_| {
            let found = plan.schema().field(index).data_type();
            Error::invalid(format!(
                "column '{}' is {}, which {} does not turn into",
                field.name(),
                sql_type(field.data_type()),
                sql_type(found)
            ))
        })?;
        exprs.push(cast.alias(field.name()));
    }
    LogicalPlanBuilder::from(plan)
        .project(exprs)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| scope.error(error))
}

/// The plan with NULL in the columns of `schema` that it lacks, in that order.
fn filled(scope: &StatementScope, plan: LogicalPlan, schema: &SchemaRef) -> Result<LogicalPlan> {
    let mut exprs = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        exprs.push(match plan.schema().has_column_with_unqualified_name(field.name()) {
            true => Expr::Column(Column::new_unqualified(field.name())),
            false => {
                let null = datafusion::common::ScalarValue::try_from(field.data_type())?;
                Expr::Literal(null, None).alias(field.name())
            }
        });
    }
    LogicalPlanBuilder::from(plan)
        .project(exprs)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| scope.error(error))
}

/// The sum of the counts that DataFusion's sinks give as rows.
pub(super) fn count_of(batches: &[arrow::record_batch::RecordBatch]) -> u64 {
    let counts = batches.iter().filter_map(|batch| {
        let column = batch.columns().first()?.as_any().downcast_ref::<arrow::array::UInt64Array>()?;
        Some(column.iter().flatten().sum::<u64>())
    });
    counts.sum()
}

fn named(name: &ObjectName) -> sqlparser::ast::TableFactor {
    sqlparser::ast::TableFactor::Table {
        name: name.clone(),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

fn refuse_extras(insert: &Insert) -> Result<()> {
    let extra = [
        (insert.returning.is_some(), "RETURNING is not supported"),
        (insert.on.is_some(), "ON CONFLICT is not supported; write MERGE INTO"),
        (
            insert.or.is_some() || insert.replace_into || insert.ignore,
            "OR REPLACE and IGNORE are not supported; write MERGE INTO",
        ),
        (insert.partitioned.is_some(), "PARTITION (..) is not needed; give the partition columns as columns"),
        (!insert.assignments.is_empty(), "SET is not supported; write VALUES"),
    ];
    match extra.iter().find(|(present, _)| *present) {
        Some((_, text)) => Err(Error::invalid(format!("INSERT .. {text}"))),
        None => Ok(()),
    }
}
