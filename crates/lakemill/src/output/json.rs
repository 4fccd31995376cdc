//! `--format json` (one array) and `--format jsonl` (one object per line).
//!
//! NULLs are written, so that every object has every key. NaN and infinities, which JSON lacks, become null.

use std::io::Write;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};

use super::RowSink;

/// Writes JSON objects.
pub(super) struct Json<'a> {
    out: Box<dyn Write + Send + 'a>,
    /// Each column's key with its colon, already escaped.
    keys: Vec<String>,
    array: bool,
    rows: u64,
    line: Vec<u8>,
}

impl<'a> Json<'a> {
    /// One array for the whole result.
    pub(super) fn array(schema: &SchemaRef, out: Box<dyn Write + Send + 'a>) -> Self {
        Self { out, keys: keys(schema), array: true, rows: 0, line: Vec::new() }
    }

    /// One object per line.
    pub(super) fn lines(schema: &SchemaRef, out: Box<dyn Write + Send + 'a>) -> Self {
        Self { array: false, ..Self::array(schema, out) }
    }
}

impl RowSink for Json<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = EncoderOptions::default().with_explicit_nulls(true);
        let mut encoders = batch
            .schema_ref()
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Ok(make_encoder(field, array.as_ref(), &options)?))
            .collect::<Result<Vec<NullableEncoder<'_>>>>()?;
        for row in 0..batch.num_rows() {
            self.line.clear();
            if self.array {
                self.line.extend_from_slice(if self.rows == 0 { b"[\n" } else { b",\n" });
            }
            self.line.push(b'{');
            for (column, (key, encoder)) in self.keys.iter().zip(&mut encoders).enumerate() {
                if column > 0 {
                    self.line.push(b',');
                }
                self.line.extend_from_slice(key.as_bytes());
                if encoder.is_null(row) {
                    self.line.extend_from_slice(b"null");
                } else {
                    encoder.encode(row, &mut self.line);
                }
            }
            self.line.extend_from_slice(if self.array { b"}" } else { b"}\n" });
            self.out.write_all(&self.line)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if self.array {
            self.out.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        Ok(self.out.flush()?)
    }
}

fn keys(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| format!("{}:", serde_json::Value::from(field.name().as_str()))).collect()
}
