//! What an executed statement gives back.

use std::fmt;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;

use crate::lineage::Lineage;

/// What a statement takes and gives, known before it runs.
#[derive(Clone, Debug)]
pub struct Description {
    /// The types of `$1`, `$2` ..; `None` where nothing tells.
    pub parameters: Vec<Option<DataType>>,
    /// The columns of its rows; `None` of a statement without rows.
    pub columns: Option<SchemaRef>,
}

/// An executed statement.
#[derive(Debug)]
pub struct Executed {
    /// Its rows, or what it did.
    pub outcome: Outcome,
    /// What it read and wrote.
    pub lineage: Lineage,
}

/// Rows, or a summary of what was done.
pub enum Outcome {
    /// The rows of a query, produced as they are polled. Dropping the stream stops the query.
    Rows(SendableRecordBatchStream),
    /// What a statement without rows has done.
    Done(Summary),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => f.debug_tuple("Rows").field(&rows.schema()).finish(),
            Self::Done(summary) => f.debug_tuple("Done").field(summary).finish(),
        }
    }
}

/// What a statement without rows has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// One line for people: `inserted 12 rows into main.t (version 4)`.
    pub message: String,
    /// The rows that were written, changed or removed, where the statement counts them.
    pub rows: Option<u64>,
    /// Further figures by name, such as the files that OPTIMIZE removed or a model's metrics.
    pub details: Vec<(String, String)>,
}

impl Summary {
    /// A summary of one line.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), rows: None, details: Vec::new() }
    }

    /// With a count of rows.
    #[must_use]
    pub fn with_rows(mut self, rows: u64) -> Self {
        self.rows = Some(rows);
        self
    }

    /// With one more figure.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.details.push((name.into(), value.to_string()));
        self
    }
}
