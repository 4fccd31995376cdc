//! Inputs and helpers that the tests share.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use lakemill_learn::split::split;
use lakemill_learn::train::train;
use lakemill_learn::{Driver, Model, NoObserver, OptionValue, Result, TrainSpec};
use serde_json::Value;

pub(crate) static REFERENCE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../../tests/reference/learn_reference.json")).unwrap());

/// The numbers at a path of the reference, nested arrays flattened; NaN for null.
pub(crate) fn reference(path: &str) -> Vec<f64> {
    fn flatten(value: &Value, out: &mut Vec<f64>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| flatten(value, out)),
            Value::Null => out.push(f64::NAN),
            other => out.push(other.as_f64().unwrap()),
        }
    }
    let mut out = Vec::new();
    flatten(REFERENCE.pointer(path).unwrap_or_else(|| panic!("no {path}")), &mut out);
    out
}

pub(crate) fn texts(path: &str) -> Vec<String> {
    REFERENCE.pointer(path).unwrap().as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn floats(values: Vec<f64>) -> ArrayRef {
    Arc::new(values.into_iter().map(|value| (!value.is_nan()).then_some(value)).collect::<Float64Array>())
}

pub(crate) fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// The reference's rows with the columns `names`.
pub(crate) fn rows(names: &[&str]) -> RecordBatch {
    let columns = names.iter().map(|name| {
        let array: ArrayRef = match *name {
            "cat" | "m" => Arc::new(StringArray::from(texts(&format!("/data/{name}")))),
            "b" => Arc::new(Int64Array::from_iter_values(reference("/data/b").into_iter().map(|b| b as i64))),
            name => floats(reference(&format!("/data/{name}"))),
        };
        (*name, array)
    });
    RecordBatch::try_from_iter(columns).unwrap()
}

pub(crate) fn text(value: &str) -> OptionValue {
    OptionValue::String(value.to_owned())
}

pub(crate) fn options(pairs: &[(&str, OptionValue)]) -> Vec<(String, OptionValue)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

pub(crate) fn spec(model: &str, label: &str, more: &[(&str, OptionValue)], batch: &RecordBatch) -> Result<TrainSpec> {
    let mut pairs = options(&[("model_type", text(model)), ("input_label_cols", text(label))]);
    pairs.extend(options(more));
    if !more.iter().any(|(name, _)| *name == "data_split_method") {
        pairs.push(("data_split_method".to_owned(), text("NO_SPLIT")));
    }
    TrainSpec::parse(&pairs, &batch.schema())
}

pub(crate) fn fit(model: &str, label: &str, more: &[(&str, OptionValue)], batch: &RecordBatch) -> Result<Model> {
    let driver = Driver::new(2).unwrap();
    let spec = spec(model, label, more, batch)?;
    train(&spec, &split(&spec, std::slice::from_ref(batch), &driver)?, &driver, &NoObserver)
}

/// The plain weights of a model, then its intercept; categories in their place.
pub(crate) fn weights(model: &Model, standardize: bool) -> Vec<f64> {
    let table = model.weights(standardize).unwrap();
    let plain = table.column_by_name("weight").unwrap().as_primitive::<Float64Type>().clone();
    let categories = table.column_by_name("category_weights").unwrap().as_list::<i32>().clone();
    let mut out = Vec::new();
    for (row, weight) in plain.iter().enumerate() {
        match weight {
            Some(weight) => out.push(weight),
            None => {
                let entries = categories.value(row);
                out.extend(entries.as_struct().column(1).as_primitive::<Float64Type>().values());
            }
        }
    }
    out
}

#[track_caller]
pub(crate) fn assert_close(given: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(given.len(), wanted.len(), "{given:?} against {wanted:?}");
    for (at, (given, wanted)) in given.iter().zip(wanted).enumerate() {
        let near = (given - wanted).abs() <= tolerance * wanted.abs().max(1.0);
        assert!(near || (given.is_nan() && wanted.is_nan()), "entry {at}: {given} instead of {wanted}");
    }
}

pub(crate) fn column(batch: &RecordBatch, name: &str) -> Vec<f64> {
    let array = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    numbers(array)
}

pub(crate) fn numbers(array: &ArrayRef) -> Vec<f64> {
    let array = arrow::compute::cast(array, &arrow::datatypes::DataType::Float64).unwrap();
    array.as_primitive::<Float64Type>().iter().map(|value| value.unwrap_or(f64::NAN)).collect()
}
