//! How a training tells of its progress and hears that it should stop.

use std::ops::ControlFlow;

/// One finished iteration: a step of a solver, or one tree per class.
#[derive(Clone, Debug, PartialEq)]
pub struct Iteration {
    /// Which iteration, from 0.
    pub iteration: u32,
    /// At most so many iterations.
    pub of: u32,
    /// Loss on the training rows.
    pub loss: f64,
    /// Loss on the held-out rows, where there are any.
    pub eval_loss: Option<f64>,
    /// Step length, where the method has one.
    pub learning_rate: Option<f64>,
    /// Time it took.
    pub duration_ms: u64,
}

/// Watches a training.
pub trait TrainingObserver: Sync {
    /// Called after each iteration; `Break` cancels the training.
    fn iteration(&self, iteration: &Iteration) -> ControlFlow<()>;
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl TrainingObserver for NoObserver {
    fn iteration(&self, _: &Iteration) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
