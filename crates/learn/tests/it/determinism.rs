//! A model depends on the set of rows and on nothing else.

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use lakemill_base::SplitMix64;
use lakemill_learn::split::split;
use lakemill_learn::train::train;
use lakemill_learn::{Driver, NoObserver, OptionValue};
use proptest::prelude::*;
use std::sync::Arc;

use crate::data::{options, spec, text};

fn table(rows: usize) -> RecordBatch {
    let mut random = SplitMix64::new(3);
    let x: Vec<Option<f64>> = (0..rows).map(|_| (random.below(20) > 0).then(|| random.next_normal())).collect();
    let cat: Vec<String> = (0..rows).map(|_| format!("k{}", random.below(7))).collect();
    let y: Vec<f64> =
        x.iter().zip(&cat).map(|(x, cat)| x.unwrap_or(0.5) * 2.0 + cat.len() as f64 + random.next_f64()).collect();
    let b: Vec<&str> = y.iter().map(|y| if *y > 2.5 { "late" } else { "on time" }).collect();
    RecordBatch::try_from_iter([
        ("x", Arc::new(Float64Array::from(x)) as ArrayRef),
        ("cat", Arc::new(StringArray::from(cat)) as ArrayRef),
        ("y", Arc::new(Float64Array::from(y)) as ArrayRef),
        ("b", Arc::new(StringArray::from(b)) as ArrayRef),
    ])
    .unwrap()
}

fn shuffled(batch: &RecordBatch, seed: u64, cuts: &[usize]) -> Vec<RecordBatch> {
    let mut random = SplitMix64::new(seed);
    let mut order: Vec<u32> = (0..batch.num_rows() as u32).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at as u64 + 1) as usize);
    }
    let batch = take_record_batch(batch, &UInt32Array::from(order)).unwrap();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % batch.num_rows()).chain([0, batch.num_rows()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| batch.slice(pair[0], pair[1] - pair[0])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn order_batches_and_threads_do_not_matter(
        seed in any::<u64>(),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
        threads in 1usize..5,
    ) {
        let whole = table(40_000);
        for (model, label, drop) in [("LINEAR_REG", "y", 3), ("LOGISTIC_REG", "b", 2)] {
            let keep: Vec<usize> = (0..4).filter(|at| *at != drop).collect();
            let batch = whole.project(&keep).unwrap();
            let spec = spec(model, label, &[("data_split_method", text("RANDOM"))], &batch).unwrap();
            let fit = |rows: &[RecordBatch], threads: usize| {
                let driver = Driver::new(threads).unwrap();
                let split = split(&spec, rows, &driver).unwrap();
                let model = train(&spec, &split, &driver, &NoObserver).unwrap();
                let artifact = model.to_artifact().unwrap();
                (split, artifact.files["weights.arrow"].clone(), artifact.files["metrics.arrow"].clone())
            };
            let (one, weights, metrics) = fit(std::slice::from_ref(&batch), 1);
            let (two, other_weights, other_metrics) = fit(&shuffled(&batch, seed, &cuts), threads);
            prop_assert_eq!(
                concat_batches(&batch.schema(), &one.train).unwrap(),
                concat_batches(&batch.schema(), &two.train).unwrap()
            );
            prop_assert_eq!(one.eval.iter().map(RecordBatch::num_rows).sum::<usize>(), 8_000);
            prop_assert_eq!(weights, other_weights);
            prop_assert_eq!(metrics, other_metrics);
        }
    }
}

#[test]
fn splits_hold_out_what_they_say() {
    let driver = Driver::new(2).unwrap();
    let count = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let held_out = |rows: usize, more: &[(&str, OptionValue)]| {
        let batch = table(rows).project(&[0, 1, 2]).unwrap();
        let spec = spec("LINEAR_REG", "y", more, &batch).unwrap();
        let split = split(&spec, &[batch], &driver).unwrap();
        assert_eq!(count(&split.train) + count(&split.eval), rows);
        count(&split.eval)
    };
    let auto = [("data_split_method", text("AUTO_SPLIT"))];
    assert_eq!([held_out(499, &auto), held_out(500, &auto), held_out(50_001, &auto)], [0, 100, 10_000]);
    let random = [("data_split_method", text("RANDOM")), ("data_split_eval_fraction", OptionValue::Float(0.3))];
    assert_eq!(held_out(1_000, &random), 300);
    assert_eq!(held_out(1_000, &[("data_split_method", text("NO_SPLIT"))]), 0);
}

#[test]
fn custom_and_sequential_splits_follow_their_column() {
    let driver = Driver::new(2).unwrap();
    let x = Arc::new(Float64Array::from_iter_values((0..10).map(f64::from))) as ArrayRef;
    let y = Arc::new(Float64Array::from_iter_values((0..10).map(|y| f64::from(y * y)))) as ArrayRef;
    let flag: Vec<Option<bool>> = (0..10).map(|row| if row == 3 { None } else { Some(row > 7) }).collect();
    let flag = Arc::new(arrow::array::BooleanArray::from(flag)) as ArrayRef;
    let day: Vec<Option<i64>> = (0..10).map(|row| (row != 0).then_some(if row == 7 { 8 } else { row })).collect();
    let day = Arc::new(arrow::array::Int64Array::from(day)) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("x", x), ("y", y), ("flag", flag), ("day", day)]).unwrap();
    let eval = |method: &str, column: &str| {
        let more = [("data_split_method", text(method)), ("data_split_col", text(column))];
        let spec = spec("LINEAR_REG", "y", &more, &batch).unwrap();
        let split = split(&spec, std::slice::from_ref(&batch), &driver).unwrap();
        let mut held: Vec<i64> =
            split.eval.iter().flat_map(|b| crate::data::column(b, "x")).map(|x| x as i64).collect();
        held.sort_unstable();
        held
    };
    assert_eq!(eval("CUSTOM", "flag"), [3, 8, 9]);
    // NULL counts as the last; of the rows that tie with the first one held out, all are.
    assert_eq!(eval("SEQ", "day"), [0, 9]);
    let _ = options(&[]);
}
