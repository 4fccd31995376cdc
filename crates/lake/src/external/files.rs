//! The table of Parquet, Avro and Arrow files: exactly the files that were found, with their Hive partitions.
//!
//! DataFusion's own listing table would list folders anew at each scan, and takes neither a pattern's partitions nor
//! NULL ones.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use url::Position;

use super::discover::Found;
use super::hive::{KeyedFile, KeyedFiles};
use super::options::Format;
use super::{cannot_read, file_format};
use crate::error::Result;
use crate::table::total;

/// Files of one format as a table.
#[derive(Debug)]
pub(super) struct FileTable {
    found: Found,
    format: Format,
    files: KeyedFiles,
    file_schema: SchemaRef,
    /// The files' columns, then the partition columns.
    schema: SchemaRef,
    table_schema: TableSchema,
}

impl FileTable {
    pub(super) fn new(
        found: Found,
        format: Format,
        file_schema: SchemaRef,
        partitions: Vec<(String, DataType)>,
    ) -> Result<Self> {
        let files = KeyedFiles::new(&found.files, partitions)?;
        let keys: Vec<FieldRef> = files
            .columns()
            .iter()
            .enumerate()
            .map(|(at, (name, data_type))| {
                Arc::new(Field::new(name, data_type.clone(), files.files().iter().any(|file| file.keys[at].is_null())))
            })
            .collect();
        let schema = Schema::new(file_schema.fields().iter().chain(&keys).cloned().collect::<Vec<_>>());
        let table_schema = TableSchema::builder(Arc::clone(&file_schema)).with_table_partition_cols(keys).build();
        Ok(Self { found, format, files, file_schema, schema: Arc::new(schema), table_schema })
    }

    async fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (files, rows_decide) = self.files.select(filters, state)?;
        let limit = limit.filter(|_| !rows_decide);
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(&projection)?))));
        }
        let reader = file_format(self.format, Some(state));
        let files = self.partitioned(&files, reader.as_ref(), state, limit).await?;
        let statistics = total(files.iter().filter_map(|file| file.statistics.as_deref()), &self.schema);
        let ordering =
            files[0].ordering.clone().filter(|first| files.iter().all(|file| file.ordering.as_ref() == Some(first)));
        let store_url = ObjectStoreUrl::parse(&self.found.base[..Position::BeforePath])?;
        let config = FileScanConfigBuilder::new(store_url, reader.file_source(self.table_schema.clone()))
            .with_file_groups(FileGroup::new(files).split_files(state.config().target_partitions()))
            .with_statistics(statistics)
            .with_projection_indices(Some(projection))?
            .with_output_ordering(ordering.into_iter().collect())
            .with_limit(limit);
        Ok(reader.create_physical_plan(state, config.build()).await?)
    }

    /// The files as a scan takes them, with their statistics; with a limit, as many as hold enough rows.
    async fn partitioned(
        &self,
        files: &[&KeyedFile],
        reader: &dyn FileFormat,
        state: &dyn Session,
        limit: Option<usize>,
    ) -> Result<Vec<PartitionedFile>> {
        let at_once = state.config_options().execution.meta_fetch_concurrency.get();
        let describing: Vec<_> = files.iter().map(|file| self.described(file, reader, state).boxed()).collect();
        let mut described = stream::iter(describing).buffered(at_once);
        let (mut chosen, mut rows): (Vec<PartitionedFile>, usize) = (Vec::with_capacity(files.len()), 0);
        while let Some(file) = described.try_next().await? {
            let known = file.statistics.as_ref().and_then(|statistics| match statistics.num_rows {
                Precision::Exact(rows) => Some(rows),
                _ => None,
            });
            rows = rows.saturating_add(known.unwrap_or_default());
            chosen.push(file);
            if limit.is_some_and(|limit| rows >= limit) {
                break;
            }
        }
        Ok(chosen)
    }

    async fn described(
        &self,
        file: &KeyedFile,
        reader: &dyn FileFormat,
        state: &dyn Session,
    ) -> Result<PartitionedFile> {
        let meta = &file.file.meta;
        let mut partitioned = PartitionedFile::from(meta.clone()).with_partition_values(file.keys.clone());
        let mut statistics = Statistics::new_unknown(&self.file_schema);
        if state.config().collect_statistics() {
            let schema = Arc::clone(&self.file_schema);
            let known = reader.infer_stats_and_ordering(state, &self.found.store, schema, meta).await;
            let known = known.map_err(|error| cannot_read(error, &self.found.shown(&file.file), self.format))?;
            statistics = known.statistics;
            partitioned = partitioned.with_ordering(known.ordering);
        }
        let of_keys = file.keys.iter().map(|key| key_statistics(key, statistics.num_rows)).collect::<Vec<_>>();
        statistics.column_statistics.extend(of_keys);
        partitioned.statistics = Some(Arc::new(statistics));
        Ok(partitioned)
    }
}

/// All rows of a file have the same key.
fn key_statistics(key: &ScalarValue, rows: Precision<usize>) -> ColumnStatistics {
    if key.is_null() {
        return ColumnStatistics { null_count: rows, ..ColumnStatistics::new_unknown() };
    }
    ColumnStatistics {
        null_count: Precision::Exact(0),
        min_value: Precision::Exact(key.clone()),
        max_value: Precision::Exact(key.clone()),
        distinct_count: Precision::Exact(1),
        ..ColumnStatistics::new_unknown()
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(self.files.pushdown(filters))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self.plan(state, projection, filters, limit).await?)
    }
}
