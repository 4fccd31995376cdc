//! Hive partitions: the columns that folders named `key=value` give, and the files that a filter on them leaves.

use arrow::datatypes::{DataType, Field};
use datafusion::catalog::Session;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};

use super::discover::RawFile;
use crate::error::{Error, Result};
use crate::table::{is_partition_filter, match_partitions, pushdown};
use crate::types::sql_type;

/// A file with the values of its table's partition columns.
#[derive(Clone, Debug)]
pub(super) struct KeyedFile {
    pub(super) file: RawFile,
    /// One for each partition column.
    pub(super) keys: Vec<ScalarValue>,
}

/// The files of a table with the columns that their folders give.
#[derive(Debug)]
pub(super) struct KeyedFiles {
    files: Vec<KeyedFile>,
    columns: Vec<(String, DataType)>,
}

impl KeyedFiles {
    pub(super) fn new(files: &[RawFile], columns: Vec<(String, DataType)>) -> Result<Self> {
        let keyed = |file: &RawFile| Ok(KeyedFile { file: file.clone(), keys: key_values(file, &columns)? });
        let files = files.iter().map(keyed).collect::<Result<_>>()?;
        Ok(Self { files, columns })
    }

    pub(super) fn files(&self) -> &[KeyedFile] {
        &self.files
    }

    pub(super) fn columns(&self) -> &[(String, DataType)] {
        &self.columns
    }

    /// Filters on the partition columns alone are answered exactly by choosing files.
    pub(super) fn pushdown(&self, filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
        let names = self.names();
        filters.iter().map(|filter| pushdown(filter, &names)).collect()
    }

    /// The files that may hold rows for these filters, and whether filters remain that only rows can answer.
    pub(super) fn select(&self, filters: &[Expr], state: &dyn Session) -> Result<(Vec<&KeyedFile>, bool)> {
        let names = self.names();
        let (by_partition, by_row): (Vec<_>, Vec<_>) =
            filters.iter().cloned().partition(|filter| is_partition_filter(filter, &names));
        let mut kept: Vec<&KeyedFile> = self.files.iter().collect();
        if let Some(filter) = conjunction(by_partition) {
            let field = |(name, data_type): &(String, DataType)| Field::new(name, data_type.clone(), true);
            let fields = self.columns.iter().map(field).collect();
            let values: Vec<&[ScalarValue]> = self.files.iter().map(|file| file.keys.as_slice()).collect();
            let matches = match_partitions(&filter, &values, fields, state)?;
            let hits = self.files.iter().zip(matches.iter());
            kept = hits.filter_map(|(file, hit)| (hit == Some(true)).then_some(file)).collect();
        }
        Ok((kept, !by_row.is_empty()))
    }

    fn names(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }
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
