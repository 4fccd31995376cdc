//! Writes rows as Parquet files of a table; nothing is visible until a commit names them.
//!
//! The input's partitions feed one bounded queue; writers take batches from it, check and encode them. The first writer
//! works alone until enough rows have come to be worth a second file, so small results stay in one file and large ones
//! are encoded on all cores. Memory is bounded by the queue and by one row group per writer and table partition.
//!
//! An error stops all and removes what was written. Dropping the future stops everything, too, but then what was written
//! stays behind as orphans, which VACUUM removes.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::record_batch::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::{Action, Add};
use deltalake::logstore::LogStoreRef;
use deltalake::operations::get_num_idx_cols_and_stats_columns;
use deltalake::parquet::basic::Compression;
use deltalake::parquet::file::properties::WriterProperties;
use futures::StreamExt;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use super::draft::Draft;
use super::rules::RowRules;
use crate::error::{Error, Result};

/// Rows of a row group: large enough to compress well, small enough that a table of a few hundred thousand rows is read
/// by all cores.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Files are closed at about this size.
const FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Each further writer starts when this many more rows have come.
const ROWS_PER_WRITER: u64 = 512 * 1024;

/// Batches between the query and the writers.
const QUEUE_BATCHES: usize = 8;

/// Batches have a few thousand rows; writers take them whole.
const WRITE_BATCH_ROWS: usize = 8 * 1024;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) files: Vec<Add>,
    pub(super) rows: u64,
}

impl Written {
    pub(super) fn actions(self) -> Vec<Action> {
        self.files.into_iter().map(Action::Add).collect()
    }
}

/// How Lakemill writes Parquet. Snappy: every reader knows it, and scans of Zstandard files took a quarter more
/// processor time for files a fifth smaller.
pub(super) fn writer_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("lakemill ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

/// The size at which a file is closed.
pub(super) fn file_bytes() -> NonZeroU64 {
    NonZeroU64::new(FILE_BYTES).unwrap_or(NonZeroU64::MIN)
}

/// Runs a plan and writes its rows.
pub(super) async fn write_files(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    log_store: &LogStoreRef,
    rules: RowRules,
    partition_columns: &[String],
) -> Result<Written> {
    let writers_max = context.session_config().target_partitions().max(1);
    let (stats_columns, stats_names) = get_num_idx_cols_and_stats_columns(None, HashMap::new());
    let config = WriterConfig::new(
        Arc::clone(rules.schema()),
        partition_columns.to_vec(),
        Some(writer_properties()),
        Some(file_bytes()),
        Some(WRITE_BATCH_ROWS),
        stats_columns,
        stats_names,
    );
    let (send, receive) = mpsc::channel::<RecordBatch>(QUEUE_BATCHES);
    let (count, counted) = watch::channel(0_u64);
    let count = Arc::new(count);
    let mut readers: JoinSet<Result<()>> = JoinSet::new();
    for mut stream in execute_stream_partitioned(plan, context)? {
        let (send, count) = (send.clone(), Arc::clone(&count));
        readers.spawn(async move {
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                count.send_modify(|rows| *rows += batch.num_rows() as u64);
                // The queue lives as long as the change.
                if batch.num_rows() > 0 && send.send(batch).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
    }
    drop((send, count));
    let draft = Arc::new(Draft::new(log_store.object_store(None)));
    let queue = Arc::new(Queue { batches: Mutex::new(receive), failed: AtomicBool::new(false), rules });
    let mut writers: JoinSet<Result<Written>> = JoinSet::new();
    for number in 0..writers_max as u64 {
        let writer = DeltaWriter::new(Arc::clone(&draft) as _, config.clone());
        let (queue, mut counted) = (Arc::clone(&queue), counted.clone());
        writers.spawn(async move {
            // An error means that the input has ended: the queue is all there is.
            let _ = counted.wait_for(|rows| *rows >= number * ROWS_PER_WRITER).await;
            write_from(&queue, writer).await
        });
    }
    drop(counted);
    let written = join(readers, writers, &queue).await;
    if written.is_err() {
        draft.discard().await;
    }
    written
}

/// What the writers share.
struct Queue {
    batches: Mutex<mpsc::Receiver<RecordBatch>>,
    /// Whether all is in vain: nobody ends a file then.
    failed: AtomicBool,
    rules: RowRules,
}

impl Queue {
    async fn next(&self) -> Option<RecordBatch> {
        self.batches.lock().await.recv().await
    }

    fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

async fn write_from(queue: &Queue, mut writer: DeltaWriter) -> Result<Written> {
    let rows = write_rows(queue, &mut writer).await;
    if rows.is_ok() && !queue.failed() {
        return Ok(Written { rows: rows?, files: writer.close().await? });
    }
    if let Err(leftover) = writer.abort().await {
        tracing::debug!(%leftover, "an upload was not cancelled by its writer");
    }
    rows.map(|_| Written::default())
}

async fn write_rows(queue: &Queue, writer: &mut DeltaWriter) -> Result<u64> {
    let mut rows = 0;
    while let Some(batch) = queue.next().await {
        writer.write(&queue.rules.apply(&batch)?).await?;
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}

/// The sum of all writers, or the first error. Each writer has come to its end then: dropped in the middle of a file it
/// would leave the work of a background thread behind.
async fn join(
    mut readers: JoinSet<Result<()>>,
    mut writers: JoinSet<Result<Written>>,
    queue: &Queue,
) -> Result<Written> {
    let mut sum = Ok(Written::default());
    loop {
        let error = tokio::select! {
            Some(read) = readers.join_next() => read.map_err(stopped).and_then(|read| read).err(),
            Some(done) = writers.join_next() => match done.map_err(stopped).and_then(|done| done) {
                Ok(written) => {
                    if let Ok(sum) = &mut sum {
                        sum.rows += written.rows;
                        sum.files.extend(written.files);
                    }
                    None
                }
                Err(error) => Some(error),
            },
            else => return sum,
        };
        if let Some(error) = error {
            queue.failed.store(true, Ordering::Relaxed);
            readers.abort_all();
            sum = sum.and(Err(error));
        }
    }
}

fn stopped(error: JoinError) -> Error {
    Error::internal(format!("a writer stopped: {error}"))
}
