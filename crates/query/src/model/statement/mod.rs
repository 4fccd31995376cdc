//! Statements about models that exist: DROP, SHOW, DESCRIBE and EXPORT MODEL.

mod describe;
mod drop;
mod export;
mod show;

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::physical_plan::memory::MemoryStream;

use crate::Result;
use crate::outcome::Outcome;

pub(super) use describe::describe;
pub(super) use drop::drop_model;
pub(super) use export::export;
pub(super) use show::show;

/// Rows that are there already, as an outcome.
fn rows(batch: RecordBatch) -> Result<Outcome> {
    let schema = batch.schema();
    Ok(Outcome::Rows(Box::pin(MemoryStream::try_new(vec![batch], Arc::clone(&schema), None)?)))
}
