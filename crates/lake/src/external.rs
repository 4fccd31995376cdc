//! Raw files as tables: CSV, JSON, Parquet, Avro, Arrow and Delta.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;

use crate::catalog::ExternalEntry;
use crate::error::Result;
use crate::lake::Lake;

/// Completes an entry: finds the files, infers the columns that it does not declare and its Hive partitions.
pub async fn infer(_lake: &Lake, _entry: ExternalEntry, _session: &SessionState) -> Result<ExternalEntry> {
    todo!()
}

/// The provider of an external table.
pub async fn provider(_lake: &Lake, _entry: &ExternalEntry, _session: &SessionState) -> Result<Arc<dyn TableProvider>> {
    todo!()
}

/// The entry for a path in FROM, such as `'data/*.csv.gz'`: the format comes from the file name.
pub fn entry_for_path(_path: &str) -> Result<ExternalEntry> {
    todo!()
}

/// A short text that changes when any of the entry's files changes: for lineage.
pub async fn fingerprint(_lake: &Lake, _entry: &ExternalEntry) -> Result<String> {
    todo!()
}
