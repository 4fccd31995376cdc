//! `ML.MIN_MAX_SCALER(x) OVER ()`: `(x - min) / (max - min)`, cut to 0 and 1 outside of the training rows' range.

use super::scale::{Scale, plain_scaler};

plain_scaler!("ML.MIN_MAX_SCALER", stats => Scale::within(stats.min, stats.max - stats.min, 0.0, 1.0));
