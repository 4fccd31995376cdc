//! Option values in a model's manifest.

use serde_json::{Map, Value, json};

use super::Options;
use crate::spec::ModelType;
use crate::{Error, OptionValue, Result};

/// The given options as a JSON object.
pub(crate) fn options_to_json(options: &Options) -> Value {
    Value::Object(options.given().map(|(name, value)| (name.to_owned(), to_json(value))).collect())
}

/// Reads what [`options_to_json`] wrote.
pub(crate) fn options_from_json(model_type: ModelType, value: &Value) -> Result<Options> {
    let object = value.as_object().ok_or_else(damaged)?;
    let pairs: Vec<(String, OptionValue)> =
        object.iter().map(|(name, value)| Ok((name.clone(), from_json(value)?))).collect::<Result<_>>()?;
    Options::parse(model_type, &pairs).map_err(|error| Error::data(format!("the model's options are damaged: {error}")))
}

fn to_json(value: &OptionValue) -> Value {
    match value {
        OptionValue::Bool(value) => json!(value),
        OptionValue::Int(value) => json!(value),
        // As text, for every bit to survive and for infinities to be possible.
        OptionValue::Float(value) => json!({ "float": format!("{value:?}") }),
        OptionValue::String(value) => json!(value),
        OptionValue::Array(values) => Value::Array(values.iter().map(to_json).collect()),
        OptionValue::Struct(fields) => {
            let fields: Vec<Value> = fields.iter().map(|(name, value)| json!([name, to_json(value)])).collect();
            json!({ "struct": fields })
        }
    }
}

fn from_json(value: &Value) -> Result<OptionValue> {
    match value {
        Value::Bool(value) => Ok(OptionValue::Bool(*value)),
        Value::Number(number) => number.as_i64().map(OptionValue::Int).ok_or_else(damaged),
        Value::String(text) => Ok(OptionValue::String(text.clone())),
        Value::Array(values) => Ok(OptionValue::Array(values.iter().map(from_json).collect::<Result<_>>()?)),
        Value::Object(object) => from_object(object),
        Value::Null => Err(damaged()),
    }
}

fn from_object(object: &Map<String, Value>) -> Result<OptionValue> {
    if let Some(text) = object.get("float").and_then(Value::as_str) {
        return text.parse().map(OptionValue::Float).map_err(|_| damaged());
    }
    let fields = object.get("struct").and_then(Value::as_array).ok_or_else(damaged)?;
    let fields: Vec<(String, OptionValue)> = fields
        .iter()
        .map(|field| match field.as_array().map(Vec::as_slice) {
            Some([Value::String(name), value]) => Ok((name.clone(), from_json(value)?)),
            _ => Err(damaged()),
        })
        .collect::<Result<_>>()?;
    Ok(OptionValue::Struct(fields))
}

fn damaged() -> Error {
    Error::data("the model's options are damaged; train the model again or restore its files")
}
