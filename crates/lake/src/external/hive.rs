//! Hive partitions: the columns that folders named `key=value` give, and the files that a filter on them leaves.

use arrow::datatypes::{DataType, Field};
use datafusion::catalog::Session;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;

use super::discover::RawFile;
use crate::error::{Error, Result};
use crate::table::{is_partition_filter, match_partitions};
use crate::types::sql_type;

/// A file with the values of its table's partition columns.
#[derive(Clone, Debug)]
pub(super) struct KeyedFile {
    pub(super) file: RawFile,
    /// One for each partition column.
    pub(super) keys: Vec<ScalarValue>,
}

/// The files with the values of the partition columns.
pub(super) fn keyed(files: &[RawFile], partitions: &[(String, DataType)]) -> Result<Vec<KeyedFile>> {
    files.iter().map(|file| Ok(KeyedFile { file: file.clone(), keys: key_values(file, partitions)? })).collect()
}

fn key_values(file: &RawFile, partitions: &[(String, DataType)]) -> Result<Vec<ScalarValue>> {
    let value = |(name, data_type): &(String, DataType)| match file.value_of(name) {
        None => Ok(ScalarValue::try_from(data_type)?),
        Some(text) => ScalarValue::try_from_string(text.to_owned(), data_type).map_err(|error| {
            Error::data(format!(
                "'{}': the folder says {name} = '{text}', which is no {}",
                file.meta.location,
                sql_type(data_type)
            ))
            .with_source(error)
        }),
    };
    partitions.iter().map(value).collect()
}

/// The files that may hold rows for these filters, and whether filters remain that only rows can answer.
pub(super) fn select<'a>(
    files: &'a [KeyedFile],
    partitions: &[(String, DataType)],
    filters: &[Expr],
    state: &dyn Session,
) -> Result<(Vec<&'a KeyedFile>, bool)> {
    let names: Vec<String> = partitions.iter().map(|(name, _)| name.clone()).collect();
    let (by_partition, by_row): (Vec<_>, Vec<_>) =
        filters.iter().cloned().partition(|filter| is_partition_filter(filter, &names));
    let mut kept: Vec<&KeyedFile> = files.iter().collect();
    if let Some(filter) = conjunction(by_partition) {
        let fields = partitions.iter().map(|(name, data_type)| Field::new(name, data_type.clone(), true)).collect();
        let values: Vec<&[ScalarValue]> = files.iter().map(|file| file.keys.as_slice()).collect();
        let matches = match_partitions(&filter, &values, fields, state)?;
        kept = files.iter().zip(matches.iter()).filter_map(|(file, hit)| (hit == Some(true)).then_some(file)).collect();
    }
    Ok((kept, !by_row.is_empty()))
}
