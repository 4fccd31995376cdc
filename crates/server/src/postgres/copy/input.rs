//! Rows from the client, into one INSERT that runs while they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream;
use parking_lot::Mutex;
use pgwire::api::results::{CopyResponse, Response};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Copy;
use super::decode::{Decoder, Row};
use crate::cancel::{Cancel, Reason};
use crate::engine::{Answer, Client};
use crate::error::{Error, Result};

/// Rows of a batch.
const BATCH_ROWS: usize = 8 * 1024;

/// Batches that wait for the INSERT.
const QUEUE_BATCHES: usize = 2;

/// Numbers the relations that copied rows are read from.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A COPY FROM STDIN under way.
#[derive(Debug)]
pub(in crate::postgres) struct CopyIn {
    decoder: Decoder,
    schema: SchemaRef,
    rows: Vec<Row>,
    sender: Option<mpsc::Sender<RecordBatch>>,
    /// Set when the client has said that these are all its rows.
    complete: Arc<AtomicBool>,
    insert: JoinHandle<Result<u64>>,
    cancel: Cancel,
}

impl CopyIn {
    /// Begins the INSERT that the rows go into.
    pub(in crate::postgres) async fn begin(client: &Client, copy: &Copy) -> Result<(Self, Response)> {
        let parsed = client.parse(&copy.query())?;
        let [select] = parsed.as_slice() else { return Err(Error::invalid("COPY takes one table")) };
        let columns = client.describe(select).await?.columns;
        let columns = columns.ok_or_else(|| Error::invalid("COPY .. FROM STDIN takes a table"))?;
        let text = |field: &Arc<Field>| Field::new(field.name(), DataType::Utf8, true);
        let schema = Arc::new(Schema::new(columns.fields().iter().map(text).collect::<Vec<_>>()));
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let complete = Arc::new(AtomicBool::new(false));
        let source =
            Source { schema: Arc::clone(&schema), rows: Mutex::new(Some(receiver)), complete: Arc::clone(&complete) };
        let table = StreamingTable::try_new(Arc::clone(&schema), vec![Arc::new(source)])?;
        let name = format!("copied_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let cancel = Cancel::default();
        let insert = insert(client.clone(), copy.source.clone(), name, Arc::new(table), cancel.clone());
        let fields = schema.fields().len();
        let receiving = Self {
            decoder: Decoder::new(copy.form, fields),
            schema,
            rows: Vec::new(),
            sender: Some(sender),
            complete,
            insert: tokio::spawn(insert),
            cancel,
        };
        Ok((receiving, Response::CopyIn(CopyResponse::new(0, fields, stream::empty()))))
    }

    /// Takes bytes of the client.
    pub(in crate::postgres) async fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let rows = &mut self.rows;
        self.decoder.read(bytes, |row| rows.push(row))?;
        if self.rows.len() >= BATCH_ROWS { self.flush().await } else { Ok(()) }
    }

    /// The client has sent all; gives the rows that were committed.
    pub(in crate::postgres) async fn finish(mut self, _: &Client, cancel: &Cancel) -> Result<u64> {
        let rows = &mut self.rows;
        self.decoder.end(|row| rows.push(row))?;
        self.flush().await?;
        self.complete.store(true, Ordering::Release);
        self.sender = None;
        let stop = async {
            while cancel.reason().is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            inserted = &mut self.insert => inserted.map_err(|error| Error::internal(error.to_string()))?,
            () = stop => {
                self.cancel.set(Reason::Client);
                (&mut self.insert).await.map_err(|error| Error::internal(error.to_string()))?
            }
        }
    }

    async fn flush(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let column = |index: usize| -> ArrayRef {
            Arc::new(rows.iter().map(|row| row[index].as_deref()).collect::<StringArray>())
        };
        let columns = (0..self.schema.fields().len()).map(column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(DataFusionError::from)?;
        let sent = match &self.sender {
            Some(sender) => sender.send(batch).await.is_ok(),
            None => false,
        };
        match sent {
            true => Ok(()),
            // The INSERT has ended before its rows have: it says why.
            false => match (&mut self.insert).await {
                Ok(Err(error)) => Err(error),
                Ok(Ok(_)) => Err(Error::internal("the INSERT of a COPY has ended early")),
                Err(error) => Err(Error::internal(error.to_string())),
            },
        }
    }
}

impl Drop for CopyIn {
    fn drop(&mut self) {
        if !self.complete.load(Ordering::Acquire) {
            self.cancel.set(Reason::Client);
        }
    }
}

async fn insert(
    client: Client,
    target: String,
    name: String,
    table: Arc<StreamingTable>,
    cancel: Cancel,
) -> Result<u64> {
    let session = client.session();
    session.add_temporary(&name, table);
    let inserted = async {
        let parsed = client.parse(&format!("INSERT INTO {target} SELECT * FROM {name}"))?;
        let [parsed] = parsed.as_slice() else { return Err(Error::invalid("COPY takes one table")) };
        match client.run(parsed, &cancel).await? {
            Answer::Done(summary) => Ok(summary.rows.unwrap_or(0)),
            Answer::Rows(_) => Err(Error::internal("an INSERT has given rows")),
        }
    }
    .await;
    session.remove_temporary(&name);
    inserted
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
        let (receiver, complete) = (self.rows.lock().take(), Arc::clone(&self.complete));
        let rows = stream::unfold(receiver, move |receiver| {
            let complete = Arc::clone(&complete);
            async move {
                let mut receiver = receiver?;
                match receiver.recv().await {
                    Some(batch) => Some((Ok(batch), Some(receiver))),
                    None if complete.load(Ordering::Acquire) => None,
                    // Rows that end without a word are not all rows.
                    None => Some((
                        Err(DataFusionError::Execution("the client went away before all rows came".into())),
                        None,
                    )),
                }
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}
