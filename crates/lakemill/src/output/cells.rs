//! The text of single values, shared by the formats that print text.

use std::fmt::Write;

use anyhow::Result;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, FieldRef};
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// How lists, structs and maps are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nested {
    /// For people: `[{label: 1, prob: 0.8}]`.
    Readable,
    /// For programs: JSON.
    Json,
}

/// The values of a batch as text, column by column.
pub(super) struct Cells<'a> {
    batch: &'a RecordBatch,
    columns: Vec<Column<'a>>,
}

enum Column<'a> {
    Text(ArrayFormatter<'a>),
    Json(NullableEncoder<'a>, Vec<u8>),
}

const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_null("NULL")
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"))
    .with_datetime_format(Some("%Y-%m-%d %H:%M:%S%.f"));

impl<'a> Cells<'a> {
    pub(super) fn new(batch: &'a RecordBatch, nested: Nested, options: &'a EncoderOptions) -> Result<Self> {
        let column = |(array, field): (&'a dyn Array, &'a FieldRef)| -> Result<Column<'a>> {
            if nested == Nested::Json && is_nested(array.data_type()) {
                return Ok(Column::Json(make_encoder(field, array, options)?, Vec::new()));
            }
            Ok(Column::Text(ArrayFormatter::try_new(array, &OPTIONS)?))
        };
        let columns = batch
            .columns()
            .iter()
            .map(AsRef::as_ref)
            .zip(batch.schema_ref().fields())
            .map(column)
            .collect::<Result<_>>()?;
        Ok(Self { batch, columns })
    }

    /// Whether a value is NULL.
    pub(super) fn is_null(&self, row: usize, column: usize) -> bool {
        self.batch.column(column).is_null(row) || self.batch.column(column).data_type() == &DataType::Null
    }

    /// Replaces `text` by a value's text; NULL is `NULL`.
    pub(super) fn read(&mut self, row: usize, column: usize, text: &mut String) -> Result<()> {
        text.clear();
        if self.is_null(row, column) {
            text.push_str("NULL");
            return Ok(());
        }
        match &mut self.columns[column] {
            Column::Text(formatter) => write!(text, "{}", formatter.value(row))?,
            Column::Json(encoder, bytes) => {
                bytes.clear();
                encoder.encode(row, bytes);
                text.push_str(&String::from_utf8_lossy(bytes));
            }
        }
        Ok(())
    }
}

/// Whether values of this type have parts.
fn is_nested(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_nested(values),
        other => other.is_nested(),
    }
}

/// Whether values of this type line up at their right end.
pub(super) fn is_right_aligned(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_right_aligned(values),
        other => other.is_numeric(),
    }
}

/// Replaces what would break a line or move the cursor by its escape.
pub(super) fn one_line(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return text.into();
    }
    text.chars()
        .fold(String::with_capacity(text.len() + 8), |mut line, c| {
            if c.is_control() {
                line.extend(c.escape_default())
            } else {
                line.push(c)
            }
            line
        })
        .into()
}
