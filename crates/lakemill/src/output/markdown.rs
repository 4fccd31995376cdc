//! `--format markdown`: a GitHub table.

use std::io::Write;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::json::writer::EncoderOptions;

use super::RowSink;
use super::cells::{Cells, Nested, is_right_aligned};

/// Writes a table that GitHub and most Markdown readers draw.
pub(super) struct Markdown<'a> {
    out: Box<dyn Write + Send + 'a>,
    line: String,
    cell: String,
}

impl<'a> Markdown<'a> {
    /// Writes the header and the line of alignments.
    pub(super) fn start(schema: &Schema, mut out: Box<dyn Write + Send + 'a>) -> Result<Self> {
        let mut line = String::from("|");
        for field in schema.fields() {
            line.push(' ');
            escape(field.name(), &mut line);
            line.push_str(" |");
        }
        line.push_str("\n|");
        for field in schema.fields() {
            line.push_str(if is_right_aligned(field.data_type()) { " ---: |" } else { " :--- |" });
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
        Ok(Self { out, line, cell: String::new() })
    }
}

impl RowSink for Markdown<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = EncoderOptions::default();
        let mut cells = Cells::new(batch, Nested::Json, &options)?;
        for row in 0..batch.num_rows() {
            self.line.clear();
            self.line.push('|');
            for column in 0..batch.num_columns() {
                self.line.push(' ');
                if !cells.is_null(row, column) {
                    cells.read(row, column, &mut self.cell)?;
                    escape(&self.cell, &mut self.line);
                }
                self.line.push_str(" |");
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

/// Appends a cell; bars and line breaks would end it.
fn escape(cell: &str, line: &mut String) {
    for c in cell.chars() {
        match c {
            '|' => line.push_str("\\|"),
            '\\' => line.push_str("\\\\"),
            '<' => line.push_str("&lt;"),
            '\n' => line.push_str("<br>"),
            '\r' => {}
            c => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn keeps_a_cell_in_its_column() {
        let mut line = String::new();
        escape("a|b\nc\\d <script>", &mut line);
        assert_eq!(line, "a\\|b<br>c\\\\d &lt;script>");
    }
}
