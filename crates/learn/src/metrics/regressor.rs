//! Metrics of regressions, as one fold over labels and predictions.

use arrow::array::RecordBatch;

use super::scores;
use crate::encode::numbers::numbers;
use crate::encode::stats::NumberStats;
use crate::model::median;
use crate::{Driver, Fold, Result};

pub(super) const METRICS: [&str; 6] = [
    "mean_absolute_error",
    "mean_squared_error",
    "mean_squared_log_error",
    "median_absolute_error",
    "r2_score",
    "explained_variance",
];

/// The metrics in the order of [`METRICS`].
pub(super) fn evaluate(scored: &[RecordBatch], driver: &Driver) -> Result<Vec<Option<f64>>> {
    let mut sums = driver.fold(&ErrorFold, scored)?;
    let rows = sums.label.count as f64;
    let mean_squared = sums.squared / rows;
    let variance = sums.label.squares / rows;
    // Of a constant label no share can be explained.
    let share = |unexplained: f64| (variance > 0.0).then(|| 1.0 - unexplained / variance);
    Ok(vec![
        Some(sums.absolute / rows),
        Some(mean_squared),
        // The logarithm of 1 + x is for values of at least 0.
        (!sums.negative).then_some(sums.squared_log / rows),
        Some(median(&mut sums.absolute_errors)),
        share(mean_squared),
        share(sums.error.squares / rows),
    ])
}

struct ErrorFold;

#[derive(Default)]
struct ErrorSums {
    absolute: f64,
    squared: f64,
    squared_log: f64,
    negative: bool,
    absolute_errors: Vec<f64>,
    label: NumberStats,
    error: NumberStats,
}

impl Fold for ErrorFold {
    type State = ErrorSums;
    type Output = ErrorSums;

    fn init(&self) -> ErrorSums {
        ErrorSums::default()
    }

    fn accumulate(&self, state: &mut ErrorSums, batch: &RecordBatch) -> Result<()> {
        let labels = numbers(batch.column(0))?;
        let errors: Vec<f64> = labels.iter().zip(scores(batch, 1)?).map(|(label, score)| label - score).collect();
        for ((label, score), error) in labels.iter().zip(scores(batch, 1)?).zip(&errors) {
            state.absolute += error.abs();
            state.squared += error * error;
            state.negative |= *label < 0.0 || *score < 0.0;
            state.squared_log += (label.ln_1p() - score.ln_1p()).powi(2);
            state.absolute_errors.push(error.abs());
        }
        state.label.merge(&NumberStats::of(labels.iter().copied()));
        state.error.merge(&NumberStats::of(errors.iter().copied()));
        Ok(())
    }

    fn merge(&self, into: &mut ErrorSums, other: ErrorSums) -> Result<()> {
        into.absolute += other.absolute;
        into.squared += other.squared;
        into.squared_log += other.squared_log;
        into.negative |= other.negative;
        into.absolute_errors.extend(other.absolute_errors);
        into.label.merge(&other.label);
        into.error.merge(&other.error);
        Ok(())
    }

    fn finish(&self, state: ErrorSums) -> Result<ErrorSums> {
        Ok(state)
    }
}
