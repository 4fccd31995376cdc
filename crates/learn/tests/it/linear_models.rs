//! Weights against scikit-learn.

use lakemill_learn::OptionValue::{Array, Bool, Float, Int, Struct};

use crate::data::{assert_close, column, fit, reference, rows, text, weights};

/// Weights and intercept of a reference, class after class.
fn wanted(path: &str) -> Vec<f64> {
    let (coef, intercept) = (reference(&format!("{path}/coef")), reference(&format!("{path}/intercept")));
    let width = coef.len() / intercept.len();
    coef.chunks(width).zip(&intercept).flat_map(|(coef, intercept)| coef.iter().copied().chain([*intercept])).collect()
}

const RAW: (&str, lakemill_learn::OptionValue) = ("standardize_features", Bool(false));

#[test]
fn linear_regression_equals_scikit_learn() {
    let batch = rows(&["x1", "x2", "x3", "y"]);
    for raw in [true, false] {
        let model = fit("LINEAR_REG", "y", &[("standardize_features", Bool(!raw))], &batch).unwrap();
        assert_close(&weights(&model, false), &wanted("/linear/plain"), 1e-9);
    }
    let weighted = rows(&["x1", "x2", "x3", "y", "w"]);
    let model = fit("LINEAR_REG", "y", &[("instance_weight_col", text("w"))], &weighted).unwrap();
    assert_close(&weights(&model, false), &wanted("/linear/weighted"), 1e-9);
    let model = fit("LINEAR_REG", "y", &[RAW, ("l2_reg", Float(0.1))], &batch).unwrap();
    assert_close(&weights(&model, false), &wanted("/linear/ridge_0.1"), 1e-9);
    let model = fit("LINEAR_REG", "y", &[RAW, ("l1_reg", Float(0.05))], &batch).unwrap();
    assert_close(&weights(&model, false), &wanted("/linear/lasso_0.05"), 1e-6);
    let model = fit("LINEAR_REG", "y", &[RAW, ("l1_reg", Float(0.05)), ("l2_reg", Float(0.1))], &batch).unwrap();
    assert_close(&weights(&model, false), &wanted("/linear/elastic_0.05_0.1"), 1e-6);
    let model = fit("LINEAR_REG", "y", &[("fit_intercept", Bool(false))], &batch).unwrap();
    assert_close(&weights(&model, false), &wanted("/linear/no_intercept"), 1e-9);
}

#[test]
fn one_hot_weights_sum_to_zero_as_the_shortest_solution_does() {
    let batch = rows(&["x1", "x2", "x3", "cat", "y"]);
    let model = fit("LINEAR_REG", "y", &[], &batch).unwrap();
    assert_close(&weights(&model, false), &wanted("/linear/one_hot"), 1e-8);
    let model = fit("LINEAR_REG", "y", &[RAW, ("l2_reg", Float(0.1))], &batch).unwrap();
    assert_close(&weights(&model, false), &wanted("/linear/one_hot_ridge_0.1"), 1e-8);
}

#[test]
fn gradient_descent_reaches_the_normal_equations_solution() {
    let batch = rows(&["x1", "x2", "x3", "y"]);
    let descent = [
        ("optimize_strategy", text("BATCH_GRADIENT_DESCENT")),
        ("max_iterations", Int(20_000)),
        ("early_stop", Bool(false)),
    ];
    let model = fit("LINEAR_REG", "y", &descent, &batch).unwrap();
    assert_close(&weights(&model, false), &wanted("/linear/plain"), 1e-5);
    let model = fit("LINEAR_REG", "y", &descent[..1], &batch).unwrap();
    assert!(model.training_info().num_rows() <= 20);
    let loss = column(&model.training_info(), "loss");
    assert!(loss.windows(2).all(|pair| pair[1] <= pair[0]), "{loss:?}");
}

#[test]
fn dependent_columns_give_the_shortest_weights() {
    use std::sync::Arc;
    let batch = rows(&["x1", "x2", "y"]);
    let (x1, x2) = (column(&batch, "x1"), column(&batch, "x2"));
    let sum: Vec<f64> = x1.iter().zip(&x2).map(|(a, b)| a + b).collect();
    let named = [("x1", x1), ("x2", x2), ("sum", sum), ("y", column(&batch, "y"))];
    let both = arrow::array::RecordBatch::try_from_iter(
        named.into_iter().map(|(n, v)| (n, Arc::new(arrow::array::Float64Array::from(v)) as arrow::array::ArrayRef)),
    )
    .unwrap();
    let raw = fit("LINEAR_REG", "y", &[RAW], &both).unwrap();
    let few = fit("LINEAR_REG", "y", &[RAW], &batch).unwrap();
    let (w, f) = (weights(&raw, false), weights(&few, false));
    // The same function, and orthogonal to the null direction (1, 1, -1).
    assert_close(&[w[0] + w[2], w[1] + w[2], w[3]], &f, 1e-8);
    assert!((w[0] + w[1] - w[2]).abs() < 1e-8, "{w:?}");
}

#[test]
fn logistic_regression_equals_scikit_learn() {
    let batch = rows(&["x1", "x2", "x3", "b"]);
    let fitted = |more: &[(&str, lakemill_learn::OptionValue)]| {
        let model = fit("LOGISTIC_REG", "b", more, &batch).unwrap();
        // The reference's columns are standardised, so its weights are per standard deviation.
        weights(&model, true)
    };
    assert_close(&fitted(&[]), &wanted("/logistic/plain"), 1e-7);
    assert_close(&fitted(&[("auto_class_weights", Bool(true))]), &wanted("/logistic/balanced"), 1e-7);
    assert_close(&fitted(&[("l2_reg", Float(0.02))]), &wanted("/logistic/l2_0.02"), 1e-7);
    assert_close(&fitted(&[("l1_reg", Float(0.02))]), &wanted("/logistic/l1_0.02"), 1e-5);
    let weighted = rows(&["x1", "x2", "x3", "b", "w"]);
    let model = fit("LOGISTIC_REG", "b", &[("instance_weight_col", text("w"))], &weighted).unwrap();
    assert_close(&weights(&model, true), &wanted("/logistic/weighted"), 1e-7);
}

#[test]
fn given_class_weights_equal_balanced_ones() {
    let batch = rows(&["x1", "x2", "x3", "b"]);
    let b = column(&batch, "b");
    let ones = b.iter().sum::<f64>();
    let pair = |class: &str, rows: f64| {
        Struct(vec![(String::new(), text(class)), (String::new(), Float(b.len() as f64 / (2.0 * rows)))])
    };
    let given = Array(vec![pair("0", b.len() as f64 - ones), pair("1", ones)]);
    let model = fit("LOGISTIC_REG", "b", &[("class_weights", given)], &batch).unwrap();
    assert_close(&weights(&model, true), &wanted("/logistic/balanced"), 1e-7);
}

#[test]
fn softmax_regression_equals_scikit_learn() {
    let batch = rows(&["x1", "x2", "x3", "m"]);
    let model = fit("LOGISTIC_REG", "m", &[], &batch).unwrap();
    assert_close(&weights(&model, true), &wanted("/logistic/softmax_plain"), 1e-5);
    let model = fit("LOGISTIC_REG", "m", &[("l2_reg", Float(0.02))], &batch).unwrap();
    assert_close(&weights(&model, true), &wanted("/logistic/softmax_l2_0.02"), 1e-6);
    let classes = model.weights(false).unwrap();
    assert_eq!(classes.schema().field(0).name(), "class_label");
}

#[test]
fn many_categories_take_the_quasi_newton_way_to_the_same_optimum() {
    // 500 categories are too many parameters for Newton's method; the weight of each is ln(p / (1 - p)) of its rows.
    use std::sync::Arc;
    let rows = 500 * 10;
    let cats: Vec<String> = (0..rows).map(|row| format!("c{:03}", row % 500)).collect();
    let labels: Vec<bool> = (0..rows).map(|row| row / 500 < 1 + (row % 500) % 9).collect();
    let batch = arrow::array::RecordBatch::try_from_iter([
        ("cat", Arc::new(arrow::array::StringArray::from(cats)) as arrow::array::ArrayRef),
        ("y", Arc::new(arrow::array::BooleanArray::from(labels)) as arrow::array::ArrayRef),
    ])
    .unwrap();
    let model = fit("LOGISTIC_REG", "y", &[], &batch).unwrap();
    let given = weights(&model, false);
    let intercept = given[500];
    for (category, weight) in given[..500].iter().enumerate() {
        let p = (1 + category % 9) as f64 / 10.0;
        assert!((weight + intercept - (p / (1.0 - p)).ln()).abs() < 1e-4, "{category}");
    }
    assert!(given[..500].iter().sum::<f64>().abs() < 1e-6);
}
