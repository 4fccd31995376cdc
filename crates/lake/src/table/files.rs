//! The data files of a snapshot, with statistics as DataFusion wants them.
//!
//! Counts are exact. Minimum and maximum are exact only for integers, dates and partition values: Delta shortens
//! strings, rounds timestamps to milliseconds, and floating-point bounds ignore NaN. Exact bounds let the optimizer
//! answer `min(x)` without reading a file, so a bound that might be off is marked inexact.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, SchemaRef, UInt64Type};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use deltalake::kernel::EagerSnapshot;
use object_store::path::Path as StorePath;
use url::Url;

use crate::error::{Error, Result};
use crate::storage::store_path;
use crate::types::sql_type;

/// How much larger data is in memory than in its Parquet files, roughly.
const IN_MEMORY_FACTOR: usize = 3;

/// One data file.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    /// In its store.
    pub(crate) path: StorePath,
    pub(crate) size: u64,
    pub(crate) modified_ms: i64,
    pub(crate) rows: Option<usize>,
    /// In the order of the partition columns.
    pub(crate) partition_values: Vec<ScalarValue>,
    /// In the order of the table's columns.
    pub(crate) statistics: Arc<Statistics>,
}

/// All data files of a snapshot.
#[derive(Debug)]
pub(crate) struct TableFiles {
    pub(crate) files: Vec<DataFile>,
    /// Some file is not a plain Parquet file below the table's folder.
    pub(crate) plain: bool,
    statistics: Statistics,
}

impl TableFiles {
    pub(crate) fn read(snapshot: &EagerSnapshot, folder: &Url, schema: &SchemaRef) -> Result<Self> {
        let root = store_path(folder)?;
        let partition_columns = snapshot.metadata().partition_columns();
        let views: Vec<_> = snapshot.log_data().iter().collect();
        let columns = column_statistics(snapshot, schema, partition_columns);
        let mut plain = true;
        let mut files = Vec::with_capacity(views.len());
        for (index, view) in views.iter().enumerate() {
            let relative = view.object_store_path();
            plain &= !view.path().contains("://") && !view.path().starts_with('/');
            plain &= view.deletion_vector_descriptor().is_none();
            let size = u64::try_from(view.size()).unwrap_or_default();
            let partition_values = partition_values(&view.partition_values_map(), partition_columns, schema)?;
            let mut statistics = file_statistics(&columns, index, view.num_records(), size, schema);
            for (name, value) in partition_columns.iter().zip(&partition_values) {
                if let Ok(column) = schema.index_of(name) {
                    statistics.column_statistics[column] = constant(value, view.num_records());
                }
            }
            files.push(DataFile {
                path: root.parts().chain(relative.parts()).collect(),
                size,
                modified_ms: view.modification_time(),
                rows: view.num_records(),
                partition_values,
                statistics: Arc::new(statistics),
            });
        }
        let statistics = total(files.iter().map(|file| file.statistics.as_ref()), schema);
        Ok(Self { files, plain, statistics })
    }

    pub(crate) fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    pub(crate) fn row_count(&self) -> Option<u64> {
        self.files.iter().map(|file| file.rows.map(|rows| rows as u64)).sum()
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }
}

/// The statistics of several files together.
pub(crate) fn total<'a>(parts: impl Iterator<Item = &'a Statistics>, schema: &SchemaRef) -> Statistics {
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        let mut none = Statistics::new_unknown(schema);
        none.num_rows = Precision::Exact(0);
        none.total_byte_size = Precision::Exact(0);
        return none;
    }
    Statistics::try_merge_iter(parts, schema).unwrap_or_else(|_| Statistics::new_unknown(schema))
}

/// A column's bounds and NULL counts, one entry per file.
struct ColumnBounds {
    min: Option<Arc<dyn Array>>,
    max: Option<Arc<dyn Array>>,
    nulls: Option<Arc<dyn Array>>,
    exact: bool,
}

fn column_statistics(snapshot: &EagerSnapshot, schema: &SchemaRef, partitions: &[String]) -> Vec<Option<ColumnBounds>> {
    let log = snapshot.log_data();
    let read = |field: &arrow::datatypes::FieldRef| {
        if partitions.contains(field.name()) || field.data_type().is_nested() {
            return None;
        }
        let column = Column::from_name(field.name());
        let bounded = has_bounds(field.data_type());
        Some(ColumnBounds {
            min: log.min_values(&column).filter(|_| bounded),
            max: log.max_values(&column).filter(|_| bounded),
            nulls: log.null_counts(&column),
            exact: has_exact_bounds(field.data_type()),
        })
    };
    schema.fields().iter().map(read).collect()
}

fn has_exact_bounds(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Date32)
}

/// Bounds that help an estimate even where they are inexact.
fn has_bounds(data_type: &DataType) -> bool {
    has_exact_bounds(data_type) || data_type.is_floating() || matches!(data_type, DataType::Timestamp(..))
}

fn file_statistics(
    columns: &[Option<ColumnBounds>],
    file: usize,
    rows: Option<usize>,
    size: u64,
    schema: &SchemaRef,
) -> Statistics {
    let bytes = usize::try_from(size).unwrap_or(usize::MAX).saturating_mul(IN_MEMORY_FACTOR);
    let column_statistics = schema.fields().iter().zip(columns).map(|(field, bounds)| {
        let mut column = match bounds {
            Some(bounds) => bounds.of_file(file, field.data_type()),
            None => ColumnStatistics::new_unknown(),
        };
        if let (Some(rows), Some(width)) = (rows, field.data_type().primitive_width()) {
            column.byte_size = Precision::Inexact(rows.saturating_mul(width));
        }
        column
    });
    let mut column_statistics: Vec<ColumnStatistics> = column_statistics.collect();
    spread_bytes(&mut column_statistics, bytes, rows.unwrap_or_default());
    Statistics {
        num_rows: rows.map_or(Precision::Absent, Precision::Exact),
        total_byte_size: Precision::Inexact(bytes),
        column_statistics,
    }
}

/// Gives the bytes that fixed-width columns leave over to the others.
fn spread_bytes(columns: &mut [ColumnStatistics], bytes: usize, rows: usize) {
    let fixed: usize = columns.iter().filter_map(|column| column.byte_size.get_value()).sum();
    let open: Vec<_> = columns.iter_mut().filter(|column| column.byte_size == Precision::Absent).collect();
    if let Some(share) = bytes.saturating_sub(fixed).checked_div(open.len()) {
        let share = share.max(rows.saturating_mul(size_of::<u128>()));
        open.into_iter().for_each(|column| column.byte_size = Precision::Inexact(share));
    }
}

impl ColumnBounds {
    fn of_file(&self, file: usize, data_type: &DataType) -> ColumnStatistics {
        let bound = |values: &Option<Arc<dyn Array>>| {
            let value = values.as_ref().and_then(|values| ScalarValue::try_from_array(values.as_ref(), file).ok());
            match value.and_then(|value| value.cast_to(data_type).ok()).filter(|value| !value.is_null()) {
                Some(value) if self.exact => Precision::Exact(value),
                Some(value) => Precision::Inexact(value),
                None => Precision::Absent,
            }
        };
        let nulls = self.nulls.as_ref().and_then(|nulls| nulls.as_primitive_opt::<UInt64Type>());
        let nulls = nulls.filter(|nulls| nulls.is_valid(file)).map(|nulls| nulls.value(file));
        let null_count = nulls.and_then(|nulls| usize::try_from(nulls).ok());
        ColumnStatistics {
            null_count: null_count.map_or(Precision::Absent, Precision::Exact),
            min_value: bound(&self.min),
            max_value: bound(&self.max),
            ..ColumnStatistics::new_unknown()
        }
    }
}

/// A partition column within one file.
fn constant(value: &ScalarValue, rows: Option<usize>) -> ColumnStatistics {
    let rows = rows.map_or(Precision::Absent, Precision::Exact);
    let mut column = ColumnStatistics::new_unknown();
    if value.is_null() {
        column.null_count = rows;
    } else {
        column.null_count = Precision::Exact(0);
        column.min_value = Precision::Exact(value.clone());
        column.max_value = Precision::Exact(value.clone());
    }
    column
}

fn partition_values(
    raw: &HashMap<String, Option<String>>,
    columns: &[String],
    schema: &SchemaRef,
) -> Result<Vec<ScalarValue>> {
    let parse = |name: &String| {
        let data_type = schema.field_with_name(name)?.data_type();
        // The Delta protocol writes NULL as an empty string too.
        match raw.get(name).and_then(Option::as_ref).filter(|text| !text.is_empty()) {
            None => Ok(ScalarValue::try_from(data_type)?),
            Some(text) => ScalarValue::try_from_string(text.clone(), data_type).map_err(|error| {
                Error::data(format!("partition value '{text}' of column '{name}' is no {}", sql_type(data_type)))
                    .with_source(error)
            }),
        }
    };
    columns.iter().map(parse).collect()
}
