//! Rows between the engine and the messages of Flight.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use datafusion::common::DataFusionError;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use lakemill_query::Plain;
use tonic::{Status, Streaming};

use super::status::unreadable;
use crate::error::{Error, Result};

/// The size that messages are kept near: clients take 4 MiB unless told otherwise.
const MESSAGE_BYTES: usize = 2 * 1024 * 1024;

pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

/// The schema and the rows as messages, made as they are polled.
pub(super) fn encode(schema: &Schema, batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static) -> Messages {
    let plain = Plain::of(schema);
    let schema = Arc::clone(plain.schema());
    let pieces = batches.map(move |batch| {
        let pieces = batch.and_then(|batch| Ok(plain.batch(&batch)?)).map(|batch| pieces(&batch));
        let pieces = pieces.map_err(|error| FlightError::from(Status::from(error)));
        stream::iter(match pieces {
            Ok(pieces) => pieces.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    });
    send(schema, pieces.flatten())
}

/// One batch as it is, such as an answer about the catalog.
pub(super) fn one(batch: RecordBatch) -> Messages {
    send(batch.schema(), stream::iter([Ok(batch)]))
}

fn send(schema: SchemaRef, batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static) -> Messages {
    // It would measure a slice by the buffers that it is a part of.
    let encoder = FlightDataEncoderBuilder::new().with_schema(schema).with_max_flight_data_size(usize::MAX);
    Box::pin(encoder.build(batches).map_err(Status::from))
}

/// A batch in parts of about a message each.
fn pieces(batch: &RecordBatch) -> Vec<RecordBatch> {
    let bytes = |column: &Arc<dyn Array>| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_buffer_memory_size())
    };
    let bytes: usize = batch.columns().iter().map(bytes).sum();
    let rows = batch.num_rows().div_ceil(bytes / MESSAGE_BYTES + 1).max(1);
    let starts = (0..batch.num_rows()).step_by(rows);
    starts.map(|start| batch.slice(start, rows.min(batch.num_rows() - start))).collect()
}

/// A schema as messages carry it.
pub(super) fn schema_bytes(schema: &Schema) -> Result<Bytes> {
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    let IpcMessage(bytes) = message.map_err(DataFusionError::from)?;
    Ok(bytes)
}

/// What a client sends.
pub(super) struct Sent {
    decoder: FlightDataDecoder,
}

impl Sent {
    /// The rows of a call whose `first` message has been taken off to see what the call is.
    pub(super) fn new(first: FlightData, rest: Streaming<FlightData>) -> Self {
        // A command without rows comes without a schema too.
        let first = (!first.data_header.is_empty()).then_some(Ok(first));
        let messages = stream::iter(first).chain(rest.map_err(FlightError::from));
        Self { decoder: FlightDataDecoder::new(messages) }
    }

    /// The schema that comes before the rows.
    ///
    /// # Errors
    /// Invalid: there is none.
    pub(super) async fn schema(&mut self) -> Result<SchemaRef, Status> {
        while let Some(message) = self.decoder.next().await {
            if let DecodedPayload::Schema(schema) = message.map_err(unreadable)?.payload {
                return Ok(schema);
            }
        }
        Err(Error::invalid("rows begin with their schema, and none was sent").into())
    }

    /// The next rows; `None` once the client has said that these were all.
    pub(super) async fn batch(&mut self) -> Result<Option<RecordBatch>, Status> {
        while let Some(message) = self.decoder.next().await {
            if let DecodedPayload::RecordBatch(batch) = message.map_err(unreadable)?.payload {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    use super::pieces;

    #[test]
    fn messages_are_small_and_slices_are_measured_as_slices() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000_000));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let sizes: Vec<usize> = pieces(&batch).iter().map(RecordBatch::num_rows).collect();
        assert_eq!((sizes.len(), sizes.iter().sum::<usize>()), (4, 1_000_000));
        assert_eq!(pieces(&batch.slice(5, 10_000)).len(), 1);
        assert!(pieces(&batch.slice(0, 0)).is_empty());
    }
}
