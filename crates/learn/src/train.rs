//! Fits the model that a specification asks for.

use crate::{Driver, Model, Result, Split, TrainSpec, TrainingObserver};

/// Fits a model; its held-out metrics are computed on `split.eval`.
///
/// # Errors
/// The data cannot be learned from, or the observer cancelled the training.
pub fn train(_spec: &TrainSpec, _split: &Split, _driver: &Driver, _observer: &dyn TrainingObserver) -> Result<Model> {
    todo!()
}
