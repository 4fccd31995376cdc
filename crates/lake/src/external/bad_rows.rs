//! Rows that cannot be read: an error that names the place, or a count and a record of each.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::Count;
use parking_lot::Mutex;
use serde_json::json;

use super::options::OnError;
use crate::error::{Error, Result};

/// The metric that counts rows left out.
pub const BAD_ROWS_METRIC: &str = "bad_rows";

/// A value longer than this is cut in an error.
const SHOWN_CHARS_MAX: usize = 80;

/// The rows that the scans below a plan have left out so far.
pub fn bad_rows(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name(BAD_ROWS_METRIC)).map_or(0, |sum| sum.as_usize());
    own as u64 + plan.children().iter().map(|child| bad_rows(child.as_ref())).sum::<u64>()
}

/// One row that cannot be read.
#[derive(Debug)]
pub(super) struct BadRow<'a> {
    pub(super) line: u64,
    pub(super) column: Option<&'a str>,
    /// The value, or the whole row when no column is to blame.
    pub(super) value: &'a str,
    pub(super) reason: String,
}

/// What a scan does with bad rows; shared by its partitions.
#[derive(Debug)]
pub(super) struct BadRows {
    on_error: OnError,
    kept: Mutex<Option<BufWriter<File>>>,
}

impl BadRows {
    pub(super) fn new(on_error: OnError) -> Self {
        Self { on_error, kept: Mutex::new(None) }
    }

    /// True when bad rows are left out rather than an error.
    pub(super) fn skips(&self) -> bool {
        self.on_error != OnError::Fail
    }

    /// The error, or a count and a record.
    pub(super) fn report(&self, file: &str, row: &BadRow<'_>, count: &Count) -> Result<()> {
        let OnError::Skip { keep_in } = &self.on_error else { return Err(error_of(file, row)) };
        count.add(1);
        if let Some(path) = keep_in {
            self.keep(path, file, row).map_err(|error| {
                Error::from(error).context(format_args!("cannot keep bad rows in '{}'", path.display()))
            })?;
        }
        Ok(())
    }

    fn keep(&self, path: &PathBuf, file: &str, row: &BadRow<'_>) -> std::io::Result<()> {
        let mut kept = self.kept.lock();
        let writer = match kept.as_mut() {
            Some(writer) => writer,
            // The first bad row of a scan replaces what an earlier scan kept.
            None => kept.insert(BufWriter::new(File::create(path)?)),
        };
        let line = json!({
            "file": file, "line": row.line, "column": row.column, "value": row.value, "reason": row.reason,
        });
        writeln!(writer, "{line}")
    }

    /// Writes out what is buffered.
    pub(super) fn flush(&self) -> Result<()> {
        if let Some(writer) = self.kept.lock().as_mut() {
            writer.flush()?;
        }
        Ok(())
    }
}

/// A scan's way to report the bad rows of one file.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    pub(super) rows: Arc<BadRows>,
    pub(super) file: Arc<str>,
    pub(super) count: Count,
}

impl Reporter {
    pub(super) fn report(&self, row: &BadRow<'_>) -> Result<()> {
        self.rows.report(&self.file, row, &self.count)
    }

    pub(super) fn skips(&self) -> bool {
        self.rows.skips()
    }
}

fn error_of(file: &str, row: &BadRow<'_>) -> Error {
    let column = row.column.map(|column| format!(", column '{column}'")).unwrap_or_default();
    let mut value: String = row.value.chars().take(SHOWN_CHARS_MAX).collect();
    if value.len() < row.value.len() {
        value.push_str("..");
    }
    Error::data(format!(
        "'{file}', line {}{column}: {} in '{}'; mend the file, or leave such rows out with on_error = 'skip'",
        row.line,
        row.reason,
        value.escape_debug()
    ))
}
