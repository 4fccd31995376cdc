//! DataFusion's settings for this engine, each chosen by measurement; see `docs/tuning.md`.

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use lakemill_lake::Lake;

use super::SessionOptions;
use super::memory::MemoryLimit;
use super::planner::LakemillPlanner;
use crate::error::Result;
use crate::{model, optimizer};

/// The catalog that the lake's namespaces are schemas of.
pub(super) const CATALOG: &str = "lake";

/// A context for `lake`.
pub(super) fn context(lake: &Lake, options: &SessionOptions, memory: &MemoryLimit) -> Result<SessionContext> {
    let mut disk = DiskManagerBuilder::default();
    if let Some(folder) = &options.spill_dir {
        disk = disk.with_mode(DiskManagerMode::Directories(vec![folder.clone()]));
    }
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(memory.pool())
        .with_disk_manager_builder(disk)
        .with_object_store_registry(lake.object_store_registry())
        .build_arc()?;
    let builder = SessionStateBuilder::new()
        .with_config(session_config(options))
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(Arc::new(LakemillPlanner));
    let builder = optimizer::extend(builder, options.create_tables_in_memory);
    Ok(SessionContext::new_with_state(model::extend(builder).build()))
}

/// Rows of a batch: the work per batch is spread over more rows, and a batch's columns still fit the cache.
const BATCH_ROWS: usize = 16 * 1024;

/// Up to this size one side of a join is gathered into one hash table for all threads; beyond, both sides are
/// partitioned, which copies every row of the larger side.
const GATHERED_BYTES: usize = 32 * 1024 * 1024;
const GATHERED_ROWS: usize = 1_000_000;

/// The settings.
pub(super) fn session_config(options: &SessionOptions) -> SessionConfig {
    let mut config = SessionConfig::new().with_information_schema(true);
    if !options.create_tables_in_memory {
        config = config
            .with_default_catalog_and_schema(CATALOG, &options.default_namespace)
            .with_create_default_catalog_and_schema(false)
            .with_batch_size(BATCH_ROWS);
        let optimizer = &mut config.options_mut().optimizer;
        optimizer.hash_join_single_partition_threshold = GATHERED_BYTES;
        optimizer.hash_join_single_partition_threshold_rows = GATHERED_ROWS;
    }
    if let Some(threads) = options.threads {
        config = config.with_target_partitions(threads.max(1));
    }
    let settings = config.options_mut();
    // Errors name the line and column of what they are about.
    settings.sql_parser.collect_spans = true;
    config
}
