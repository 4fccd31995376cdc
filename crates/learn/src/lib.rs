//! Estimators as folds over Arrow: preprocessing, linear and logistic regression, boosted trees, metrics.
//!
//! The way of a training: [`TrainSpec::parse`] reads the options, [`split`](split::split) drops rows without a label,
//! puts the rest into canonical order and holds rows out, [`train`](train::train) fits, and the [`Model`] predicts,
//! explains its weights and saves itself as an [`Artifact`].
//!
//! **Architecture invariant:** nothing here knows of SQL, DataFusion, files or async code. Equal rows, options and
//! seed give the same model bit for bit, whatever the order of the rows and the number of threads.

pub mod artifact;
pub mod drift;
pub mod encode;
mod error;
pub mod fold;
pub(crate) mod linear;
pub mod metrics;
pub mod model;
mod observer;
pub mod options;
mod spec;
pub mod split;
mod target;
pub mod train;
pub mod transform;
pub mod trees;
mod value;

pub use artifact::Artifact;
pub use error::{Error, Result};
pub use fold::{Driver, Fold};
pub use model::{Model, PredictOptions, Scores};
pub use observer::{Iteration, NoObserver, TrainingObserver};
pub use spec::{ModelType, TrainSpec, passthrough_columns};
pub use split::Split;
pub use transform::{FittedTransform, TransformCall, TransformFit};
pub use value::OptionValue;
