//! Numbers in JSON without loss: as text, which also holds infinities and NaN.

use serde_json::Value;

/// The shortest text that reads back to the same bits.
pub(crate) fn float_to(value: f64) -> Value {
    Value::String(format!("{value:?}"))
}

/// Reads what [`float_to`] wrote.
pub(crate) fn float_from(value: &Value) -> Option<f64> {
    value.as_str()?.parse().ok()
}
