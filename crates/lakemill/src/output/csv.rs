//! `--format csv`: RFC 4180, with a header.
//!
//! NULL is an empty field and an empty string is `""`, so that the two can be told apart by readers that care.
//! Lists and structs are written as JSON.

use std::io::Write;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::json::writer::EncoderOptions;

use super::RowSink;
use super::cells::{Cells, Nested};

/// Writes comma-separated values.
pub(super) struct Csv<'a> {
    out: Box<dyn Write + Send + 'a>,
    line: String,
    cell: String,
}

impl<'a> Csv<'a> {
    /// Writes the header.
    pub(super) fn start(schema: &Schema, mut out: Box<dyn Write + Send + 'a>) -> Result<Self> {
        let mut line = String::new();
        for (column, field) in schema.fields().iter().enumerate() {
            if column > 0 {
                line.push(',');
            }
            quote(field.name(), &mut line);
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
        Ok(Self { out, line, cell: String::new() })
    }
}

impl RowSink for Csv<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = EncoderOptions::default();
        let mut cells = Cells::new(batch, Nested::Json, &options)?;
        for row in 0..batch.num_rows() {
            self.line.clear();
            for column in 0..batch.num_columns() {
                if column > 0 {
                    self.line.push(',');
                }
                if !cells.is_null(row, column) {
                    cells.read(row, column, &mut self.cell)?;
                    quote(&self.cell, &mut self.line);
                }
            }
            self.line.push('\n');
            self.out.write_all(self.line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}

/// Appends a field, quoted where it must be.
fn quote(field: &str, line: &mut String) {
    let plain = !field.is_empty() && !field.bytes().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r'));
    if plain {
        line.push_str(field);
        return;
    }
    line.push('"');
    for part in field.split_inclusive('"') {
        line.push_str(part);
        if part.ends_with('"') {
            line.push('"');
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_what_needs_it() {
        let quoted = |field: &str| {
            let mut line = String::new();
            quote(field, &mut line);
            line
        };
        assert_eq!(quoted("plain text"), "plain text");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(quoted("two\nlines"), "\"two\nlines\"");
    }
}
