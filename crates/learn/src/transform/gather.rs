//! Folds that several functions share: statistics of numbers, all numbers for exact quantiles, counts of categories.

use arrow::array::RecordBatch;

use crate::encode::numbers::numbers;
use crate::encode::stats::{CategoryStats, NumberStats};
use crate::{Driver, Error, Fold, Result};

/// The statistics of the first column.
pub(super) fn number_stats(function: &str, columns: &[RecordBatch], driver: &Driver) -> Result<NumberStats> {
    let stats = driver.fold(&StatsFold, columns)?;
    if stats.count == 0 {
        return Err(Error::data(format!("{function} needs a value; its column is NULL in all {} rows", stats.nulls)));
    }
    if stats.infinite > 0 {
        let text = format!(
            "{function} needs finite numbers; its column holds {} infinite ones, replace them by NULL or a limit",
            stats.infinite
        );
        return Err(Error::data(text));
    }
    Ok(stats)
}

struct StatsFold;

impl Fold for StatsFold {
    type State = NumberStats;
    type Output = NumberStats;

    fn init(&self) -> NumberStats {
        NumberStats::default()
    }

    fn accumulate(&self, state: &mut NumberStats, batch: &RecordBatch) -> Result<()> {
        state.merge(&NumberStats::of(numbers(batch.column(0))?.iter().copied()));
        Ok(())
    }

    fn merge(&self, into: &mut NumberStats, other: NumberStats) -> Result<()> {
        into.merge(&other);
        Ok(())
    }

    fn finish(&self, state: NumberStats) -> Result<NumberStats> {
        Ok(state)
    }
}

/// The numbers of the first column in rising order, without NULLs: quantiles of them are exact, at eight bytes a row.
pub(super) fn sorted_numbers(function: &str, columns: &[RecordBatch], driver: &Driver) -> Result<Vec<f64>> {
    number_stats(function, columns, driver)?;
    let mut values = driver.fold(&GatherFold, columns)?;
    driver
        .pool()
        .install(|| rayon::slice::ParallelSliceMut::par_sort_unstable_by(values.as_mut_slice(), f64::total_cmp));
    Ok(values)
}

struct GatherFold;

impl Fold for GatherFold {
    type State = Vec<f64>;
    type Output = Vec<f64>;

    fn init(&self) -> Vec<f64> {
        Vec::new()
    }

    fn accumulate(&self, state: &mut Vec<f64>, batch: &RecordBatch) -> Result<()> {
        state.extend(numbers(batch.column(0))?.iter().copied().filter(|value| !value.is_nan()));
        Ok(())
    }

    fn merge(&self, into: &mut Vec<f64>, other: Vec<f64>) -> Result<()> {
        into.extend(other);
        Ok(())
    }

    fn finish(&self, state: Vec<f64>) -> Result<Vec<f64>> {
        Ok(state)
    }
}

/// The quantile `q` of sorted numbers, interpolated linearly between neighbours (NumPy's default).
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + part * (sorted[high] - sorted[low])
}

/// How often each category of the first column occurs.
pub(super) fn category_stats(columns: &[RecordBatch], driver: &Driver) -> Result<CategoryStats> {
    driver.fold(&CategoryFold, columns)
}

struct CategoryFold;

impl Fold for CategoryFold {
    type State = CategoryStats;
    type Output = CategoryStats;

    fn init(&self) -> CategoryStats {
        CategoryStats::default()
    }

    fn accumulate(&self, state: &mut CategoryStats, batch: &RecordBatch) -> Result<()> {
        state.add(batch.column(0))
    }

    fn merge(&self, into: &mut CategoryStats, other: CategoryStats) -> Result<()> {
        into.merge(other);
        Ok(())
    }

    fn finish(&self, state: CategoryStats) -> Result<CategoryStats> {
        Ok(state)
    }
}
