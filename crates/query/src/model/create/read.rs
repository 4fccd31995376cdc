//! Reading the training rows into memory, within the session's limit.

use arrow::array::RecordBatch;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::LogicalPlan;
use futures::TryStreamExt;

use crate::Result;
use crate::session::StatementScope;
use crate::statement;

/// Training rows, and the memory that is reserved for them until they are dropped.
pub(super) struct Rows {
    pub(super) batches: Vec<RecordBatch>,
    memory: MemoryReservation,
}

/// What training takes for each byte of input: the rows in canonical order, the features, and their dense or binned
/// view, beside the rows as read.
const TRAINING_FACTOR: usize = 3;

/// Runs the query and keeps its rows.
///
/// # Errors
/// Exhausted when the rows, and what training makes of them, pass the session's memory limit.
pub(super) async fn read(scope: &StatementScope, plan: &LogicalPlan) -> Result<Rows> {
    let mut stream = statement::stream(scope, plan).await?;
    // The statement's pool: SET memory_limit has replaced the one that the session was opened with.
    let memory = MemoryConsumer::new("CREATE MODEL").register(&scope.state().runtime_env().memory_pool);
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await.map_err(|error| scope.error(error))? {
        memory.try_grow(batch.get_array_memory_size()).map_err(|error| scope.error(error))?;
        if batch.num_rows() > 0 {
            batches.push(batch);
        }
    }
    let rows = Rows { batches, memory };
    rows.reserve_for_training(scope)?;
    Ok(rows)
}

impl Rows {
    fn reserve_for_training(&self, scope: &StatementScope) -> Result<()> {
        let bytes = self.memory.size().saturating_mul(TRAINING_FACTOR - 1);
        self.memory.try_grow(bytes).map_err(|error| scope.error(error))
    }
}
