//! The plan that reads a snapshot's files.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;
use url::Position;

use super::files::{DataFile, total};
use super::{LakeTable, Pinned, prune};
use crate::error::{Error, Result};

/// The tail of a Parquet file that is fetched first: it holds the footer of all but very wide files.
const FOOTER_BYTES: usize = 64 * 1024;

pub(super) async fn scan(
    table: &LakeTable,
    state: &dyn Session,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let pinned = table.pinned();
    if !is_plain(pinned)? {
        return through_deltalake(pinned, state, projection, filters, limit).await;
    }
    let schema = &pinned.schema;
    let (files, rows_decide) = prune::select(pinned, schema, state, filters)?;
    let files = if rows_decide { files } else { enough_files(files, limit) };
    let projection = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
    if files.is_empty() {
        return Ok(Arc::new(EmptyExec::new(Arc::new(schema.project(&projection)?))));
    }
    let layout = Layout::new(pinned)?;
    let url = pinned.table().table_url();
    let store_url = ObjectStoreUrl::parse(&url[..Position::BeforePath])?;
    if state.runtime_env().object_store(&store_url).is_err() {
        let store = pinned.table().log_store().root_object_store(None);
        state.runtime_env().register_object_store(store_url.as_ref(), store);
    }
    let statistics = layout.reorder(&total(files.iter().map(|file| file.statistics.as_ref()), schema));
    let partitioned = files.iter().map(|file| layout.partitioned_file(file)).collect::<Result<Vec<_>>>()?;
    let groups = FileGroup::new(partitioned).split_files(state.config().target_partitions());
    let options = state.table_options().parquet.clone();
    let format = ParquetFormat::default().with_options(options);
    let mut config = FileScanConfigBuilder::new(store_url, format.file_source(layout.table_schema.clone()))
        .with_file_groups(groups)
        .with_statistics(statistics)
        .with_projection_indices(Some(layout.positions(&projection)))?;
    if !rows_decide {
        config = config.with_limit(limit);
    }
    Ok(format.create_physical_plan(state, config.build()).await?)
}

/// True when every file can be read as it lies.
pub(super) fn is_plain(pinned: &Pinned) -> Result<bool> {
    let mapped = pinned.snapshot()?.metadata().configuration().get("delta.columnMapping.mode");
    Ok(pinned.files()?.plain && mapped.is_none_or(|mode| mode == "none"))
}

async fn through_deltalake(
    pinned: &Pinned,
    state: &dyn Session,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let provider = pinned.table().table_provider().await?;
    let plan = provider.scan(state, projection, filters, limit).await?;
    let wanted = projection.map_or_else(|| Ok((*pinned.schema).clone()), |columns| pinned.schema.project(columns))?;
    crate::write::cast_plan(plan, &Arc::new(wanted))
}

/// With a limit and no filter left, the first files that hold enough rows.
fn enough_files(files: Vec<&DataFile>, limit: Option<usize>) -> Vec<&DataFile> {
    let Some(limit) = limit else { return files };
    let mut rows = 0_usize;
    let needed = files.iter().position(|file| {
        rows = rows.saturating_add(file.rows.unwrap_or_default());
        rows >= limit
    });
    let count = needed.map_or(files.len(), |last| last + 1);
    files.into_iter().take(count).collect()
}

/// Delta orders columns as it likes; DataFusion puts the file's columns first and the partition columns last.
struct Layout {
    table_schema: TableSchema,
    /// Position in the scan for each column of the table.
    position: Vec<usize>,
}

impl Layout {
    fn new(pinned: &Pinned) -> Result<Self> {
        let partitions = pinned.snapshot()?.metadata().partition_columns();
        let schema = &pinned.schema;
        let in_files: Vec<FieldRef> =
            schema.fields().iter().filter(|field| !partitions.contains(field.name())).cloned().collect();
        let by_partition: Vec<FieldRef> = partitions
            .iter()
            .map(|name| schema.field_with_name(name).map(|field| Arc::new(field.clone())))
            .collect::<Result<_, _>>()?;
        let order = in_files.iter().chain(&by_partition);
        let names: Vec<&str> = order.map(|field| field.name().as_str()).collect();
        let position = schema.fields().iter().map(|field| {
            let found = names.iter().position(|name| name == field.name());
            found.ok_or_else(|| Error::internal(format!("column '{}' has no place in the scan", field.name())))
        });
        let position = position.collect::<Result<_>>()?;
        Ok(Self {
            position,
            table_schema: TableSchema::builder(Arc::new(Schema::new(in_files)))
                .with_table_partition_cols(by_partition)
                .build(),
        })
    }

    fn positions(&self, columns: &[usize]) -> Vec<usize> {
        columns.iter().map(|column| self.position[*column]).collect()
    }

    fn reorder(&self, statistics: &Statistics) -> Statistics {
        let mut reordered = statistics.clone();
        for (column, position) in self.position.iter().enumerate() {
            reordered.column_statistics[*position] = statistics.column_statistics[column].clone();
        }
        reordered
    }

    fn partitioned_file(&self, file: &DataFile) -> Result<PartitionedFile> {
        let modified = jiff::Timestamp::from_millisecond(file.modified_ms).unwrap_or_default();
        let meta = ObjectMeta {
            location: file.path.clone(),
            last_modified: std::time::SystemTime::from(modified).into(),
            size: file.size,
            e_tag: None,
            version: None,
        };
        let mut partitioned = PartitionedFile::new_from_meta(meta)
            .with_partition_values(file.partition_values.clone())
            .with_metadata_size_hint(FOOTER_BYTES);
        // The full statistics are given directly: `with_statistics` would append the partition columns once more.
        partitioned.statistics = Some(Arc::new(self.reorder(&file.statistics)));
        Ok(partitioned)
    }
}
