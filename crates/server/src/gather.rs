//! Small batches put together, as far as they are there already.
//!
//! Some operators give a batch for each row of one side. Each costs its way through the queue and a message of its own,
//! which is a hundred times what its rows cost. Nothing is waited for: the first rows are not held back.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::stream::Fuse;
use futures::{FutureExt, StreamExt};

/// Batches of as many rows are left as they are.
const ROWS_ENOUGH: usize = 4 * 1024;

/// The rows of a query in batches that are worth sending.
pub(crate) struct Gather {
    /// Not to be polled after its end, which is met while rows are put together.
    rows: Fuse<SendableRecordBatchStream>,
    /// What came after rows that were not sent yet.
    failed: Option<DataFusionError>,
}

impl Gather {
    pub(crate) fn new(rows: SendableRecordBatchStream) -> Self {
        Self { rows: rows.fuse(), failed: None }
    }

    /// The next batch; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<RecordBatch, DataFusionError>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let first = match self.rows.next().await? {
            Ok(batch) if batch.num_rows() < ROWS_ENOUGH => batch,
            other => return Some(other),
        };
        let mut count = first.num_rows();
        let mut batches = vec![first];
        while count < ROWS_ENOUGH {
            match self.rows.next().now_or_never() {
                Some(Some(Ok(batch))) => {
                    count += batch.num_rows();
                    batches.push(batch);
                }
                Some(Some(Err(error))) => {
                    self.failed = Some(error);
                    break;
                }
                Some(None) | None => break,
            }
        }
        match batches.as_slice() {
            [_] => batches.pop().map(Ok),
            [first, ..] => Some(concat_batches(&first.schema(), &batches).map_err(DataFusionError::from)),
            [] => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::common::DataFusionError;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::stream;

    use super::{Gather, ROWS_ENOUGH};

    fn batch(rows: usize) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1; rows]));
        RecordBatch::try_from_iter([("n", numbers)]).unwrap()
    }

    #[tokio::test]
    async fn small_batches_are_put_together_and_what_fails_later_comes_later() {
        let small = std::iter::repeat_n((), 100).map(|()| Ok(batch(2)));
        let failed = [Ok(batch(ROWS_ENOUGH)), Ok(batch(1)), Err(DataFusionError::Execution("later".into()))];
        let rows = stream::iter(small.chain(failed).collect::<Vec<_>>());
        let mut rows = Gather::new(Box::pin(RecordBatchStreamAdapter::new(batch(0).schema(), rows)));
        let mut sizes = Vec::new();
        let error = loop {
            match rows.next().await.unwrap() {
                Ok(batch) => sizes.push(batch.num_rows()),
                Err(error) => break error,
            }
        };
        assert_eq!(sizes, [200 + ROWS_ENOUGH, 1]);
        assert!(error.to_string().contains("later"));
        assert!(rows.next().await.is_none());
    }
}
