//! Values out of record batches, as the report needs them: numbers, texts and tables of text.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakemill_base::{ErrorKind, unknown};
use lakemill_query::{Error, Result};

use crate::state::Preview;

/// A column of all batches by its name.
pub(super) fn column<'a>(batches: &'a [RecordBatch], name: &str) -> Result<Vec<&'a ArrayRef>> {
    batches
        .iter()
        .map(|batch| {
            batch.column_by_name(name).ok_or_else(|| {
                let schema = batch.schema();
                Error::not_found(unknown("column", name, schema.fields().iter().map(|field| field.name().as_str())))
            })
        })
        .collect()
}

/// A column as numbers; NULL is NaN.
pub(super) fn numbers(batches: &[RecordBatch], name: &str) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    for array in column(batches, name)? {
        values.extend(array_numbers(array)?);
    }
    Ok(values)
}

/// A column as whole numbers; what is none is 0.
pub(super) fn counts(batches: &[RecordBatch], name: &str) -> Result<Vec<u64>> {
    Ok(numbers(batches, name)?.into_iter().map(|value| value.max(0.0) as u64).collect())
}

/// A column as text; NULL is empty.
pub(super) fn texts(batches: &[RecordBatch], name: &str) -> Result<Vec<String>> {
    let mut values = Vec::new();
    for array in column(batches, name)? {
        values.extend(array_texts(array)?.into_iter().map(Option::unwrap_or_default));
    }
    Ok(values)
}

/// An array as numbers; NULL is NaN.
pub(super) fn array_numbers(array: &ArrayRef) -> Result<Vec<f64>> {
    let array = cast(array, &DataType::Float64).map_err(internal)?;
    let values = array.as_primitive::<Float64Type>();
    Ok(values.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

/// An array as text.
pub(super) fn array_texts(array: &ArrayRef) -> Result<Vec<Option<String>>> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).map_err(internal)?;
    Ok((0..array.len()).map(|row| array.is_valid(row).then(|| formatter.value(row).to_string())).collect())
}

/// All rows as text.
pub(super) fn table(batches: &[RecordBatch]) -> Result<Preview> {
    let mut preview = Preview::default();
    for batch in batches {
        if preview.columns.is_empty() {
            for field in batch.schema().fields() {
                preview.columns.push(field.name().clone());
                preview.numeric.push(field.data_type().is_numeric());
            }
        }
        let columns = batch.columns().iter().map(array_texts).collect::<Result<Vec<_>>>()?;
        preview
            .rows
            .extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()));
    }
    Ok(preview)
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, error.to_string())
}
