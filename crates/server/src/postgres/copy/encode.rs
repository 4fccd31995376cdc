//! Rows as lines of PostgreSQL's text or of CSV.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;

use super::Form;

/// PostgreSQL's way to write times.
const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"))
    .with_datetime_format(Some("%Y-%m-%d %H:%M:%S%.f"));

/// The names of the columns.
pub(super) fn header(schema: &Schema, form: Form) -> Bytes {
    let mut line = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        if index > 0 {
            line.push(form.delimiter);
        }
        put(&mut line, field.name(), form);
    }
    line.push(b'\n');
    line.into()
}

/// The rows of a batch, each a line.
pub(super) fn lines(batch: &RecordBatch, form: Form) -> Result<Vec<Bytes>, ArrowError> {
    let formatters = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &OPTIONS));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    let mut lines = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut line = Vec::new();
        for (index, (column, formatter)) in batch.columns().iter().zip(&formatters).enumerate() {
            if index > 0 {
                line.push(form.delimiter);
            }
            match column.data_type() {
                _ if column.is_null(row) => line.extend_from_slice(if form.csv { b"" } else { b"\\N" }),
                DataType::Boolean => line.push(if column.as_boolean().value(row) { b't' } else { b'f' }),
                _ => put(&mut line, &formatter.value(row).to_string(), form),
            }
        }
        line.push(b'\n');
        lines.push(line.into());
    }
    Ok(lines)
}

fn put(line: &mut Vec<u8>, text: &str, form: Form) {
    match form.csv {
        true => {
            // An empty text is quoted, so that it is not taken for NULL.
            let quoted =
                text.is_empty() || text.bytes().any(|b| matches!(b, b'"' | b'\n' | b'\r') || b == form.delimiter);
            match quoted {
                true => {
                    line.push(b'"');
                    line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
                    line.push(b'"');
                }
                false => line.extend_from_slice(text.as_bytes()),
            }
        }
        false => {
            for byte in text.bytes() {
                match byte {
                    b'\\' => line.extend_from_slice(b"\\\\"),
                    b'\n' => line.extend_from_slice(b"\\n"),
                    b'\r' => line.extend_from_slice(b"\\r"),
                    b'\t' if form.delimiter == b'\t' => line.extend_from_slice(b"\\t"),
                    other if other == form.delimiter => line.extend_from_slice(&[b'\\', other]),
                    other => line.push(other),
                }
            }
        }
    }
}
