//! Automatic preprocessing through whole models.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StructArray, TimestampSecondArray};
use arrow::datatypes::{DataType, Field, Float64Type};
use lakemill_learn::OptionValue::Bool;
use lakemill_learn::{Model, PredictOptions};

use crate::data::{assert_close, column, fit, floats, rows, strings, text, weights};

fn inputs(model: &Model) -> Vec<String> {
    let table = model.weights(false).unwrap();
    table.column_by_name("processed_input").unwrap().as_string::<i32>().iter().map(|n| n.unwrap().to_owned()).collect()
}

fn predict(model: &Model, batch: &RecordBatch) -> Vec<f64> {
    model.predict(batch, &PredictOptions::default()).unwrap()[0].as_primitive::<Float64Type>().values().to_vec()
}

#[test]
fn null_numbers_are_the_mean_and_unseen_categories_weigh_nothing() {
    let batch = rows(&["x1", "cat", "y"]);
    let model = fit("LINEAR_REG", "y", &[], &batch).unwrap();
    let w = weights(&model, false);
    let mean = column(&batch, "x1").iter().sum::<f64>() / 160.0;
    let strange =
        RecordBatch::try_from_iter([("cat", strings(&["a", "never seen"])), ("x1", floats(vec![f64::NAN, 2.0]))])
            .unwrap();
    let wanted = [w[0] * mean + w[1] + w[5], w[0] * 2.0 + w[5]];
    assert_close(&predict(&model, &strange), &wanted, 1e-10);
}

#[test]
fn a_null_category_has_a_weight_of_its_own() {
    let cat: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![Some("a"), None, Some("b"), None, Some("a")]));
    let y = floats(vec![1.0, 5.0, 2.0, 7.0, 1.0]);
    let batch = RecordBatch::try_from_iter([("cat", cat), ("y", y)]).unwrap();
    let model = fit("LINEAR_REG", "y", &[], &batch).unwrap();
    assert_close(&predict(&model, &batch), &[1.0, 6.0, 2.0, 6.0, 1.0], 1e-10);
    let info = model.feature_info();
    assert_eq!((column(&info, "category_count")[0], column(&info, "null_count")[0]), (2.0, 2.0));
}

#[test]
fn dummy_encoding_drops_the_most_frequent_category() {
    let batch = rows(&["x1", "cat", "y"]);
    let full = fit("LINEAR_REG", "y", &[], &batch).unwrap();
    let dummy = fit("LINEAR_REG", "y", &[("category_encoding_method", text("DUMMY_ENCODING"))], &batch).unwrap();
    assert_eq!(weights(&dummy, false)[1..5].iter().filter(|weight| **weight == 0.0).count(), 1);
    assert_close(&predict(&dummy, &batch), &predict(&full, &batch), 1e-9);
}

#[test]
fn structs_timestamps_and_arrays_become_columns() {
    let days: Vec<i64> = (0..40).map(|day| day * 86_400 + day * 3_700).collect();
    let y: Vec<f64> = (0..40).map(|day| f64::from(day) * 0.5).collect();
    let inner: ArrayRef = Arc::new(Float64Array::from_iter_values((0..40).map(|v| f64::from(v % 7))));
    let s: ArrayRef = Arc::new(StructArray::from(vec![(Arc::new(Field::new("f", DataType::Float64, true)), inner)]));
    let item = Arc::new(Field::new("item", DataType::Float64, true));
    let values = Float64Array::from_iter_values((0..80).map(|v| f64::from(v % 5)));
    let lengths = arrow::buffer::OffsetBuffer::from_repeated_length(2, 40);
    let v: ArrayRef = Arc::new(arrow::array::ListArray::new(item, lengths, Arc::new(values), None));
    let batch = RecordBatch::try_from_iter([
        ("t", Arc::new(TimestampSecondArray::from(days)) as ArrayRef),
        ("s", s),
        ("v", v),
        ("y", floats(y.clone())),
    ])
    .unwrap();
    let model = fit("LINEAR_REG", "y", &[("l2_reg", lakemill_learn::OptionValue::Float(1e-9))], &batch).unwrap();
    assert_eq!(
        inputs(&model),
        [
            "t_epoch",
            "t_day_of_month",
            "t_day_of_week",
            "t_month",
            "t_hour",
            "t_minute",
            "t_week",
            "t_year",
            "s_f",
            "v[0]",
            "v[1]",
            "__INTERCEPT__"
        ]
    );
    assert_close(&predict(&model, &batch), &y, 1e-4);
}

#[test]
fn a_sparse_vector_equals_its_dense_columns() {
    use lakemill_learn::transform::plan_transform;
    let batch = rows(&["x1", "cat", "y"]);
    let cat = batch.column(1).clone();
    let plan = plan_transform("ML.ONE_HOT_ENCODER", &[DataType::Utf8], &[]).unwrap();
    let single = RecordBatch::try_from_iter([("cat", cat.clone())]).unwrap();
    let fitted = plan.fit(&[single], &lakemill_learn::Driver::new(1).unwrap()).unwrap();
    let sparse = RecordBatch::try_from_iter([
        ("x1", batch.column(0).clone()),
        ("v", fitted.apply(&[cat]).unwrap()),
        ("y", batch.column(2).clone()),
    ])
    .unwrap();
    let model = fit("LINEAR_REG", "y", &[], &sparse).unwrap();
    let plain = fit("LINEAR_REG", "y", &[], &batch).unwrap();
    assert_close(&predict(&model, &sparse), &predict(&plain, &batch), 1e-8);
}

#[test]
fn probabilities_fall_and_the_threshold_moves_the_label() {
    let batch = rows(&["x1", "x2", "m"]);
    let model = fit("LOGISTIC_REG", "m", &[], &batch).unwrap();
    let out = model.predict(&batch, &PredictOptions::default()).unwrap();
    let lists = out[1].as_list::<i32>();
    for row in 0..lists.len() {
        let entries = lists.value(row);
        let probs = entries.as_struct().column(1).as_primitive::<Float64Type>().values().to_vec();
        assert!(probs.windows(2).all(|pair| pair[0] >= pair[1]));
        assert!((probs.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let first = entries.as_struct().column(0).as_string::<i32>().value(0).to_owned();
        assert_eq!(out[0].as_string::<i32>().value(row), first);
    }
    let binary = rows(&["x1", "x2", "b"]);
    let model = fit("LOGISTIC_REG", "b", &[("standardize_features", Bool(false))], &binary).unwrap();
    let sum = |threshold: f64| {
        let options = PredictOptions { threshold: Some(threshold), ..PredictOptions::default() };
        crate::data::numbers(&model.predict(&binary, &options).unwrap()[0]).iter().sum::<f64>()
    };
    assert_eq!(sum(0.0), 160.0);
    assert!(sum(0.3) > sum(0.7));
}
