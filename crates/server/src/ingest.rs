//! Rows that a client sends, into one statement that runs while they come.
//!
//! The statement reads them from a relation of the client's session, which is there as long as the statement runs. A
//! client that sends faster than the statement reads waits: no more than a few batches are held.
//!
//! **Architecture invariant:** rows are committed together or not at all, and only after the client has said that these
//! are all: rows that end without a word, because the client or its connection died, are an error to the statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cancel::{Cancel, Reason};
use crate::engine::{Answer, Client};
use crate::error::{Error, Result};

/// Batches that wait for the statement.
const QUEUE_BATCHES: usize = 2;

/// How often a statement that finishes is asked whether it should stop.
const STOP_POLL: Duration = Duration::from_millis(50);

/// Numbers the relations that rows are read from.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Rows on their way into a statement. Dropping this before `finish` stops the statement.
#[derive(Debug)]
pub(crate) struct Ingest {
    sender: Option<mpsc::Sender<RecordBatch>>,
    /// Set when the client has said that these are all its rows.
    complete: Arc<AtomicBool>,
    statement: JoinHandle<Result<u64>>,
    cancel: Cancel,
}

impl Ingest {
    /// Begins the statement that `sql` writes, given the name of the relation that has the rows.
    ///
    /// # Errors
    /// A schema that no relation can have.
    pub(crate) fn begin(client: &Client, schema: &SchemaRef, sql: impl FnOnce(&str) -> String) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let complete = Arc::new(AtomicBool::new(false));
        let source =
            Source { schema: Arc::clone(schema), rows: Mutex::new(Some(receiver)), complete: Arc::clone(&complete) };
        let table = StreamingTable::try_new(Arc::clone(schema), vec![Arc::new(source)])?;
        let name = format!("sent_rows_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (cancel, statement) = (Cancel::default(), sql(&name));
        let work = run(client.clone(), name, Arc::new(table), statement, cancel.clone());
        Ok(Self { sender: Some(sender), complete, statement: tokio::spawn(work), cancel })
    }

    /// Hands rows over, once there is place for them.
    ///
    /// # Errors
    /// The statement's, if it has ended before its rows have.
    pub(crate) async fn send(&mut self, batch: RecordBatch) -> Result<()> {
        let sent = match &self.sender {
            Some(sender) => sender.send(batch).await.is_ok(),
            None => false,
        };
        if sent {
            return Ok(());
        }
        match (&mut self.statement).await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) => Err(Error::internal("the statement has ended before its rows")),
            Err(error) => Err(Error::internal(error.to_string())),
        }
    }

    /// The client has sent all; gives the rows that were committed. `stop` stops the statement.
    ///
    /// # Errors
    /// The statement's.
    pub(crate) async fn finish(mut self, stop: &Cancel) -> Result<u64> {
        self.complete.store(true, Ordering::Release);
        self.sender = None;
        let stopped = async {
            while stop.reason().is_none() {
                tokio::time::sleep(STOP_POLL).await;
            }
        };
        let ended = tokio::select! {
            ended = &mut self.statement => ended,
            () = stopped => {
                self.cancel.set(Reason::Client);
                (&mut self.statement).await
            }
        };
        ended.map_err(|error| Error::internal(error.to_string()))?
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        if !self.statement.is_finished() {
            self.cancel.set(Reason::Client);
        }
    }
}

async fn run(
    client: Client,
    name: String,
    table: Arc<StreamingTable>,
    statement: String,
    cancel: Cancel,
) -> Result<u64> {
    let session = client.session();
    session.add_temporary(&name, table);
    let done = async {
        let parsed = client.parse(&statement)?;
        let [parsed] = parsed.as_slice() else { return Err(Error::invalid("rows go into one table")) };
        match client.run(parsed, &cancel).await? {
            Answer::Done(summary) => Ok(summary.rows.unwrap_or(0)),
            Answer::Rows(_) => Err(Error::internal("a statement that takes rows has given rows")),
        }
    }
    .await;
    session.remove_temporary(&name);
    // The client has not written this statement: places in it would tell it nothing.
    done.map_err(Error::without_position)
}

/// The rows as a relation that is read once.
#[derive(Debug)]
struct Source {
    schema: SchemaRef,
    rows: Mutex<Option<mpsc::Receiver<RecordBatch>>>,
    complete: Arc<AtomicBool>,
}

impl PartitionStream for Source {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = match self.rows.lock().take() {
            Some(receiver) => receive(receiver, Arc::clone(&self.complete)),
            None => Box::pin(stream::once(async {
                Err(DataFusionError::Execution("the rows that a client sends can be read once".into()))
            })),
        };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

fn receive(
    receiver: mpsc::Receiver<RecordBatch>,
    complete: Arc<AtomicBool>,
) -> stream::BoxStream<'static, Result<RecordBatch, DataFusionError>> {
    Box::pin(stream::unfold(Some(receiver), move |receiver| {
        let complete = Arc::clone(&complete);
        async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(batch) => Some((Ok(batch), Some(receiver))),
                None if complete.load(Ordering::Acquire) => None,
                // Rows that end without a word are not all rows.
                None => {
                    Some((Err(DataFusionError::Execution("the client went away before all rows came".into())), None))
                }
            }
        }
    }))
}
