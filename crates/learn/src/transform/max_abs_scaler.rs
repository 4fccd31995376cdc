//! `ML.MAX_ABS_SCALER(x) OVER ()`: `x / max |x|`, cut to -1 and 1 outside of the training rows' range.

use super::scale::{Scale, plain_scaler};

plain_scaler!("ML.MAX_ABS_SCALER", stats => Scale::within(0.0, stats.max.abs().max(stats.min.abs()), -1.0, 1.0));
