//! Scans of some data files of a table, or of some rows of them, made from the scan of all.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::ProjectionExec;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::PageIndexPolicy;

/// The data files that a plain scan reads whole; `None` for any other plan.
pub(super) fn files_of(plan: &Arc<dyn ExecutionPlan>) -> Option<Vec<PartitionedFile>> {
    let config = scan_of(plan)?;
    let files: Vec<PartitionedFile> = config.file_groups.iter().flat_map(FileGroup::iter).cloned().collect();
    let whole = config.limit.is_none() && files.iter().all(|file| file.range.is_none());
    whole.then_some(files)
}

/// The scan below projections.
fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        return scan_of(projection.input());
    }
    plan.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>().map(|(config, _)| config)
}

/// A plan that reads these files alone, in up to so many partitions. `rows_expected` is what statistics say, where it is less
/// than the files have.
pub(super) fn read(
    plan: &Arc<dyn ExecutionPlan>,
    files: Vec<PartitionedFile>,
    partitions: usize,
    rows_expected: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    if files.is_empty() {
        return Ok(Arc::new(EmptyExec::new(plan.schema())));
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let input = read(projection.input(), files, partitions, rows_expected)?;
        return Ok(Arc::new(ProjectionExec::try_new(projection.expr().to_vec(), input)?));
    }
    let Some(config) = scan_of(plan) else {
        return datafusion::common::internal_err!("a scan of {} files is gone", files.len());
    };
    let statistics = statistics(config, &files, rows_expected);
    let groups = FileGroup::new(files).split_files(partitions.max(1));
    let config = FileScanConfigBuilder::from(config.clone())
        .with_file_groups(groups)
        .with_statistics(statistics)
        .with_preserve_order(true)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

fn statistics(config: &FileScanConfig, files: &[PartitionedFile], rows_expected: Option<usize>) -> Statistics {
    let schema = config.file_source().table_schema().table_schema();
    let of_files: Option<Vec<&Statistics>> = files.iter().map(|file| file.statistics.as_deref()).collect();
    let total = of_files.and_then(|parts| Statistics::try_merge_iter(parts, schema).ok());
    let mut total = total.unwrap_or_else(|| Statistics::new_unknown(schema));
    if let Some(rows) = rows_expected {
        total = total.to_inexact();
        total.num_rows = Precision::Inexact(rows);
    }
    total
}

/// A scan of the files that `plan` reads, where `rows` names for each the rows that are read of it, all of them or some in
/// order. `None`: `plan` is no plain scan.
pub(in crate::model::search) fn read_rows(
    plan: &Arc<dyn ExecutionPlan>,
    partitions: usize,
    rows: &dyn Fn(&str) -> Option<Rows>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(config) = scan_of(plan) else { return Ok(None) };
    // A rule may have cut files into parts, for more partitions.
    let mut seen = HashSet::new();
    let mut files: Vec<PartitionedFile> = config.file_groups.iter().flat_map(FileGroup::iter).cloned().collect();
    files.retain(|file| seen.insert(file.object_meta.location.clone()));
    files.iter_mut().for_each(|file| file.range = None);
    let chosen = files.into_iter().filter_map(|file| match rows(file.object_meta.location.as_ref()) {
        Some(Rows::All) => Some(file),
        Some(Rows::Some { rows, of }) if !rows.is_empty() => {
            Some(file.with_extension(ParquetRowSelection::new(selection(&rows, of))))
        }
        Some(Rows::Some { .. }) | None => None,
    });
    read(plan, chosen.collect(), partitions, None).map(Some)
}

/// Puts where the pages of a scan's data files begin into the cache of metadata that scans look into: a scan without a filter
/// does not read that by itself, and would read all pages for a row.
///
/// # Errors
/// A file's footer cannot be read.
pub(in crate::model::search) async fn find_pages(plan: &Arc<dyn ExecutionPlan>, context: &TaskContext) -> Result<()> {
    let Some(config) = scan_of(plan) else { return Ok(()) };
    let runtime = context.runtime_env();
    let store = runtime.object_store(&config.object_store_url)?;
    for file in config.file_groups.iter().flat_map(FileGroup::iter) {
        DFParquetMetadata::new(&store, &file.object_meta)
            .with_metadata_size_hint(file.metadata_size_hint)
            .with_file_metadata_cache(Some(runtime.cache_manager.get_file_metadata_cache()))
            .with_page_index_policy(Some(PageIndexPolicy::Optional))
            .fetch_metadata()
            .await?;
    }
    Ok(())
}

/// Rows of a data file.
#[derive(Clone, Debug)]
pub(in crate::model::search) enum Rows {
    /// All of them.
    All,
    /// Some, by their places in order, of how many.
    Some { rows: Vec<usize>, of: usize },
}

impl Rows {
    /// Whether they are some, not all.
    pub(in crate::model::search) fn are_some(&self) -> bool {
        matches!(self, Self::Some { .. })
    }
}

fn selection(rows: &[usize], of: usize) -> RowSelection {
    let mut selectors = Vec::with_capacity(2 * rows.len() + 1);
    let mut next = 0;
    for row in rows {
        selectors.push(RowSelector::skip(row - next));
        selectors.push(RowSelector::select(1));
        next = row + 1;
    }
    selectors.push(RowSelector::skip(of.saturating_sub(next)));
    // Neighbours are put together, and empty ones left out.
    selectors.into()
}
