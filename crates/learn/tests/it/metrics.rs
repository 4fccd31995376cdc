//! Metrics against scikit-learn.

use arrow::array::{ArrayRef, RecordBatch};
use lakemill_learn::OptionValue::Float;
use lakemill_learn::{Driver, metrics};
use std::sync::Arc;

use crate::data::{assert_close, column, fit, reference, rows};

fn named(path: &str, batch: &RecordBatch, tolerance: f64) {
    for field in batch.schema().fields() {
        assert_close(&column(batch, field.name()), &reference(&format!("{path}/{}", field.name())), tolerance);
    }
}

#[test]
fn binary_metrics_equal_scikit_learn() {
    let driver = Driver::new(2).unwrap();
    let batch = rows(&["x1", "x2", "x3", "b"]);
    let model = fit("LOGISTIC_REG", "b", &[], &batch).unwrap();
    let scored = vec![metrics::scored(&model, &batch).unwrap()];
    named("/logistic/binary_metrics", &metrics::evaluate(&model, &scored, None, &driver).unwrap(), 1e-7);
    let matrix = metrics::confusion_matrix(&model, &scored, Some(0.3), &driver).unwrap();
    let wanted = reference("/logistic/confusion_at_0.3");
    assert_eq!(column(&matrix, "0"), [wanted[0], wanted[2]]);
    assert_eq!(column(&matrix, "1"), [wanted[1], wanted[3]]);
    let curve = metrics::roc_curve(&model, &scored, None, &driver).unwrap();
    assert_close(&column(&curve, "recall"), &reference("/logistic/roc_curve/tpr"), 1e-12);
    assert_close(&column(&curve, "false_positive_rate"), &reference("/logistic/roc_curve/fpr"), 1e-12);
    assert_close(&column(&curve, "threshold"), &reference("/logistic/roc_curve/threshold"), 1e-7);
    let bins = metrics::calibration(&model, &scored, 5, &driver).unwrap();
    assert_eq!(column(&bins, "rows").iter().sum::<f64>(), 160.0);
}

#[test]
fn softmax_metrics_equal_scikit_learn() {
    let driver = Driver::new(2).unwrap();
    let batch = rows(&["x1", "x2", "x3", "m"]);
    let model = fit("LOGISTIC_REG", "m", &[("l2_reg", Float(0.02))], &batch).unwrap();
    let scored = vec![metrics::scored(&model, &batch).unwrap()];
    named("/logistic/softmax_metrics", &metrics::evaluate(&model, &scored, None, &driver).unwrap(), 1e-6);
}

#[test]
fn regression_metrics_equal_scikit_learn() {
    let driver = Driver::new(2).unwrap();
    let batch = rows(&["x1", "x2", "x3", "cat", "y"]);
    let model = fit("LINEAR_REG", "y", &[], &batch).unwrap();
    let scored = metrics::scored(&model, &batch).unwrap();
    // The logarithmic error is for numbers of at least 0.
    let shift = reference("/linear/metrics_shift")[0];
    let moved = |at: usize| -> ArrayRef {
        let values = column(&scored, scored.schema().field(at).name()).into_iter().map(|value| value + shift);
        Arc::new(arrow::array::Float64Array::from_iter_values(values))
    };
    let scored = vec![RecordBatch::try_from_iter([("y", moved(0)), ("score_0", moved(1))]).unwrap()];
    named("/linear/metrics", &metrics::evaluate(&model, &scored, None, &driver).unwrap(), 1e-8);
}

#[test]
fn an_unknown_class_is_an_error_that_names_it() {
    let driver = Driver::new(1).unwrap();
    let batch = rows(&["x1", "m"]);
    let model = fit("LOGISTIC_REG", "m", &[], &batch).unwrap();
    let strange =
        RecordBatch::try_from_iter([("x1", crate::data::floats(vec![1.0])), ("m", crate::data::strings(&["mauve"]))])
            .unwrap();
    let scored = vec![metrics::scored(&model, &strange).unwrap()];
    let error = metrics::evaluate(&model, &scored, None, &driver).unwrap_err();
    assert_eq!(
        error.to_string(),
        "label 'm' has the value 'mauve', which the training rows did not; the model's classes are blue, green, red"
    );
}
