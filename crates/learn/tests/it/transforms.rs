//! Transforms against scikit-learn and BigQuery ML's documented examples, and their way through JSON.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use lakemill_learn::OptionValue::{self, Array as List, Bool, Int};
use lakemill_learn::transform::{plan_transform, transform_names};
use lakemill_learn::{Driver, FittedTransform, Result};
use proptest::prelude::*;

use crate::data::{REFERENCE, assert_close, floats, numbers, reference, text};

fn fitted(name: &str, column: &ArrayRef, constants: &[OptionValue]) -> Result<FittedTransform> {
    let batch = RecordBatch::try_from_iter([("x", column.clone())]).unwrap();
    let plan = plan_transform(name, &[column.data_type().clone()], constants)?;
    let fitted = plan.fit(&[batch], &Driver::new(2).unwrap())?;
    assert_eq!(&plan.output_type(), fitted.output_type());
    Ok(fitted)
}

/// Fits, saves, loads and applies.
fn apply(name: &str, column: &ArrayRef, constants: &[OptionValue]) -> ArrayRef {
    let fitted = fitted(name, column, constants).unwrap();
    let text = fitted.to_json().to_string();
    let loaded = FittedTransform::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
    let out = fitted.apply(std::slice::from_ref(column)).unwrap();
    assert_eq!(&out, &loaded.apply(std::slice::from_ref(column)).unwrap());
    assert_eq!(out.data_type(), fitted.output_type());
    out
}

fn words(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn as_texts(array: &ArrayRef) -> Vec<Option<String>> {
    array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn scalers_and_imputers_equal_scikit_learn() {
    let x = floats(reference("/transforms/x"));
    let range = List(vec![Int(10), Int(90)]);
    let cases: Vec<(&str, Vec<OptionValue>, &str)> = vec![
        ("ML.STANDARD_SCALER", vec![], "standard"),
        ("ML.MIN_MAX_SCALER", vec![], "min_max"),
        ("ML.MAX_ABS_SCALER", vec![], "max_abs"),
        ("ML.ROBUST_SCALER", vec![], "robust"),
        ("ML.ROBUST_SCALER", vec![range, Bool(false)], "robust_10_90"),
        ("ML.IMPUTER", vec![text("mean")], "impute_mean"),
        ("ML.IMPUTER", vec![text("median")], "impute_median"),
        ("ML.IMPUTER", vec![text("most_frequent")], "impute_most_frequent"),
    ];
    for (name, constants, wanted) in cases {
        assert_close(&numbers(&apply(name, &x, &constants)), &reference(&format!("/transforms/{wanted}")), 1e-12);
    }
}

#[test]
fn normalizer_equals_scikit_learn() {
    let values = Float64Array::from(reference("/transforms/vectors"));
    let offsets = arrow::buffer::OffsetBuffer::from_repeated_length(2, values.len() / 2);
    let item = Arc::new(Field::new("item", DataType::Float64, true));
    let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(values), None));
    let cases = [("l1", vec![Int(1)]), ("l2", vec![]), ("max", vec![text("+inf")])];
    for (wanted, constants) in cases {
        let out = apply("ML.NORMALIZER", &lists, &constants);
        let values = out.as_list::<i32>().values().as_primitive::<Float64Type>().values().to_vec();
        assert_close(&values, &reference(&format!("/transforms/{wanted}")), 1e-12);
    }
}

#[test]
fn polynomial_expand_equals_scikit_learn() {
    let ab = reference("/transforms/ab");
    let field = |at: usize| floats(ab.iter().skip(at).step_by(2).copied().collect());
    let column: ArrayRef = Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("a", DataType::Float64, true)), field(0)),
        (Arc::new(Field::new("b", DataType::Float64, true)), field(1)),
    ]));
    let out = apply("ML.POLYNOMIAL_EXPAND", &column, &[Int(3)]);
    let out = out.as_struct();
    assert_eq!(out.column_names(), ["a", "a_a", "a_a_a", "a_a_b", "a_b", "a_b_b", "b", "b_b", "b_b_b"]);
    for (name, theirs) in [("a_a_b", "a^2 b"), ("a_b", "a b"), ("b_b_b", "b^3"), ("a_b_b", "a b^2"), ("a", "a")] {
        let wanted = reference(&format!("/transforms/polynomial_3/{theirs}"));
        assert_close(&numbers(out.column_by_name(name).unwrap()), &wanted, 1e-12);
    }
}

#[test]
fn encoders_number_categories_in_alphabetical_order() {
    let names: Vec<String> =
        REFERENCE["transforms"]["names"].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect();
    let column: ArrayRef = Arc::new(StringArray::from(names));
    let out = apply("ML.LABEL_ENCODER", &column, &[Int(100), Int(0)]);
    // scikit-learn counts from 0, BigQuery ML from 1.
    let wanted: Vec<f64> = reference("/transforms/one_hot_index").into_iter().map(|index| index + 1.0).collect();
    assert_close(&numbers(&out), &wanted, 0.0);
}

#[test]
fn one_hot_encoder_matches_the_documented_example() {
    let f = words(&[None, Some("a"), Some("b"), Some("b"), Some("c"), Some("c"), Some("c"), Some("d"), Some("d")]);
    let out = apply("ML.ONE_HOT_ENCODER", &f, &[text("most_frequent"), Int(10), Int(0)]);
    let entries = out.as_list::<i32>().values().as_struct().clone();
    let index = entries.column(0).as_primitive::<Int64Type>().values().to_vec();
    let value = entries.column(1).as_primitive::<Float64Type>().values().to_vec();
    assert_eq!(index, [0, 1, 2, 2, 3, 3, 3, 4, 4]);
    assert_eq!(value, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    // By default a category must occur five times.
    let out = apply("ML.LABEL_ENCODER", &f, &[]);
    assert!(numbers(&out).iter().all(|label| *label == 0.0));
}

#[test]
fn buckets_match_the_documented_examples() {
    let x = floats(vec![2.5, f64::NAN, -7.0, 3.0]);
    let points = List(vec![Int(1), Int(2), Int(3)]);
    let named = |constants: &[OptionValue]| as_texts(&apply("ML.BUCKETIZE", &x, constants))[0].clone().unwrap();
    assert_eq!(named(std::slice::from_ref(&points)), "bin_3");
    assert_eq!(named(&[points.clone(), Bool(true)]), "bin_2");
    assert_eq!(named(&[points.clone(), Bool(false), text("bucket_ranges")]), "[2, 3)");
    let json = named(&[points.clone(), Bool(false), text("bucket_ranges_json")]);
    assert_eq!(json, r#"{"start": "2", "end": "3"}"#);
    let all = as_texts(&apply("ML.BUCKETIZE", &x, &[points, Bool(false), text("bucket_ranges")]));
    assert_eq!(all[1], None);
    assert_eq!((all[2].as_deref(), all[3].as_deref()), (Some("(-inf, 1)"), Some("[3, +inf)")));
    let five = floats(vec![1.0, 2.0, 3.0, 4.0, 5.0]);
    let bins = as_texts(&apply("ML.QUANTILE_BUCKETIZE", &five, &[Int(3)]));
    let bins: Vec<&str> = bins.iter().map(|bin| bin.as_deref().unwrap()).collect();
    assert_eq!(bins, ["bin_1", "bin_2", "bin_2", "bin_3", "bin_3"]);
}

#[test]
fn crosses_and_hashes() {
    let field = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let column: ArrayRef = Arc::new(StructArray::from(vec![
        (field("f1"), words(&[Some("a"), None])),
        (field("f2"), words(&[Some("b"), Some("y")])),
        (field("f3"), words(&[Some("c"), Some("z")])),
    ]));
    let out = apply("ML.FEATURE_CROSS", &column, &[]);
    let out = out.as_struct();
    assert_eq!(out.column_names(), ["f1_f2", "f1_f3", "f2_f3"]);
    assert_eq!(as_texts(out.column(0)), [Some("a_b".to_owned()), None]);
    assert_eq!(as_texts(out.column(2)), [Some("b_c".to_owned()), Some("y_z".to_owned())]);
    let hashed = apply("ML.HASH_BUCKETIZE", &words(&[Some("1footrue"), None]), &[Int(10)]);
    let hashed = hashed.as_primitive::<Int64Type>();
    assert_eq!(hashed.value(0), 1_541_654_101_129_638_711 % 10);
    assert!(hashed.is_null(1));
}

#[test]
fn wrong_calls_say_what_would_be_right() {
    let error = |name: &str, types: &[DataType], constants: &[OptionValue]| {
        plan_transform(name, types, constants).unwrap_err().to_string()
    };
    assert_eq!(
        error("ML.STANDART_SCALER", &[DataType::Float64], &[]),
        "unknown function 'ML.STANDART_SCALER'; did you mean 'ML.STANDARD_SCALER'?"
    );
    assert_eq!(
        error("ML.MIN_MAX_SCALER", &[DataType::Utf8], &[]),
        "ML.MIN_MAX_SCALER takes a number; the column has type Utf8 (CAST it)"
    );
    assert_eq!(
        error("ML.QUANTILE_BUCKETIZE", &[DataType::Float64], &[]),
        "ML.QUANTILE_BUCKETIZE needs num_buckets, a whole number from 2 to 100000"
    );
    assert_eq!(
        error("ML.IMPUTER", &[DataType::Float64], &[text("average")]),
        "strategy of ML.IMPUTER must be one of 'mean', 'median', 'most_frequent'; given: 'average'"
    );
    assert_eq!(
        error("ML.BUCKETIZE", &[DataType::Float64], &[List(vec![Int(3), Int(1)])]),
        "array_split_points of ML.BUCKETIZE must be an array of finite numbers in rising order, as [1, 2.5, 4]; \
         given: [3, 1]"
    );
    let nulls = floats(vec![f64::NAN, f64::NAN]);
    assert_eq!(
        fitted("ML.STANDARD_SCALER", &nulls, &[]).unwrap_err().to_string(),
        "ML.STANDARD_SCALER needs a value; its column is NULL in all 2 rows"
    );
    assert_eq!(transform_names().len(), 13);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn statistics_survive_json_bit_for_bit(values in proptest::collection::vec(-1e12f64..1e12, 2..200)) {
        let column: ArrayRef = Arc::new(Float64Array::from(values));
        for name in ["ML.STANDARD_SCALER", "ML.MIN_MAX_SCALER", "ML.MAX_ABS_SCALER", "ML.ROBUST_SCALER"] {
            apply(name, &column, &[]);
        }
        apply("ML.QUANTILE_BUCKETIZE", &column, &[Int(7), text("bucket_ranges")]);
    }

    #[test]
    fn labels_count_every_category(values in proptest::collection::vec("[a-f]{1,2}", 1..100)) {
        let column: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let labels = apply("ML.LABEL_ENCODER", &column, &[Int(1000), Int(0)]);
        let labels = labels.as_primitive::<Int64Type>();
        let mut distinct: Vec<&String> = values.iter().collect();
        distinct.sort();
        distinct.dedup();
        let wanted: Int64Array =
            values.iter().map(|value| Some(distinct.binary_search(&value).unwrap() as i64 + 1)).collect();
        prop_assert_eq!(labels, &wanted);
    }
}
