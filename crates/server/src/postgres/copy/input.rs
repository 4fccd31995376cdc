//! Rows from the client, into one INSERT that runs while they come.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use futures::stream;
use pgwire::api::results::{CopyResponse, Response};

use super::Copy;
use super::decode::{Decoder, Row};
use crate::cancel::Cancel;
use crate::engine::Client;
use crate::error::{Error, Result};
use crate::ingest::Ingest;

/// Rows of a batch.
const BATCH_ROWS: usize = 8 * 1024;

/// A COPY FROM STDIN under way.
#[derive(Debug)]
pub(in crate::postgres) struct CopyIn {
    decoder: Decoder,
    schema: SchemaRef,
    rows: Vec<Row>,
    ingest: Ingest,
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
        let ingest =
            Ingest::begin(client, &schema, |rows| format!("INSERT INTO {} SELECT * FROM {rows}", copy.source))?;
        let fields = schema.fields().len();
        let receiving = Self { decoder: Decoder::new(copy.form, fields), schema, rows: Vec::new(), ingest };
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
        self.ingest.finish(cancel).await
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
        self.ingest.send(batch).await
    }
}
