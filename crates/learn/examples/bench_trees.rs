//! Fits and predicts the flights with boosted trees; prints one JSON line per repetition.
//!
//!     cargo run --release -p lakemill-learn --example bench_trees -- FILE [threads] [trees] [leaves] [repeat] [rate]
//!
//! FILE is what `bench/trees/prepare.py` writes; `bench/trees/peer.py` prints the same lines for LightGBM and XGBoost.
//! A caller that compares them alternates the contestants and takes medians. Fit seconds include binning; predict
//! rows per second are the best of three calls on columns in memory.

use std::error::Error;
use std::fs::File;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch, not};
use arrow::datatypes::Float64Type;
use arrow::ipc::reader::FileReader;
use lakemill_base::Stopwatch;
use lakemill_learn::encode::{TreeColumn, TreeValues};
use lakemill_learn::trees::{Growth, Objective, TrainingRows, TreeParams, fit};
use lakemill_learn::{Driver, NoObserver};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Part {
    columns: Vec<TreeColumn>,
    label: Vec<f64>,
}

fn part(rows: &RecordBatch, chosen: &BooleanArray) -> Result<Part> {
    let rows = filter_record_batch(rows, chosen)?;
    let mut columns = Vec::new();
    let mut label = Vec::new();
    for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
        match field.name().as_str() {
            "train" => {}
            "label" => label = array.as_primitive::<Float64Type>().values().to_vec(),
            name => {
                let values = TreeValues::Numeric(array.as_primitive::<Float64Type>().values().clone());
                columns.push(TreeColumn { name: name.to_string(), values });
            }
        }
    }
    Ok(Part { columns, label })
}

fn read(path: &str) -> Result<(Part, Part)> {
    let reader = FileReader::try_new(File::open(path)?, None)?;
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.collect::<std::result::Result<_, _>>()?;
    let rows = concat_batches(&schema, &batches)?;
    let train = rows.column_by_name("train").ok_or("the file has no column 'train'")?.as_boolean().clone();
    if train.null_count() > 0 {
        return Err("'train' must not be NULL".into());
    }
    Ok((part(&rows, &train)?, part(&rows, &not(&train)?)?))
}

/// Processor seconds of all threads so far, where the system tells (user and system ticks of 1/100 s).
fn cpu_s() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / 100.0)
}

/// Area under the ROC curve, ties counted half.
fn auc(probabilities: &[f64], label: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..label.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let (mut pairs, mut positives, mut negatives) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|a, b| probabilities[*a] == probabilities[*b]) {
        let positive = tied.iter().filter(|row| label[**row] == 1.0).count() as f64;
        let negative = tied.len() as f64 - positive;
        pairs += positive * (negatives + negative / 2.0);
        positives += positive;
        negatives += negative;
    }
    pairs / (positives * negatives)
}

fn log_loss(probabilities: &[f64], label: &[f64]) -> f64 {
    let loss = |(p, label): (&f64, &f64)| if *label == 1.0 { -p.ln() } else { -(1.0 - p).ln() };
    probabilities.iter().zip(label).map(loss).sum::<f64>() / label.len() as f64
}

#[expect(clippy::print_stdout, reason = "the lines are the result")]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: f64| arguments.get(at).map_or(Ok(default), |text| text.parse::<f64>());
    let path = arguments.first().ok_or("usage: bench_trees FILE [threads] [trees] [leaves] [repeat] [rate]")?;
    let (threads, trees, leaves) = (number(1, 2.0)? as usize, number(2, 200.0)? as u32, number(3, 63.0)? as u32);
    let (repeat, rate) = (number(4, 3.0)? as u32, number(5, 0.1)?);
    let (train, test) = read(path)?;
    let driver = Driver::new(threads)?;
    let params = TreeParams {
        iterations: trees,
        growth: Growth::LeafWise,
        max_leaves: leaves,
        max_depth: 0,
        learning_rate: rate,
        early_stop: false,
        ..TreeParams::default()
    };
    for _ in 0..repeat {
        let rows = TrainingRows { columns: &train.columns, target: &train.label, weights: None };
        let (cpu, watch) = (cpu_s(), Stopwatch::start());
        let trained = fit(&rows, None, &params, Objective::BinaryLogistic, &driver, &NoObserver)?;
        let (fit_s, fit_cpu_s) = (watch.seconds(), cpu_s().zip(cpu).map(|(end, start)| end - start));
        let mut probabilities = vec![0.0; test.label.len()];
        let (mut predict_s, cpu) = (f64::INFINITY, cpu_s());
        for _ in 0..3 {
            let watch = Stopwatch::start();
            trained.forest.predict_parallel_into(&test.columns, &mut probabilities, &driver)?;
            predict_s = predict_s.min(watch.seconds());
        }
        let predict_cpu = cpu_s().zip(cpu).map(|(end, start)| (end - start) / 3.0 / test.label.len() as f64 * 1e6);
        let line = json!({
            "contestant": "lakemill", "version": env!("CARGO_PKG_VERSION"), "threads": threads, "trees": trees,
            "leaves": leaves, "learning_rate": rate, "train_rows": train.label.len(), "test_rows": test.label.len(),
            "features": train.columns.len(), "fit_s": fit_s, "fit_cpu_s": fit_cpu_s,
            "predict_rows_per_s": (test.label.len() as f64 / predict_s).round(),
            "predict_cpu_us_per_row": predict_cpu,
            "auc": auc(&probabilities, &test.label), "log_loss": log_loss(&probabilities, &test.label),
        });
        println!("{line}");
    }
    Ok(())
}
