//! How rows leave the process: one file per format, all of them streaming.
//!
//! **Architecture invariant:** no format keeps more rows than it shows. CSV, JSON, Markdown and Parquet write
//! each batch as it comes; the table keeps only the rows of its head and its tail.

mod cells;
mod csv;
mod json;
mod markdown;
mod parquet;
mod table;
mod target;
mod vertical;

use std::io::Write;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use clap::ValueEnum;

pub(crate) use table::{draw_texts, grouped};
pub(crate) use target::{OutputFile, Target};

/// The forms that rows can be printed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A box fitted to the terminal; long results show their head and tail
    Table,
    /// One line per column of each row, for rows that are wider than the screen
    Vertical,
    /// Comma-separated values with a header line
    Csv,
    /// One array of objects
    Json,
    /// One object per line
    Jsonl,
    /// A GitHub table
    Markdown,
    /// A Parquet file, compressed with Zstandard
    Parquet,
}

impl Format {
    /// The format's name on the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Vertical => "vertical",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Markdown => "markdown",
            Self::Parquet => "parquet",
        }
    }

    /// The format that a file name's ending speaks for, as in `--output result.parquet`.
    pub(crate) fn of_file_name(name: &str) -> Option<Self> {
        let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
        Some(match ending.as_str() {
            "csv" => Self::Csv,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Jsonl,
            "md" => Self::Markdown,
            "parquet" => Self::Parquet,
            "txt" => Self::Table,
            _ => return None,
        })
    }
}

/// How a table is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// The most rows that a table shows.
    pub(crate) rows_max: usize,
    /// The columns of the terminal; `None` where there is none and lines may be of any length.
    pub(crate) width: Option<usize>,
    /// Whether colours may be used.
    pub(crate) color: bool,
}

/// Takes the batches of one result and writes them in one format.
pub(crate) trait RowSink {
    /// Writes the next rows.
    fn batch(&mut self, batch: &RecordBatch) -> Result<()>;
    /// Writes what ends the result (a footer, a bracket) and flushes.
    fn finish(&mut self) -> Result<()>;
}

/// Starts a result with `schema` on `out`.
pub(crate) fn sink<'a>(
    format: Format,
    schema: &SchemaRef,
    out: Box<dyn Write + Send + 'a>,
    style: Style,
) -> Result<Box<dyn RowSink + 'a>> {
    Ok(match format {
        Format::Table => Box::new(table::Table::new(schema, out, style)),
        Format::Vertical => Box::new(vertical::Vertical::new(schema, out, style)),
        Format::Csv => Box::new(csv::Csv::start(schema, out)?),
        Format::Json => Box::new(json::Json::array(schema, out)),
        Format::Jsonl => Box::new(json::Json::lines(schema, out)),
        Format::Markdown => Box::new(markdown::Markdown::start(schema, out)?),
        Format::Parquet => Box::new(parquet::Parquet::start(schema, out)?),
    })
}

#[cfg(test)]
pub(crate) mod testing {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer whose bytes can be read after the sink is done with it.
    #[derive(Clone, Default, Debug)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What `format` makes of `batches`.
    pub(crate) fn rendered(format: Format, batches: &[RecordBatch], style: Style) -> String {
        let captured = Captured::default();
        let mut sink = sink(format, &batches[0].schema(), Box::new(captured.clone()), style).unwrap();
        for batch in batches {
            sink.batch(batch).unwrap();
        }
        sink.finish().unwrap();
        drop(sink);
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    /// A style without limits or colours.
    pub(crate) const PLAIN: Style = Style { rows_max: 40, width: None, color: false };
}
