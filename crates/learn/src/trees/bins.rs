//! Bins: a column's values cut into at most 255 ranges of about equal weight, or its categories.
//!
//! Missing values have a bin of their own, behind the others. The cuts are made from a sample where there are many
//! rows; values are then counted in the bins exactly.

use lakemill_kernels::encode::Thresholds;

use crate::encode::{TreeColumn, TreeValues};
use crate::{Error, Result};

/// Rows that cuts are made from at most. The error of a quantile from so many rows is below 0.1 %.
const SAMPLE_ROWS_MAX: usize = 1 << 18;

/// How a column's values become bin numbers.
#[derive(Clone, Debug)]
pub(super) struct ColumnBins {
    /// Number of bins, without the one for missing values, whose number this is.
    pub(super) count: usize,
    pub(super) cuts: Cuts,
}

#[derive(Clone, Debug)]
pub(super) enum Cuts {
    /// `upper[i]` is the largest value of bin `i`; the last bin has none.
    Numeric { upper: Vec<f64>, thresholds: Thresholds },
    /// The bin of each code; codes that training did not see are missing.
    Categorical { bin_of_code: Vec<u8> },
}

impl ColumnBins {
    pub(super) fn fit(column: &TreeColumn, bins_max: usize) -> Result<Self> {
        match &column.values {
            TreeValues::Numeric(values) => {
                let upper = upper_bounds(&distinct(values), bins_max);
                let thresholds = Thresholds::new(&upper)
                    .ok_or_else(|| Error::internal(format!("the bins of '{}' do not ascend", column.name)))?;
                Ok(Self { count: upper.len() + 1, cuts: Cuts::Numeric { upper, thresholds } })
            }
            TreeValues::Categorical { codes, cardinality } => {
                let mut counts = vec![0u64; *cardinality as usize];
                for code in codes {
                    match counts.get_mut(*code as usize) {
                        Some(count) => *count += 1,
                        None => return Err(code_outside(column, *code, *cardinality)),
                    }
                }
                Ok(Self::of_categories(&counts, bins_max))
            }
        }
    }

    /// Every category has a bin; where there are too many, the rarest share the last one.
    fn of_categories(counts: &[u64], bins_max: usize) -> Self {
        let mut seen: Vec<usize> = (1..counts.len()).filter(|code| counts[*code] > 0).collect();
        let count = seen.len().clamp(1, bins_max);
        if seen.len() > bins_max {
            seen.sort_by_key(|code| (std::cmp::Reverse(counts[*code]), *code));
            seen[..bins_max - 1].sort_unstable();
        }
        // A bin is below 256: `bins_max` is at most 255.
        let mut bin_of_code = vec![count as u8; counts.len().max(1)];
        for (place, code) in seen.into_iter().enumerate() {
            bin_of_code[code] = place.min(count - 1) as u8;
        }
        Self { count, cuts: Cuts::Categorical { bin_of_code } }
    }

    /// The bin of missing values.
    pub(super) fn missing(&self) -> u8 {
        self.count as u8
    }

    /// Bins with the one for missing values.
    pub(super) fn slots(&self) -> usize {
        self.count + 1
    }

    /// Writes the bins of the rows from `start` on.
    pub(super) fn encode(&self, column: &TreeColumn, start: usize, bins: &mut [u8]) -> Result<()> {
        match (&self.cuts, &column.values) {
            (Cuts::Numeric { thresholds, .. }, TreeValues::Numeric(values)) => {
                thresholds.encode(&values[start..start + bins.len()], self.missing(), bins);
                Ok(())
            }
            (Cuts::Categorical { bin_of_code }, TreeValues::Categorical { codes, .. }) => {
                for (bin, code) in bins.iter_mut().zip(&codes[start..]) {
                    // A code that training did not know counts as missing.
                    *bin = bin_of_code.get(*code as usize).copied().unwrap_or(self.missing());
                }
                Ok(())
            }
            _ => Err(Error::column(
                &column.name,
                format!("column '{}' changed between number and category", column.name),
            )),
        }
    }
}

fn code_outside(column: &TreeColumn, code: u32, cardinality: u32) -> Error {
    let message = format!("column '{}' has the category code {code}, which is not below {cardinality}", column.name);
    Error::column(&column.name, message)
}

/// The distinct values with their numbers of rows, ascending, without missing ones.
fn distinct(values: &[f64]) -> Vec<(f64, u64)> {
    let sampled = values.len().min(SAMPLE_ROWS_MAX);
    let mut keys: Vec<u64> = (0..sampled)
        // Rows come in an order that has nothing to do with their values, so every n-th row is a random sample.
        .map(|i| values[(i as u128 * values.len() as u128 / sampled as u128) as usize])
        .filter(|value| !value.is_nan())
        .map(sortable)
        .collect();
    keys.sort_unstable();
    let mut distinct: Vec<(f64, u64)> = Vec::new();
    let mut last = None;
    for key in keys {
        match distinct.last_mut() {
            Some((_, count)) if last == Some(key) => *count += 1,
            _ => distinct.push((from_sortable(key), 1)),
        }
        last = Some(key);
    }
    distinct
}

/// Bits that sort as the numbers do; minus zero is zero.
fn sortable(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn from_sortable(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// Upper bounds of all bins but the last. A value with more rows than a bin should have gets a bin of its own; the
/// other values are spread evenly over the other bins.
fn upper_bounds(distinct: &[(f64, u64)], bins_max: usize) -> Vec<f64> {
    let bound = |i: usize| between(distinct[i].0, distinct[i + 1].0);
    if distinct.len() <= bins_max {
        return (0..distinct.len().saturating_sub(1)).map(bound).collect();
    }
    let rows: u64 = distinct.iter().map(|(_, count)| count).sum();
    let even = rows as f64 / bins_max as f64;
    let is_big = |i: usize| distinct[i].1 as f64 >= even;
    let big = (0..distinct.len()).filter(|i| is_big(*i)).count();
    let mut small_rows: u64 = distinct.iter().map(|(_, count)| *count).filter(|count| (*count as f64) < even).sum();
    let mut small_bins = bins_max.saturating_sub(big).max(1);
    let mut upper = Vec::with_capacity(bins_max - 1);
    let (mut in_bin, mut goal) = (0u64, small_rows as f64 / small_bins as f64);
    for (i, (_, count)) in distinct.iter().enumerate().take(distinct.len() - 1) {
        in_bin += count;
        let next_is_big = is_big(i + 1);
        if is_big(i) || in_bin as f64 >= goal || (next_is_big && in_bin as f64 >= goal * 0.5) {
            upper.push(bound(i));
            if upper.len() == bins_max - 1 {
                break;
            }
            if !is_big(i) {
                small_rows -= in_bin.min(small_rows);
                small_bins = small_bins.saturating_sub(1).max(1);
                goal = small_rows as f64 / small_bins as f64;
            }
            in_bin = 0;
        }
    }
    upper
}

/// A number from `low` up to, but without, `high`: the middle where it can be told from both.
fn between(low: f64, high: f64) -> f64 {
    let middle = low / 2.0 + high / 2.0;
    if middle.is_finite() && middle >= low && middle < high { middle } else { low }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(values: Vec<f64>) -> TreeColumn {
        TreeColumn { name: "x".into(), values: TreeValues::Numeric(values.into()) }
    }

    fn encoded(column: &TreeColumn, bins_max: usize) -> (ColumnBins, Vec<u8>) {
        let bins = ColumnBins::fit(column, bins_max).unwrap();
        let mut out = vec![0; column.rows()];
        bins.encode(column, 0, &mut out).unwrap();
        (bins, out)
    }

    #[test]
    fn few_values_get_a_bin_each() {
        let (bins, encoded) = encoded(&column(vec![3.0, 1.0, f64::NAN, 2.0, -0.0, 0.0]), 255);
        assert_eq!(encoded, [3, 1, 4, 2, 0, 0]);
        assert_eq!((bins.count, bins.missing()), (4, 4));
    }

    #[test]
    fn infinities_are_values() {
        let (_, encoded) = encoded(&column(vec![f64::NEG_INFINITY, f64::MIN, 0.0, f64::MAX, f64::INFINITY]), 255);
        assert_eq!(encoded, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn all_missing_and_no_rows_make_one_bin() {
        assert_eq!(encoded(&column(vec![f64::NAN; 3]), 255).1, [1, 1, 1]);
        assert_eq!(ColumnBins::fit(&column(vec![]), 255).unwrap().count, 1);
    }

    #[test]
    fn rare_categories_share_a_bin() {
        let codes: Vec<u32> = (0..400u32).flat_map(|code| vec![code; if code < 10 { 5 } else { 1 }]).collect();
        let column = TreeColumn {
            name: "c".into(),
            values: TreeValues::Categorical { codes: codes.clone().into(), cardinality: 500 },
        };
        let (bins, encoded) = encoded(&column, 255);
        assert_eq!((bins.count, encoded[0]), (255, 255));
        assert_eq!(encoded[codes.iter().position(|c| *c == 399).unwrap()], 254);
        assert_eq!(encoded[codes.iter().position(|c| *c == 9).unwrap()], 8);
    }

    proptest! {
        #[test]
        fn bins_keep_the_order_and_are_of_like_size(
            values in proptest::collection::vec(-1000i32..1000, 1..2000),
            bins_max in 2usize..=255,
        ) {
            let values: Vec<f64> = values.into_iter().map(|v| f64::from(v) / 7.0).collect();
            let (bins, encoded) = encoded(&column(values.clone()), bins_max);
            prop_assert!(bins.count <= bins_max);
            let mut pairs: Vec<(f64, u8)> = values.into_iter().zip(encoded.iter().copied()).collect();
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            prop_assert!(pairs.windows(2).all(|pair| pair[0].1 <= pair[1].1));
            prop_assert!(encoded.iter().all(|bin| usize::from(*bin) < bins.count));
        }
    }
}
