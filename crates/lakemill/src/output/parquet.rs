//! `--format parquet`: one Parquet file per result.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lakemill_query::Plain;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::RowSink;

/// Row groups of this many rows keep the writer's memory bounded; it is Parquet's usual size.
const ROW_GROUP_ROWS_MAX: usize = 1 << 20;

/// Writes a Parquet file.
pub(super) struct Parquet<'a> {
    plain: Plain,
    writer: Option<ArrowWriter<Box<dyn Write + Send + 'a>>>,
}

impl<'a> Parquet<'a> {
    pub(super) fn start(schema: &SchemaRef, out: Box<dyn Write + Send + 'a>) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
            .set_created_by(format!("lakemill {}", env!("CARGO_PKG_VERSION")))
            .build();
        let plain = Plain::of(schema);
        let writer = ArrowWriter::try_new(out, Arc::clone(plain.schema()), Some(properties))
            .context("this result cannot be written as parquet")?;
        Ok(Self { plain, writer: Some(writer) })
    }
}

impl RowSink for Parquet<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.write(&self.plain.batch(batch)?)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            writer.into_inner()?.flush()?;
        }
        Ok(())
    }
}
