//! `ML.STANDARD_SCALER(x) OVER ()`: `(x - mean) / deviation`, the deviation being the population's.

use super::scale::{Scale, plain_scaler};

plain_scaler!("ML.STANDARD_SCALER", stats => Scale::new(stats.mean, spread(&stats)));

/// A deviation of mere rounding is none.
fn spread(stats: &crate::encode::stats::NumberStats) -> f64 {
    if stats.min == stats.max { 0.0 } else { stats.deviation() }
}
