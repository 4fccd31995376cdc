//! Boosted trees against XGBoost's figures, against an exhaustive search, and against themselves.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::ops::ControlFlow;
use std::sync::LazyLock;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use lakemill_base::{ErrorKind, SplitMix64};
use lakemill_learn::encode::{TreeColumn, TreeValues};
use lakemill_learn::trees::{BoostedTrees, Forest, Growth, Objective, Test, TrainingRows, TreeParams, fit};
use lakemill_learn::{Driver, Iteration, NoObserver, Result, TrainingObserver};
use proptest::prelude::*;
use serde_json::Value;

static DRIVER: LazyLock<Driver> = LazyLock::new(|| Driver::new(2).unwrap());

fn numeric(name: &str, values: Vec<f64>) -> TreeColumn {
    TreeColumn { name: name.into(), values: TreeValues::Numeric(values.into()) }
}

fn categorical(name: &str, codes: Vec<u32>, cardinality: u32) -> TreeColumn {
    TreeColumn { name: name.into(), values: TreeValues::Categorical { codes: codes.into(), cardinality } }
}

fn train(columns: &[TreeColumn], target: &[f64], params: &TreeParams, objective: Objective) -> Result<BoostedTrees> {
    fit(&TrainingRows { columns, target, weights: None }, None, params, objective, &DRIVER, &NoObserver)
}

fn predict(forest: &Forest, columns: &[TreeColumn], rows: usize) -> Vec<f64> {
    let mut out = vec![0.0; rows * forest.objective().outputs()];
    forest.predict_into(columns, &mut out).unwrap();
    out
}

/// Numbers with missing ones, a category and a target that depends on both.
fn table(rows: usize, classes: u32, seed: u64) -> (Vec<TreeColumn>, Vec<f64>) {
    let mut random = SplitMix64::new(seed);
    let mut columns = vec![Vec::new(); 3];
    let (mut codes, mut target) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for _ in 0..rows {
        let x: Vec<f64> = (0..3).map(|_| random.next_normal()).collect();
        let code = random.below(30) as u32;
        let score = x[0] * x[1] + f64::from(code % 5) * 0.4 + 0.5 * random.next_normal();
        for (column, x) in columns.iter_mut().zip(x) {
            column.push(if random.next_f64() < 0.1 { f64::NAN } else { x });
        }
        codes.push(code);
        target.push(if classes == 0 { score } else { ((score + 2.0).max(0.0) as u32).min(classes - 1).into() });
    }
    let mut all: Vec<TreeColumn> = columns.into_iter().enumerate().map(|(i, c)| numeric(&format!("x{i}"), c)).collect();
    all.push(categorical("c", codes, 30));
    (all, target)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

/// `tests/reference/trees.py` computed these with XGBoost's histogram method.
#[test]
fn equals_xgboost() {
    let reference: Value = serde_json::from_str(include_str!("../reference/trees.json")).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let columns: Vec<TreeColumn> =
            case["columns"].as_array().unwrap().iter().map(|c| numeric("f", numbers(c))).collect();
        let (target, settings) = (numbers(&case["target"]), &case["settings"]);
        let weights = case["weights"].as_array().map(|_| numbers(&case["weights"]));
        let setting = |key: &str, default: f64| settings[key].as_f64().unwrap_or(default);
        let params = TreeParams {
            iterations: case["rounds"].as_u64().unwrap() as u32,
            max_depth: setting("max_depth", 6.0) as u32,
            l1_reg: setting("alpha", 0.0),
            l2_reg: setting("lambda", 1.0),
            min_split_loss: setting("gamma", 0.0),
            min_child_weight: setting("min_child_weight", 1.0),
            early_stop: false,
            ..TreeParams::default()
        };
        let objective = match case["objective"].as_str().unwrap() {
            "squared_error" => Objective::SquaredError,
            _ => Objective::BinaryLogistic,
        };
        let rows = TrainingRows { columns: &columns, target: &target, weights: weights.as_deref() };
        let trained = fit(&rows, None, &params, objective, &DRIVER, &NoObserver).unwrap();
        let predicted = predict(&trained.forest, &columns, target.len());
        for (row, (ours, theirs)) in predicted.iter().zip(numbers(&case["prediction"])).enumerate() {
            assert!((ours - theirs).abs() < 2e-4, "{name}, row {row}: {ours} is not {theirs}");
        }
        for (ours, theirs) in trained.forest.importance().iter().zip(case["importance"].as_array().unwrap()) {
            let theirs = numbers(theirs);
            assert_eq!(ours.weight as f64, theirs[0], "{name}");
            assert!((ours.gain - theirs[1]).abs() <= 2e-3 * theirs[1].abs(), "{name}: {ours:?} {theirs:?}");
            assert!((ours.cover - theirs[2]).abs() <= 2e-3 * theirs[2].abs(), "{name}: {ours:?} {theirs:?}");
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    for (classes, objective, growth, subsample) in [
        (2, Objective::BinaryLogistic, Growth::LeafWise, 1.0),
        (0, Objective::SquaredError, Growth::DepthWise, 0.7),
        (4, Objective::Softmax { classes: 4 }, Growth::LeafWise, 1.0),
    ] {
        let (columns, target) = table(70_000, classes, 7);
        let params = TreeParams {
            iterations: 4,
            growth,
            max_leaves: 24,
            subsample,
            colsample_bytree: 0.9,
            colsample_bynode: 0.8,
            early_stop: false,
            seed: 11,
            ..TreeParams::default()
        };
        let rows = TrainingRows { columns: &columns, target: &target, weights: None };
        let forests: Vec<(Forest, f64)> = [1, 2, 5]
            .map(|threads| {
                let driver = Driver::new(threads).unwrap();
                let trained = fit(&rows, None, &params, objective, &driver, &NoObserver).unwrap();
                let loss = trained.iterations.last().unwrap().loss;
                (trained.forest, loss)
            })
            .into();
        assert!(forests[0] == forests[1] && forests[0] == forests[2], "{objective:?}");
    }
}

fn head(column: &TreeColumn, rows: usize) -> TreeColumn {
    let values = match &column.values {
        TreeValues::Numeric(values) => TreeValues::Numeric(values.slice(0, rows)),
        TreeValues::Categorical { codes, cardinality } => {
            TreeValues::Categorical { codes: codes.slice(0, rows), cardinality: *cardinality }
        }
    };
    TreeColumn { name: column.name.clone(), values }
}

#[test]
fn prediction_on_bytes_equals_the_path_from_the_root() {
    for (objective, classes, leaves, depth) in [
        (Objective::BinaryLogistic, 2, 64, 0),
        (Objective::SquaredError, 0, 0, 12),
        (Objective::Softmax { classes: 3 }, 3, 20, 0),
    ] {
        let (columns, target) = table(6_000, classes, 3);
        let growth = if leaves == 0 { Growth::DepthWise } else { Growth::LeafWise };
        let params = TreeParams {
            iterations: 6,
            growth,
            max_leaves: leaves,
            max_depth: depth,
            early_stop: false,
            ..TreeParams::default()
        };
        let forest = train(&columns, &target, &params, objective).unwrap().forest;
        // Rows that training did not see, unseen categories among them, and a number of rows that fills no block.
        let (mut unseen, _) = table(1_111, classes, 4);
        unseen[3] = categorical("c", (0..1_111).map(|row| row % 45).collect(), 45);
        let mut fast = vec![0.0; 1_111 * objective.outputs()];
        let mut slow = fast.clone();
        forest.margins_into(&unseen, &mut fast).unwrap();
        forest.margins_by_path_into(&unseen, &mut slow).unwrap();
        assert_eq!(fast, slow);
        // Few rows are scored in another way than many.
        for rows in [1, 8, 9, 33] {
            let first: Vec<TreeColumn> = unseen.iter().map(|column| head(column, rows)).collect();
            let mut few = vec![0.0; rows * objective.outputs()];
            forest.margins_into(&first, &mut few).unwrap();
            assert_eq!(few, slow[..few.len()]);
        }
        let mut parallel = fast.clone();
        forest.predict_parallel_into(&unseen, &mut parallel, &DRIVER).unwrap();
        assert_eq!(parallel, predict(&forest, &unseen, 1_111));
    }
}

#[test]
fn a_forest_survives_its_batches() {
    let (columns, target) = table(3_000, 3, 5);
    let forest = train(&columns, &target, &TreeParams::default(), Objective::Softmax { classes: 3 }).unwrap().forest;
    let (nodes, features) = forest.to_batches().unwrap();
    assert!(Forest::from_batches(&nodes, &features).unwrap() == forest);
    let with = |name: &str, array: ArrayRef| {
        let schema = nodes.schema();
        let mut arrays = nodes.columns().to_vec();
        arrays[schema.index_of(name).unwrap()] = array;
        RecordBatch::try_new(schema, arrays).unwrap()
    };
    let text = |nodes: &RecordBatch| {
        let error = Forest::from_batches(nodes, &features).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        error.to_string()
    };
    let nan = with("value", std::sync::Arc::new(Float64Array::from(vec![f64::NAN; nodes.num_rows()])));
    assert_eq!(text(&nan), "the stored forest is malformed: tree 0: the value of node 0 is not finite");
    let swapped = with("left", nodes.column_by_name("node").unwrap().clone());
    assert_eq!(text(&swapped), "the stored forest is malformed: tree 0: node 0 cannot be a child of node 0");
    assert!(text(&nodes.slice(1, nodes.num_rows() - 1)).ends_with("row 0 does not continue tree 0"));
    assert!(text(&nodes.project(&[0, 1, 2]).unwrap()).ends_with("column 'node' is missing"));
}

/// The gain of the best split of `rows` by trying every value of every column with missing values on either side.
fn best_gain(columns: &[Vec<f64>], residuals: &[f64], rows: &[usize], l2: f64) -> f64 {
    let term = |rows: &[usize]| rows.iter().map(|r| residuals[*r]).sum::<f64>().powi(2) / (rows.len() as f64 + l2);
    let mut best = 0.0;
    for column in columns {
        for threshold in rows.iter().map(|row| column[*row]).filter(|value| !value.is_nan()) {
            for missing_left in [false, true] {
                let goes = |row: &usize| if column[*row].is_nan() { missing_left } else { column[*row] <= threshold };
                let (left, right): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| goes(row));
                if !left.is_empty() && !right.is_empty() {
                    best = f64::max(best, term(&left) + term(&right) - term(rows));
                }
            }
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn every_split_gains_as_much_as_the_best_of_all(
        cells in proptest::collection::vec((0i32..12, 0i32..12, 0i32..12, -50i32..50), 2..60),
        leaf_wise in any::<bool>(),
    ) {
        let value = |cell: i32| if cell == 0 { f64::NAN } else { f64::from(cell) };
        let columns: Vec<Vec<f64>> = vec![
            cells.iter().map(|cell| value(cell.0)).collect(),
            cells.iter().map(|cell| value(cell.1)).collect(),
            cells.iter().map(|cell| value(cell.2)).collect(),
        ];
        let target: Vec<f64> = cells.iter().map(|cell| f64::from(cell.3)).collect();
        let mean = target.iter().sum::<f64>() / target.len() as f64;
        let residuals: Vec<f64> = target.iter().map(|target| mean - target).collect();
        let given: Vec<TreeColumn> = columns.iter().map(|column| numeric("x", column.clone())).collect();
        let growth = if leaf_wise { Growth::LeafWise } else { Growth::DepthWise };
        let params = TreeParams { iterations: 1, max_depth: 4, growth, early_stop: false, ..TreeParams::default() };
        let forest = train(&given, &target, &params, Objective::SquaredError).unwrap().forest;
        let tree = &forest.trees()[0];
        let mut open = vec![(0usize, (0..target.len()).collect::<Vec<usize>>(), 0)];
        while let Some((at, rows, depth)) = open.pop() {
            let best = best_gain(&columns, &residuals, &rows, 1.0);
            let node = &tree.nodes[at];
            let Some(split) = &node.split else {
                prop_assert!(depth == 4 || best < 1e-2, "a leaf of {rows:?} could have gained {best}");
                let value = -0.3 * rows.iter().map(|r| residuals[*r]).sum::<f64>() / (rows.len() as f64 + 1.0);
                prop_assert!((node.value - value).abs() < 1e-9);
                continue;
            };
            prop_assert!((split.gain - best).abs() < 1e-2 + 1e-4 * best, "{} is not the best gain {best}", split.gain);
            let column = &columns[split.feature as usize];
            let Test::AtMost(threshold) = split.test else { panic!("a number is compared") };
            let goes = |row: &usize| if column[*row].is_nan() { split.missing_left } else { column[*row] <= threshold };
            let (left, right) = rows.into_iter().partition(goes);
            open.push((split.left as usize, left, depth + 1));
            open.push((split.right as usize, right, depth + 1));
        }
    }
}

#[test]
fn categories_are_split_into_the_sets_that_matter() {
    // Even codes mean one thing, odd codes another: no order of the codes tells, two sets do.
    let codes: Vec<u32> = (0..4_000).map(|row| 1 + (row * 7919) % 40).collect();
    let target: Vec<f64> = codes.iter().map(|code| f64::from(code % 2)).collect();
    let columns = [categorical("c", codes, 41)];
    let params =
        TreeParams { iterations: 1, max_depth: 1, learning_rate: 1.0, early_stop: false, ..TreeParams::default() };
    let forest = train(&columns, &target, &params, Objective::BinaryLogistic).unwrap().forest;
    let predicted = predict(&forest, &columns, target.len());
    assert!(predicted.iter().zip(&target).all(|(p, target)| (p > &0.5) == (*target == 1.0)));
}

#[test]
fn odd_tables_give_a_constant() {
    let params = TreeParams { early_stop: false, ..TreeParams::default() };
    let constant = |columns: &[TreeColumn], target: &[f64], want: f64| {
        let forest = train(columns, target, &params, Objective::SquaredError).unwrap().forest;
        assert!(forest.trees().iter().all(|tree| tree.nodes.len() == 1));
        for predicted in predict(&forest, columns, target.len()) {
            assert!((predicted - want).abs() < 1e-9);
        }
    };
    constant(&[numeric("one row", vec![3.0])], &[5.0], 5.0);
    constant(&[numeric("constant", vec![2.0; 9])], &[1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0], 2.0);
    constant(&[numeric("missing", vec![f64::NAN; 4])], &[0.0, 1.0, 0.0, 1.0], 0.5);
    constant(&[categorical("one", vec![1; 4], 2)], &[0.0, 1.0, 0.0, 1.0], 0.5);
    constant(&[numeric("x", vec![1.0, 2.0, 3.0, 4.0])], &[7.0; 4], 7.0);
    constant(&[], &[1.0, 3.0], 2.0);
    let none = train(&[numeric("x", vec![])], &[], &params, Objective::SquaredError).unwrap_err();
    assert_eq!((none.kind(), none.to_string().as_str()), (ErrorKind::Data, "there are no rows to learn from"));
}

#[test]
fn a_few_huge_gradients_do_not_drown_the_others() {
    // One row in two thousand is ten million times larger than the rest: 18 bits would round the rest to nothing.
    let x: Vec<f64> = (0..4_000).map(|row| f64::from(row % 100)).collect();
    let outlier: Vec<f64> = (0..4_000).map(|row| if row % 2_000 == 0 { 1.0 } else { 0.0 }).collect();
    let target: Vec<f64> = x.iter().zip(&outlier).map(|(x, o)| if *x < 50.0 { 0.0 } else { 1.0 } + o * 1e7).collect();
    let columns = [numeric("x", x.clone()), numeric("outlier", outlier)];
    let params =
        TreeParams { iterations: 3, learning_rate: 1.0, l2_reg: 0.0, early_stop: false, ..TreeParams::default() };
    let forest = train(&columns, &target, &params, Objective::SquaredError).unwrap().forest;
    let predicted = predict(&forest, &columns, 4_000);
    assert!((predicted[30] - target[30]).abs() < 1e-3, "{} is not {}", predicted[30], target[30]);
    assert!((predicted[80] - target[80]).abs() < 1e-3, "{} is not {}", predicted[80], target[80]);
}

#[test]
fn training_stops_when_the_held_out_loss_no_longer_falls() {
    let (columns, target) = table(3_000, 2, 1);
    let (held_out, held_out_target) = table(1_000, 2, 2);
    let rows = TrainingRows { columns: &columns, target: &target, weights: None };
    let eval = TrainingRows { columns: &held_out, target: &held_out_target, weights: None };
    let params = TreeParams { iterations: 300, min_rel_progress: 0.0, ..TreeParams::default() };
    let trained = fit(&rows, Some(&eval), &params, Objective::BinaryLogistic, &DRIVER, &NoObserver).unwrap();
    let losses: Vec<f64> = trained.iterations.iter().map(|i| i.eval_loss.unwrap()).collect();
    assert!(losses.len() < 300, "it stopped");
    assert!(losses[..losses.len() - 1].windows(2).all(|pair| pair[1] <= pair[0]));
    assert_eq!(trained.best_iteration as usize, losses.len() - 2);
    assert_eq!(trained.forest.trees().len(), losses.len() - 1);
    let probabilities = predict(&trained.forest, &held_out, 1_000);
    let loss = |(p, t): (&f64, &f64)| -(if *t == 1.0 { *p } else { 1.0 - p }).ln();
    let mean = probabilities.iter().zip(&held_out_target).map(loss).sum::<f64>() / 1_000.0;
    assert!((mean - losses[losses.len() - 2]).abs() < 1e-12, "what was watched is what the forest gives");
}

#[test]
fn an_observer_can_cancel() {
    struct AfterTwo;
    impl TrainingObserver for AfterTwo {
        fn iteration(&self, iteration: &Iteration) -> ControlFlow<()> {
            if iteration.iteration == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    let (columns, target) = table(500, 2, 1);
    let rows = TrainingRows { columns: &columns, target: &target, weights: None };
    let params = TreeParams::default();
    let error = fit(&rows, None, &params, Objective::BinaryLogistic, &DRIVER, &AfterTwo).unwrap_err();
    assert!(error.is_cancelled());
}

#[test]
fn settings_out_of_range_are_named() {
    let text = |params: TreeParams| {
        let error = params.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    };
    let subsample = TreeParams { subsample: 0.0, ..TreeParams::default() };
    assert_eq!(text(subsample), "subsample must be above 0 and at most 1, not 0");
    let rate = TreeParams { learning_rate: f64::NAN, ..TreeParams::default() };
    assert_eq!(text(rate), "learn_rate must be a number from 0, not NaN");
    let bins = TreeParams { max_bins: 256, ..TreeParams::default() };
    assert_eq!(text(bins), "max_bins must be from 2 to 255, not 256");
}

#[test]
fn parallel_trees_are_averaged() {
    let (columns, target) = table(2_000, 0, 9);
    let params = TreeParams {
        iterations: 1,
        parallel_trees: 8,
        learning_rate: 1.0,
        subsample: 0.8,
        colsample_bynode: 0.8,
        max_depth: 15,
        early_stop: false,
        ..TreeParams::default()
    };
    let forest = train(&columns, &target, &params, Objective::SquaredError).unwrap().forest;
    assert_eq!(forest.trees().len(), 8);
    assert!(forest.trees()[0] != forest.trees()[1]);
    let predicted = predict(&forest, &columns, 2_000);
    let mean = target.iter().sum::<f64>() / 2_000.0;
    let error = |of: &dyn Fn(usize) -> f64| (0..2_000).map(|row| (of(row) - target[row]).powi(2)).sum::<f64>();
    assert!(error(&|row| predicted[row]) < 0.3 * error(&|_| mean));
}
