//! Bad input, and the text that answers it.

use std::ops::ControlFlow;

use arrow::array::{ArrayRef, RecordBatch};
use lakemill_base::ErrorKind;
use lakemill_learn::OptionValue::{Bool, Float, Int, String as Text};
use lakemill_learn::options::options_of;
use lakemill_learn::split::split;
use lakemill_learn::train::train;
use lakemill_learn::{Driver, Iteration, ModelType, OptionValue, PredictOptions, TrainSpec, TrainingObserver};

use crate::data::{fit, floats, options, rows, spec, strings, text};

fn parse(pairs: &[(&str, OptionValue)]) -> (String, String) {
    let batch = rows(&["x1", "x2", "cat", "y", "b"]);
    let error = TrainSpec::parse(&options(pairs), &batch.schema()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    (error.option_name().unwrap_or_default().to_owned(), error.to_string())
}

#[test]
fn options_are_checked() {
    let with = |name: &str, value: OptionValue| {
        parse(&[("model_type", text("LINEAR_REG")), ("input_label_cols", text("y")), (name, value)])
    };
    assert_eq!(
        with("max_iteration", Int(5)),
        ("max_iteration".to_owned(), "unknown option 'max_iteration'; did you mean 'max_iterations'?".to_owned())
    );
    assert_eq!(
        with("l2_reg", Text("much".to_owned())).1,
        "option 'l2_reg' must be a value of type FLOAT64 of at least 0; given: 'much' (STRING)"
    );
    assert_eq!(
        with("l2_reg", Float(-1.0)).1,
        "option 'l2_reg' must be a value of type FLOAT64 of at least 0; given: -1.0 (FLOAT64)"
    );
    assert_eq!(
        with("optimize_strategy", text("MAGIC")).1,
        "option 'optimize_strategy' must be one of 'AUTO_STRATEGY', 'NORMAL_EQUATION', 'BATCH_GRADIENT_DESCENT'; \
         given: 'MAGIC' (STRING)"
    );
    assert_eq!(
        with("max_tree_depth", Int(3)).1,
        "option 'max_tree_depth' does not apply to LINEAR_REG; it is for BOOSTED_TREE_CLASSIFIER, \
         BOOSTED_TREE_REGRESSOR"
    );
    assert_eq!(
        with("warm_start", Bool(true)).1,
        "option 'warm_start' is not supported: every training starts anew, so that equal inputs give an equal model"
    );
    assert_eq!(
        with("data_split_method", text("CUSTOM")).1,
        "data_split_method 'CUSTOM' needs the option 'data_split_col', the column to split by"
    );
    assert_eq!(
        parse(&[("model_type", text("LOGISTICREG"))]).1,
        "model type 'LOGISTICREG' is not supported; did you mean 'LOGISTIC_REG'? supported: LINEAR_REG, LOGISTIC_REG, \
         BOOSTED_TREE_CLASSIFIER, BOOSTED_TREE_REGRESSOR"
    );
    assert_eq!(
        parse(&[("max_iterations", Int(3))]).1,
        "option 'model_type' is missing; give one, as in OPTIONS (model_type = 'LOGISTIC_REG')"
    );
    for model in ModelType::ALL {
        assert!(options_of(model).iter().all(|option| !option.doc.is_empty() && !option.type_text().is_empty()));
    }
}

#[test]
fn labels_are_checked() {
    let of = |model: &str, label: &str| parse(&[("model_type", text(model)), ("input_label_cols", text(label))]).1;
    assert_eq!(
        parse(&[("model_type", text("LINEAR_REG"))]).1,
        "the training query has no column 'label'; name the label by input_label_cols = ['..']; columns: x1, x2, cat, y, b"
    );
    assert_eq!(
        of("LINEAR_REG", "caat"),
        "option 'input_label_cols' names the unknown column 'caat'; did you mean 'cat'?"
    );
    assert_eq!(of("LINEAR_REG", "cat"), "label 'cat' has type Utf8; a regression needs a number");
    assert_eq!(
        of("LOGISTIC_REG", "y"),
        "label 'y' has type Float64; a classifier needs STRING, BOOL or a whole number (CAST it)"
    );
}

fn failure(model: &str, columns: Vec<(&str, ArrayRef)>) -> String {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    fit(model, "y", &[], &batch).unwrap_err().to_string()
}

#[test]
fn rows_that_cannot_be_learned_from() {
    let nan = f64::NAN;
    assert_eq!(
        failure("LINEAR_REG", vec![("x", floats(vec![])), ("y", floats(vec![]))]),
        "the training query gave no rows; nothing can be learned from an empty table"
    );
    assert_eq!(
        failure("LINEAR_REG", vec![("x", floats(vec![1.0, 2.0])), ("y", floats(vec![nan, nan]))]),
        "label 'y' is NULL in all 2 rows; rows without a label cannot train"
    );
    assert_eq!(
        failure("LINEAR_REG", vec![("x", floats(vec![1.0, 2.0])), ("y", floats(vec![3.0, 3.0]))]),
        "label 'y' is 3 in all 2 training rows; there is nothing to learn from a constant"
    );
    assert_eq!(
        failure("LOGISTIC_REG", vec![("x", floats(vec![1.0, 2.0])), ("y", strings(&["no", "no"]))]),
        "label 'y' is 'no' in all 2 training rows; a classifier needs rows of two classes at least"
    );
    assert_eq!(
        failure("LINEAR_REG", vec![("x", floats(vec![1.0, 2.0])), ("y", floats(vec![1.0, f64::INFINITY]))]),
        "label 'y' is NaN or infinite in 1 training rows; leave them out, or replace the values"
    );
    assert_eq!(
        failure("LINEAR_REG", vec![("x", floats(vec![1.0, f64::INFINITY])), ("y", floats(vec![1.0, 2.0]))]),
        "feature 'x' holds infinite values (1); linear models need finite numbers, replace them by NULL or a limit"
    );
    assert_eq!(
        failure("LINEAR_REG", vec![("x", floats(vec![nan, nan])), ("y", floats(vec![1.0, 2.0]))]),
        "feature 'x' has no value in any of the 2 training rows; leave it out (EXCEPT (x))"
    );
}

#[test]
fn null_labels_are_dropped_and_counted() {
    let batch =
        RecordBatch::try_from_iter([("x", floats(vec![1.0, 2.0, 3.0])), ("y", floats(vec![1.0, f64::NAN, 3.0]))])
            .unwrap();
    let spec = spec("LINEAR_REG", "y", &[], &batch).unwrap();
    let split = split(&spec, &[batch], &Driver::new(1).unwrap()).unwrap();
    assert_eq!(split.dropped_null_label, 1);
}

#[test]
fn a_missing_feature_is_named() {
    let model = fit("LINEAR_REG", "y", &[], &rows(&["x1", "x2", "y"])).unwrap();
    let error = model.predict(&rows(&["x1"]), &PredictOptions::default()).unwrap_err();
    assert_eq!(error.column_name(), Some("x2"));
    assert_eq!(error.to_string(), "the input lacks the feature 'x2' that the model was trained on; its columns are x1");
    let wrong = RecordBatch::try_from_iter([("x1", floats(vec![1.0])), ("x2", strings(&["a"]))]).unwrap();
    assert_eq!(
        model.predict(&wrong, &PredictOptions::default()).unwrap_err().to_string(),
        "feature 'x2' was a number when the model was trained and now has type Utf8; CAST it"
    );
}

struct Impatient;

impl TrainingObserver for Impatient {
    fn iteration(&self, iteration: &Iteration) -> ControlFlow<()> {
        if iteration.iteration == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn an_observer_cancels() {
    let batch = rows(&["x1", "x2", "m"]);
    let driver = Driver::new(2).unwrap();
    let spec = spec("LOGISTIC_REG", "m", &[], &batch).unwrap();
    let split = split(&spec, &[batch], &driver).unwrap();
    assert!(train(&spec, &split, &driver, &Impatient).unwrap_err().is_cancelled());
}
