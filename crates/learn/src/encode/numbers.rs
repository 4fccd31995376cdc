//! Arrow arrays as plain numbers and texts.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use crate::Result;

/// The values as `f64`, NaN where NULL. A `FLOAT64` array without NULLs is shared, not copied.
pub(crate) fn numbers(array: &ArrayRef) -> Result<ScalarBuffer<f64>> {
    let floats = match array.data_type() {
        DataType::Float64 => array.clone(),
        _ => cast(array, &DataType::Float64)?,
    };
    let floats = floats.as_primitive::<Float64Type>();
    if floats.null_count() == 0 {
        return Ok(floats.values().clone());
    }
    Ok(floats.iter().map(|value| value.unwrap_or(f64::NAN)).collect::<Vec<f64>>().into())
}

/// The values as texts: `true` and `false` for booleans, ISO 8601 for dates.
pub(crate) fn texts(array: &ArrayRef) -> Result<StringArray> {
    let strings = match array.data_type() {
        DataType::Utf8 => array.clone(),
        _ => cast(array, &DataType::Utf8)?,
    };
    Ok(strings.as_string::<i32>().clone())
}
