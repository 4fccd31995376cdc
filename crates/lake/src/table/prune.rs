//! Which files a query needs, by partition values and statistics.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use deltalake::kernel::LogDataHandler;

use super::Pinned;
use super::files::DataFile;
use crate::error::{Error, Result};

/// Delta's timestamp bounds are cut to milliseconds; a maximum may be this much larger.
const TIMESTAMP_SLACK_US: i64 = 999;

/// Filters on partition columns alone are answered exactly by choosing files.
pub(crate) fn pushdown(filter: &Expr, partition_columns: &[String]) -> TableProviderFilterPushDown {
    if is_partition_filter(filter, partition_columns) {
        TableProviderFilterPushDown::Exact
    } else {
        TableProviderFilterPushDown::Inexact
    }
}

/// Whether a filter can be answered by partition values alone.
pub(crate) fn is_partition_filter(filter: &Expr, partition_columns: &[String]) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty()
        && columns.iter().all(|column| partition_columns.contains(&column.name))
        && !filter.is_volatile()
        && !filter.contains_outer()
        && !has_subquery(filter)
}

fn has_subquery(filter: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    let found = filter.exists(|expr| {
        Ok(matches!(expr, Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_)))
    });
    found.unwrap_or(true)
}

/// The files that may hold rows for these filters, and whether filters remain that only rows can answer.
pub(super) fn select<'a>(
    pinned: &'a Pinned,
    schema: &SchemaRef,
    state: &dyn Session,
    filters: &[Expr],
) -> Result<(Vec<&'a DataFile>, bool)> {
    let snapshot = pinned.snapshot()?;
    let partition_columns = snapshot.metadata().partition_columns();
    let files = &pinned.files()?.files;
    let (by_partition, by_row): (Vec<_>, Vec<_>) =
        filters.iter().cloned().partition(|filter| is_partition_filter(filter, partition_columns));
    let mut keep = vec![true; files.len()];
    if let Some(filter) = conjunction(by_partition) {
        let fields: Vec<Field> =
            partition_columns.iter().map(|name| schema.field_with_name(name).cloned()).collect::<Result<_, _>>()?;
        let values: Vec<&[ScalarValue]> = files.iter().map(|file| file.partition_values.as_slice()).collect();
        let matches = match_partitions(&filter, &values, fields, state)?;
        keep.iter_mut().zip(matches.iter()).for_each(|(keep, matches)| *keep &= matches == Some(true));
    }
    if let Some(filter) = conjunction(by_row.clone()).filter(|filter| !has_subquery(filter)) {
        // A filter that statistics cannot answer prunes nothing; the rows will answer it.
        if let Some(may_match) = match_statistics(&filter, &snapshot.log_data(), schema, state) {
            keep.iter_mut().zip(may_match).for_each(|(keep, may_match)| *keep &= may_match);
        }
    }
    let kept = files.iter().zip(keep).filter_map(|(file, keep)| keep.then_some(file)).collect();
    Ok((kept, !by_row.is_empty()))
}

/// Which of the files, given by their partition values, match a filter on partition columns; NULL is no match.
pub(crate) fn match_partitions(
    filter: &Expr,
    files: &[&[ScalarValue]],
    fields: Vec<Field>,
    state: &dyn Session,
) -> Result<BooleanArray> {
    if files.is_empty() {
        return Ok(BooleanArray::from(Vec::<bool>::new()));
    }
    let values: Vec<ArrayRef> = (0..fields.len())
        .map(|column| ScalarValue::iter_to_array(files.iter().map(|values| values[column].clone())))
        .collect::<Result<_, _>>()?;
    let schema = Arc::new(Schema::new(fields.into_iter().map(|field| field.with_nullable(true)).collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), values)?;
    let filter = unqualified(filter)?;
    let filter = state.create_physical_expr(filter, &DFSchema::try_from(schema)?)?;
    let matches = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
    let matches = matches.as_boolean_opt().ok_or_else(|| Error::internal("a filter is no boolean"))?;
    Ok(matches.clone())
}

fn match_statistics(
    filter: &Expr,
    log: &LogDataHandler<'_>,
    schema: &SchemaRef,
    state: &dyn Session,
) -> Option<Vec<bool>> {
    let df_schema = DFSchema::try_from(Arc::clone(schema)).ok()?;
    let filter = state.create_physical_expr(unqualified(filter).ok()?, &df_schema).ok()?;
    let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(filter)?;
    predicate.prune(&LogStatistics { log, schema }).ok()
}

/// The filter with its columns' table names taken off.
pub(crate) fn unqualified(expr: &Expr) -> Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let expr = expr.clone().transform(|expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(expr.data)
}

/// The log's bounds, in the types that queries see.
struct LogStatistics<'a> {
    log: &'a LogDataHandler<'a>,
    schema: &'a SchemaRef,
}

impl LogStatistics<'_> {
    fn in_query_type(&self, column: &Column, values: ArrayRef) -> Option<ArrayRef> {
        let field = self.schema.field_with_name(&column.name).ok()?;
        if field.data_type().is_nested() {
            return None;
        }
        cast(&values, field.data_type()).ok()
    }
}

impl PruningStatistics for LogStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.in_query_type(column, self.log.min_values(column)?)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let values = self.in_query_type(column, self.log.max_values(column)?)?;
        let DataType::Timestamp(TimeUnit::Microsecond, zone) = values.data_type().clone() else { return Some(values) };
        let micros = values.as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>()?;
        let raised = micros
            .unary::<_, arrow::datatypes::TimestampMicrosecondType>(|micros| micros.saturating_add(TIMESTAMP_SLACK_US));
        Some(Arc::new(raised.with_timezone_opt(zone)))
    }

    fn num_containers(&self) -> usize {
        self.log.num_files()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.log.null_counts(column)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts: UInt64Array = self.log.iter().map(|file| file.num_records().map(|rows| rows as u64)).collect();
        Some(Arc::new(counts))
    }

    fn contained(&self, _: &Column, _: &std::collections::HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
