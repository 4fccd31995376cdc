//! Curves of binary classifiers: ROC and reliability.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::classifier::ScoresFold;
use super::{check_rows, two_classes};
use crate::{Driver, Error, Model, Result};

/// The most points of a ROC curve whose thresholds were not given.
const ROC_POINTS_MAX: usize = 200;

/// `threshold, recall, false_positive_rate, true_positives, false_positives, true_negatives, false_negatives`, the
/// highest threshold first.
///
/// Without `thresholds` every distinct score is one, or of more than 200 distinct scores 200 at equal distances of rank.
///
/// # Errors
/// The model is no binary classifier, or no row has a label.
pub fn roc_curve(
    model: &Model,
    scored: &[RecordBatch],
    thresholds: Option<&[f64]>,
    driver: &Driver,
) -> Result<RecordBatch> {
    let mut ranked = ranked(model, scored, driver)?;
    ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let thresholds = match thresholds {
        Some(given) => {
            let mut given = given.to_vec();
            given.sort_unstable_by(|a, b| b.total_cmp(a));
            given
        }
        None => default_thresholds(&ranked),
    };
    let positives = ranked.iter().filter(|(_, positive)| *positive).count() as i64;
    let negatives = ranked.len() as i64 - positives;
    let mut floats: [Vec<Option<f64>>; 3] = Default::default();
    let mut counts: [Vec<i64>; 4] = Default::default();
    let (mut at, mut hits) = (0, 0i64);
    for threshold in thresholds {
        while let Some((_, positive)) = ranked.get(at).filter(|(score, _)| *score >= threshold) {
            hits += i64::from(*positive);
            at += 1;
        }
        let false_hits = at as i64 - hits;
        floats[0].push(Some(threshold));
        floats[1].push((positives > 0).then(|| hits as f64 / positives as f64));
        floats[2].push((negatives > 0).then(|| false_hits as f64 / negatives as f64));
        let row = [hits, false_hits, negatives - false_hits, positives - hits];
        counts.iter_mut().zip(row).for_each(|(column, count)| column.push(count));
    }
    let floats = floats.into_iter().map(|column| Arc::new(Float64Array::from(column)) as ArrayRef);
    let counts = counts.into_iter().map(|column| Arc::new(Int64Array::from(column)) as ArrayRef);
    Ok(RecordBatch::try_new(roc_curve_schema(), floats.chain(counts).collect())?)
}

/// The columns of [`roc_curve`].
pub fn roc_curve_schema() -> SchemaRef {
    let floats = ["threshold", "recall", "false_positive_rate"].map(|name| Field::new(name, DataType::Float64, true));
    let counts = ["true_positives", "false_positives", "true_negatives", "false_negatives"]
        .map(|name| Field::new(name, DataType::Int64, true));
    Arc::new(Schema::new(floats.into_iter().chain(counts).collect::<Vec<_>>()))
}

/// Reliability bins of equal width: `bin_start, bin_end, rows, mean_predicted, fraction_positive`. Bins without rows are
/// left out.
///
/// # Errors
/// The model is no binary classifier, no row has a label, or there are no bins.
pub fn calibration(model: &Model, scored: &[RecordBatch], bins: usize, driver: &Driver) -> Result<RecordBatch> {
    if bins == 0 {
        return Err(Error::invalid("a reliability curve needs one bin at least"));
    }
    let mut sums = vec![(0i64, 0.0, 0i64); bins];
    for (score, positive) in ranked(model, scored, driver)? {
        let bin = ((score * bins as f64) as usize).min(bins - 1);
        sums[bin].0 += 1;
        sums[bin].1 += score;
        sums[bin].2 += i64::from(positive);
    }
    let full: Vec<(usize, (i64, f64, i64))> = sums.into_iter().enumerate().filter(|(_, sums)| sums.0 > 0).collect();
    let float = |value: &dyn Fn(usize, (i64, f64, i64)) -> f64| -> ArrayRef {
        Arc::new(full.iter().map(|(bin, sums)| Some(value(*bin, *sums))).collect::<Float64Array>())
    };
    let rows: Int64Array = full.iter().map(|(_, sums)| Some(sums.0)).collect();
    let columns = vec![
        float(&|bin, _| bin as f64 / bins as f64),
        float(&|bin, _| (bin + 1) as f64 / bins as f64),
        Arc::new(rows),
        float(&|_, sums| sums.1 / sums.0 as f64),
        float(&|_, sums| sums.2 as f64 / sums.0 as f64),
    ];
    Ok(RecordBatch::try_new(calibration_schema(), columns)?)
}

/// The columns of [`calibration`].
pub fn calibration_schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("bin_start", DataType::Float64),
        field("bin_end", DataType::Float64),
        field("rows", DataType::Int64),
        field("mean_predicted", DataType::Float64),
        field("fraction_positive", DataType::Float64),
    ]))
}

/// The higher class's probability of each row, and whether the row is of that class.
fn ranked(model: &Model, scored: &[RecordBatch], driver: &Driver) -> Result<Vec<(f64, bool)>> {
    let classes = two_classes(model)?;
    check_rows(model, scored)?;
    let gathered = driver.fold(&ScoresFold { classes, label: model.label(), columns: &[1] }, scored)?;
    let scores = gathered.scores.into_iter().next().unwrap_or_default();
    Ok(scores.into_iter().zip(gathered.targets).map(|(score, target)| (score, target == 1)).collect())
}

fn default_thresholds(ranked: &[(f64, bool)]) -> Vec<f64> {
    let mut distinct: Vec<f64> = ranked.iter().map(|(score, _)| *score).collect();
    distinct.dedup();
    if distinct.len() <= ROC_POINTS_MAX {
        return distinct;
    }
    let last = ranked.len() - 1;
    let mut chosen: Vec<f64> = (0..ROC_POINTS_MAX).map(|point| ranked[point * last / (ROC_POINTS_MAX - 1)].0).collect();
    chosen.dedup();
    chosen
}
