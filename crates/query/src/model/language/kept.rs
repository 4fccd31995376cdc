//! Finished rows as columns of a file: answers, and vectors.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float32Builder, ListBuilder, RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::{Float32Type, UInt64Type};

use super::task::Answer;
use crate::language::Embedding;

/// What may be kept of a row that is finished.
pub(super) trait Kept: Sized + Send + Sync {
    /// Rows of a file: a killed run loses fewer than these, some seconds' work.
    const ROWS_PER_FILE: usize;

    /// The columns of rows.
    fn columns(rows: &[Arc<Self>]) -> Vec<(&'static str, ArrayRef)>;

    /// The rows of columns; `None` where they are others.
    fn rows(batch: &RecordBatch) -> Option<Vec<Self>>;
}

impl Kept for Answer {
    const ROWS_PER_FILE: usize = 256;

    fn columns(rows: &[Arc<Self>]) -> Vec<(&'static str, ArrayRef)> {
        let texts = |of: fn(&Self) -> &str| -> StringArray { rows.iter().map(|row| Some(of(row))).collect() };
        let counts = |of: fn(&Self) -> u64| -> UInt64Array { rows.iter().map(|row| of(row)).collect() };
        vec![
            ("text", Arc::new(texts(|row| row.text.as_deref().unwrap_or_default()))),
            ("reason", Arc::new(texts(|row| &row.reason))),
            ("prompt_tokens", Arc::new(counts(|row| row.prompt_tokens))),
            ("generated_tokens", Arc::new(counts(|row| row.generated_tokens))),
        ]
    }

    fn rows(batch: &RecordBatch) -> Option<Vec<Self>> {
        let texts = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let (texts, reasons) = (texts("text")?, texts("reason")?);
        let (prompt_tokens, generated_tokens) = (counts(batch, "prompt_tokens")?, counts(batch, "generated_tokens")?);
        let row = |row: usize| Self {
            text: Some(texts.value(row).to_owned()),
            status: String::new(),
            reason: reasons.value(row).to_owned(),
            prompt_tokens: prompt_tokens.value(row),
            generated_tokens: generated_tokens.value(row),
        };
        Some((0..batch.num_rows()).map(row).collect())
    }
}

impl Kept for Embedding {
    const ROWS_PER_FILE: usize = 4096;

    fn columns(rows: &[Arc<Self>]) -> Vec<(&'static str, ArrayRef)> {
        let mut vectors = ListBuilder::new(Float32Builder::new());
        for row in rows {
            vectors.values().append_slice(&row.values);
            vectors.append(true);
        }
        let tokens: UInt64Array = rows.iter().map(|row| row.tokens as u64).collect();
        let truncated: BooleanArray = rows.iter().map(|row| Some(row.truncated)).collect();
        vec![("vector", Arc::new(vectors.finish())), ("tokens", Arc::new(tokens)), ("truncated", Arc::new(truncated))]
    }

    fn rows(batch: &RecordBatch) -> Option<Vec<Self>> {
        let vectors = batch.column_by_name("vector")?.as_list_opt::<i32>()?;
        let tokens = counts(batch, "tokens")?;
        let truncated = batch.column_by_name("truncated")?.as_boolean_opt()?;
        let row = |row: usize| {
            Some(Self {
                values: vectors.value(row).as_primitive_opt::<Float32Type>()?.values().to_vec(),
                tokens: usize::try_from(tokens.value(row)).ok()?,
                truncated: truncated.value(row),
            })
        };
        (0..batch.num_rows()).map(row).collect()
    }
}

fn counts<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a UInt64Array> {
    batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>()
}
