//! PREDICT: a model applied inside a query plan.
//!
//! A [`PredictNode`] has one input and adds the prediction's columns before the input's. Its features are
//! expressions over the input, so unused columns are pruned, filters on input columns move below it and limits pass
//! through it. [`PredictExec`] keeps its input's partitions, order and statistics, and predicts each partition on
//! its own.

mod codec;
mod exec;
mod node;
mod prune;

pub(crate) use codec::{Decoding, ModelCache, PredictMessage, PredictorMessage};
pub(crate) use exec::{PredictExec, Predictor};
pub(crate) use node::{Outputs, PredictNode};
pub(crate) use prune::PrunePredictions;
