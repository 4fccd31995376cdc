//! `--format vertical` and `\x`: each row as a list of its columns.

use std::io::Write;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::writer::EncoderOptions;
use console::{Style as Paint, measure_text_width};

use super::cells::{Cells, Nested};
use super::{RowSink, Style};

/// Writes rows one below the other.
pub(super) struct Vertical<'a> {
    out: Box<dyn Write + Send + 'a>,
    names: Vec<String>,
    bold: Paint,
    dim: Paint,
    rows: u64,
}

impl<'a> Vertical<'a> {
    pub(super) fn new(schema: &SchemaRef, out: Box<dyn Write + Send + 'a>, style: Style) -> Self {
        let widest = schema.fields().iter().map(|f| measure_text_width(f.name())).max().unwrap_or(0);
        let names = schema
            .fields()
            .iter()
            .map(|f| format!("{}{}", " ".repeat(widest - measure_text_width(f.name())), f.name()))
            .collect();
        let plain = Paint::new().force_styling(style.color);
        Self { out, names, bold: plain.clone().bold(), dim: plain.dim(), rows: 0 }
    }
}

impl RowSink for Vertical<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = EncoderOptions::default();
        let mut cells = Cells::new(batch, Nested::Readable, &options)?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            self.rows += 1;
            let title = format!("── row {} ", self.rows);
            let rule = "─".repeat(40usize.saturating_sub(measure_text_width(&title)));
            writeln!(self.out, "{}", self.dim.apply_to(format!("{title}{rule}")))?;
            for (column, name) in self.names.iter().enumerate() {
                cells.read(row, column, &mut text)?;
                let value = if cells.is_null(row, column) {
                    self.dim.apply_to("NULL").to_string()
                } else {
                    let indent = format!("\n{} │ ", " ".repeat(measure_text_width(name)));
                    text.replace('\n', &indent)
                };
                writeln!(self.out, "{} │ {value}", self.bold.apply_to(name))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}
