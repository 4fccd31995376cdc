//! One table at one version.
//!
//! [`LakeTable`] is pinned at a snapshot: every scan of it reads the same files, whatever is committed meanwhile. It
//! scans as a plain Parquet `DataSourceExec`, which DataFusion's optimizer and its plan codec know; only tables with
//! deletion vectors, column mapping or files elsewhere go through deltalake's own scan.
//!
//! - `snapshots`: the newest snapshot of each table, refreshed by looking for the next commit file;
//! - `travel`: versions and timestamps of the past;
//! - `files`: the data files with their statistics, read once per snapshot;
//! - `prune` and `scan`: which files a query needs, and the plan that reads them.

mod files;
mod prune;
mod scan;
mod snapshots;
mod travel;

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use deltalake::DeltaTable;
use deltalake::kernel::EagerSnapshot;
use object_store::path::Path as StorePath;
use url::Url;

pub(crate) use files::total;
pub(crate) use prune::{is_partition_filter, match_partitions, pushdown, unqualified};
pub(crate) use snapshots::Snapshots;
pub(crate) use travel::commits;

use crate::error::{Error, Result};
use crate::lake::segment_name;
use crate::name::TableName;
use crate::storage::store_path;
use files::TableFiles;

/// Which version of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum At {
    /// The newest.
    #[default]
    Latest,
    /// A version by number.
    Version(u64),
    /// The newest version that was committed at or before this time, in milliseconds since the epoch.
    TimestampMs(i64),
}

/// A data file that an index may have a segment of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexableFile {
    /// In the store of the table.
    pub path: StorePath,
    /// Its rows.
    pub rows: usize,
    /// The name of its segment in every index.
    pub segment: String,
}

/// Prefix of the table properties that hold CHECK constraints.
pub(crate) const CHECK_PREFIX: &str = "delta.constraints.";

/// A snapshot with what scans derive from it, shared by all who read this version.
#[derive(Debug)]
pub(crate) struct Pinned {
    table: DeltaTable,
    schema: SchemaRef,
    files: OnceLock<Arc<TableFiles>>,
}

impl Pinned {
    pub(crate) fn new(table: DeltaTable) -> Result<Self> {
        let snapshot = table.snapshot()?.snapshot();
        let schema = reading_schema(&snapshot.arrow_schema());
        Ok(Self { table, schema, files: OnceLock::new() })
    }

    pub(crate) fn table(&self) -> &DeltaTable {
        &self.table
    }

    pub(crate) fn snapshot(&self) -> Result<&EagerSnapshot> {
        Ok(self.table.snapshot()?.snapshot())
    }

    pub(crate) fn version(&self) -> u64 {
        self.table.version().unwrap_or_default()
    }

    /// The data files, read from the snapshot on first use.
    fn files(&self) -> Result<&Arc<TableFiles>> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        let files = Arc::new(TableFiles::read(self.snapshot()?, self.table.table_url(), &self.schema)?);
        Ok(self.files.get_or_init(|| files))
    }

    pub(crate) fn checks(&self) -> Vec<(String, String)> {
        let Ok(snapshot) = self.snapshot() else { return Vec::new() };
        let mut checks: Vec<_> = snapshot
            .metadata()
            .configuration()
            .iter()
            .filter_map(|(name, sql)| Some((name.strip_prefix(CHECK_PREFIX)?.to_owned(), sql.clone())))
            .collect();
        checks.sort();
        checks
    }
}

/// One table at one version.
#[derive(Clone, Debug)]
pub struct LakeTable {
    name: TableName,
    pinned: Arc<Pinned>,
}

impl LakeTable {
    pub(crate) fn new(name: TableName, pinned: Arc<Pinned>) -> Self {
        Self { name, pinned }
    }

    pub(crate) fn pinned(&self) -> &Arc<Pinned> {
        &self.pinned
    }

    /// The table's name.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The version that it is pinned at.
    pub fn version(&self) -> u64 {
        self.pinned.version()
    }

    /// Rows by the log's statistics, where every file has them.
    pub fn row_count(&self) -> Option<u64> {
        self.pinned.files().ok()?.row_count()
    }

    /// Bytes of all data files.
    pub fn size_bytes(&self) -> u64 {
        self.pinned.files().map_or(0, |files| files.size_bytes())
    }

    /// Number of data files.
    pub fn file_count(&self) -> usize {
        self.pinned.files().map_or(0, |files| files.len())
    }

    /// Partition columns in order.
    pub fn partition_columns(&self) -> &[String] {
        self.pinned.snapshot().map_or(&[], |snapshot| snapshot.metadata().partition_columns())
    }

    /// CHECK constraints: name and SQL, by name.
    pub fn checks(&self) -> Vec<(String, String)> {
        self.pinned.checks()
    }

    /// The table's comment.
    pub fn comment(&self) -> Option<String> {
        self.pinned.snapshot().ok()?.metadata().description().map(ToOwned::to_owned)
    }

    /// The data files, where each can be read as it lies, so that a row is known by its place in its file; `None` where
    /// deletion vectors or column mapping are in between.
    ///
    /// # Errors
    /// Data: the log is damaged.
    pub fn indexable_files(&self) -> Result<Option<Vec<IndexableFile>>> {
        if !scan::is_plain(&self.pinned)? {
            return Ok(None);
        }
        let folder = store_path(self.location())?;
        let file = |file: &files::DataFile| {
            let relative: StorePath = file.path.prefix_match(&folder)?.collect();
            let segment = segment_name(&relative, file.size);
            Some(IndexableFile { path: file.path.clone(), rows: file.rows?, segment })
        };
        Ok(Some(self.pinned.files()?.files.iter().filter_map(file).collect()))
    }

    /// Where its files lie.
    pub fn location(&self) -> &Url {
        self.pinned.table.table_url()
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.pinned.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(filters.iter().map(|filter| pushdown(filter, self.partition_columns())).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.pinned.files().ok()?.statistics().clone())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        scan::scan(self, state, projection, filters, limit)
            .await
            .map_err(|error| error.context(format_args!("cannot scan table {}", self.name)).into())
    }
}

/// The schema that queries see: the table's, with strings and bytes as views, which DataFusion reads fastest.
fn reading_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Utf8 => DataType::Utf8View,
            DataType::Binary => DataType::BinaryView,
            other => other.clone(),
        };
        Field::new(field.name(), data_type, field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// An unreadable log is the data's fault, not the statement's.
pub(crate) fn unreadable(name: &TableName, error: Error) -> Error {
    error.context(format_args!("cannot open table {name}"))
}
