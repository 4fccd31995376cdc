//! How columns are distributed, and how far two relations are apart in that.
//!
//! Numbers are compared by the Jensen-Shannon divergence over intervals, categories by the largest difference between
//! two shares (L-infinity) or by the divergence too. Each is 0 for equal distributions and 1 for two that have nothing in
//! common. J. Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37 (1991).
//!
//! - [`Distribution`]: one column's; a fold by itself, so that a plan may take parts of it anywhere.
//! - [`Profile`]: those of a model's features over its training rows.
//!
//! **Architecture invariant:** a distribution does not depend on how its rows were cut or ordered: it is made of counts.

mod distribution;
mod profile;

pub use distribution::Distribution;
pub use profile::{ComparedColumn, Profile, compared_columns};

use crate::{Error, Result};

/// How two distributions are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// For numbers and categories.
    JensenShannonDivergence,
    /// For categories.
    LInfinity,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::JensenShannonDivergence, Self::LInfinity];

    /// As SQL writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JensenShannonDivergence => "JENSEN_SHANNON_DIVERGENCE",
            Self::LInfinity => "L_INFTY",
        }
    }
}

/// How far `study` is from `base`, from 0 to 1. `None` where one of them has no rows, or more categories than are kept.
///
/// # Errors
/// One is of numbers and the other of categories; a metric that is not for numbers.
pub fn deviation(base: &Distribution, study: &Distribution, metric: Metric) -> Result<Option<f64>> {
    let shares = match (base, study) {
        (Distribution::Numbers(base), Distribution::Numbers(study)) => {
            if metric != Metric::JensenShannonDivergence {
                return Err(Error::invalid(format!("numbers are not compared by {}", metric.as_str())));
            }
            let (base, study) = distribution::over_intervals(base, study);
            shares(&base).zip(shares(&study))
        }
        (Distribution::Categories(base), Distribution::Categories(study)) => {
            let both = distribution::over_categories(base, study);
            both.and_then(|(base, study)| shares(&base).zip(shares(&study)))
        }
        _ => return Err(Error::invalid("numbers and categories are not compared with each other")),
    };
    Ok(shares.map(|(p, q)| match metric {
        Metric::JensenShannonDivergence => jensen_shannon(&p, &q),
        Metric::LInfinity => p.iter().zip(&q).map(|(p, q)| (p - q).abs()).fold(0.0, f64::max),
    }))
}

/// Counts as shares of their sum; `None` if that is 0.
fn shares(counts: &[u64]) -> Option<Vec<f64>> {
    let sum = counts.iter().sum::<u64>();
    (sum > 0).then(|| counts.iter().map(|count| *count as f64 / sum as f64).collect())
}

/// To base 2, so that it is at most 1.
fn jensen_shannon(p: &[f64], q: &[f64]) -> f64 {
    let from_mean = |a: f64, b: f64| if a == 0.0 { 0.0 } else { a * (2.0 * a / (a + b)).log2() };
    let sum: f64 = p.iter().zip(q).map(|(p, q)| from_mean(*p, *q) + from_mean(*q, *p)).sum();
    (0.5 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};

    use super::{Distribution, Metric, deviation, jensen_shannon, shares};

    fn of(arrays: &[ArrayRef]) -> Distribution {
        let mut whole = Distribution::of_type(arrays[0].data_type()).unwrap();
        for array in arrays {
            whole.add(array).unwrap();
        }
        whole
    }

    fn numbers(values: impl Iterator<Item = f64>) -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(values))
    }

    #[test]
    fn the_divergence_has_its_known_values() {
        assert_eq!(jensen_shannon(&[0.5, 0.5], &[0.5, 0.5]), 0.0);
        assert_eq!(jensen_shannon(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
        // The square of scipy.spatial.distance.jensenshannon([0.1, 0.9], [0.4, 0.6], base=2).
        assert!((jensen_shannon(&[0.1, 0.9], &[0.4, 0.6]) - 0.091_305_030_4).abs() < 1e-9);
        assert_eq!(shares(&[0, 0]), None);
    }

    #[test]
    fn numbers_are_compared_over_intervals_of_equal_shares() {
        let base = of(&[numbers((0..1000).map(f64::from))]);
        let js = |study: &Distribution| deviation(&base, study, Metric::JensenShannonDivergence).unwrap().unwrap();
        assert_eq!(js(&base), 0.0);
        assert_eq!(js(&of(&[numbers((0..500).flat_map(|n| [f64::from(2 * n), f64::from(2 * n + 1)]))])), 0.0);
        // What lies outside has nothing in common with what is within.
        assert_eq!(js(&of(&[numbers((5000..6000).map(f64::from))])), 1.0);
        assert_eq!(js(&of(&[numbers((1..1000).map(|n| f64::from(-n)))])), 1.0);
        // Half of the rows in one tenth: known from ten shares of 0.1 and one of 0.55, nine of 0.05.
        let half = (0..1000).map(|n| if n % 2 == 0 { f64::from(n) } else { 950.0 });
        let q: Vec<f64> = (0..10).map(|i| if i == 9 { 0.55 } else { 0.05 }).collect();
        assert!((js(&of(&[numbers(half)])) - jensen_shannon(&[0.1; 10], &q)).abs() < 2e-3);
        // Years differ by little of themselves, and still are told apart.
        let year = |from: i32| of(&[numbers((0..600).map(move |n| f64::from(from + n % 6)))]);
        assert!(deviation(&year(2010), &year(2014), Metric::JensenShannonDivergence).unwrap().unwrap() > 0.5);
    }

    #[test]
    fn a_column_that_turns_null_is_seen() {
        let base = of(&[numbers((0..100).map(f64::from))]);
        let null = of(&[Arc::new(Float64Array::from(vec![None, Some(f64::NAN), None]))]);
        assert_eq!(deviation(&base, &null, Metric::JensenShannonDivergence).unwrap(), Some(1.0));
        let text = |values: Vec<Option<&str>>| of(&[Arc::new(StringArray::from(values)) as ArrayRef]);
        let (base, study) = (text(vec![Some("a"), Some("b")]), text(vec![Some("a"), None, None, None]));
        assert_eq!(deviation(&base, &study, Metric::LInfinity).unwrap(), Some(0.75));
        assert_eq!(deviation(&base, &text(vec![]), Metric::LInfinity).unwrap(), None);
        assert!(deviation(&base, &null, Metric::LInfinity).is_err());
    }

    #[test]
    fn a_distribution_does_not_depend_on_how_rows_are_cut_nor_on_their_order() {
        let values: Vec<f64> = (0..20_000).map(|n| f64::from(n * 7919 % 20_011).powi(3) - 1e9).collect();
        let whole = of(&[numbers(values.iter().copied())]);
        let mut merged = Distribution::of_type(&arrow::datatypes::DataType::Float64).unwrap();
        for part in values.rchunks(777) {
            merged.merge(&of(&[numbers(part.iter().copied())])).unwrap();
        }
        assert_eq!(merged, whole);
        assert_eq!(Distribution::from_json(&whole.to_json()).unwrap(), whole);
        let names = |range: std::ops::Range<u32>| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(range.map(|n| n.to_string())))
        };
        let (many, half) = (of(&[names(0..30_000)]), names(0..15_000));
        assert_eq!(of(&[half, names(15_000..30_000)]), many);
        assert_eq!(deviation(&many, &many, Metric::LInfinity).unwrap(), None);
        assert_eq!(Distribution::from_json(&many.to_json()).unwrap(), many);
    }
}
