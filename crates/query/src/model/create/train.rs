//! Split, transform, train: on a blocking thread that the statement watches and can stop.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lakemill_learn::{Driver, Iteration, Model, Split, TrainSpec, TrainingObserver};

use super::read::Rows;
use crate::model::transform::{Transform, TransformPlan};
use crate::observer::{Observer, Progress};
use crate::session::StatementScope;
use crate::{Error, Result};

/// A trained model with what the statement tells of the training.
pub(super) struct Trained {
    pub(super) model: Model,
    pub(super) transform: Option<Transform>,
    pub(super) passthrough: Vec<String>,
    pub(super) rows_train: u64,
    pub(super) rows_eval: u64,
    pub(super) dropped_null_label: u64,
}

/// Trains on a thread of its own. Dropping the future stops the training at its next iteration.
pub(super) async fn run(
    scope: &Arc<StatementScope>,
    spec: TrainSpec,
    transform: Option<TransformPlan>,
    passthrough: Vec<String>,
    rows: Rows,
) -> Result<Trained> {
    let stop = Arc::new(AtomicBool::new(false));
    let _stop_on_drop = StopOnDrop(Arc::clone(&stop));
    let watch = Watch { observer: Arc::clone(scope.observer()), stop };
    let (state, threads) = (scope.state().clone(), scope.session().threads());
    let task = tokio::task::spawn_blocking(move || {
        let driver = Driver::new(threads)?;
        let total = rows.batches.iter().map(|batch| batch.num_rows() as u64).sum();
        watch.phase("splitting", total)?;
        let split = lakemill_learn::split::split(&spec, &rows.batches, &driver)?;
        let (split, transform) = match transform {
            None => (split, None),
            Some(plan) => {
                watch.phase("preprocessing", total)?;
                let fitted = plan.fit(&split.train, &driver, &state)?;
                let features = Split {
                    train: fitted.apply(&split.train, &driver, &state)?,
                    eval: fitted.apply(&split.eval, &driver, &state)?,
                    dropped_null_label: split.dropped_null_label,
                };
                (features, Some(fitted))
            }
        };
        watch.phase("training", total)?;
        let model = lakemill_learn::train::train(&spec, &split, &driver, &watch).map_err(in_words)?;
        let count = |batches: &[arrow::array::RecordBatch]| batches.iter().map(|batch| batch.num_rows() as u64).sum();
        Ok(Trained {
            model,
            transform,
            passthrough,
            rows_train: count(&split.train),
            rows_eval: count(&split.eval),
            dropped_null_label: split.dropped_null_label,
        })
    });
    task.await.map_err(|error| Error::internal(format!("training failed: {error}")))?
}

fn in_words(error: lakemill_learn::Error) -> Error {
    if error.is_cancelled() { Error::cancelled() } else { error.into() }
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Tells the statement's observer of each iteration.
struct Watch {
    observer: Arc<dyn Observer>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.observer.is_cancelled()
    }

    fn phase(&self, phase: &str, rows: u64) -> Result<()> {
        if self.is_stopped() {
            return Err(Error::cancelled());
        }
        self.observer.progress(Progress::rows(phase, rows));
        Ok(())
    }
}

impl TrainingObserver for Watch {
    fn iteration(&self, iteration: &Iteration) -> ControlFlow<()> {
        self.observer.progress(Progress {
            iteration: Some((iteration.iteration + 1, iteration.of)),
            loss: Some(iteration.eval_loss.unwrap_or(iteration.loss)),
            ..Progress::rows("training", 0)
        });
        if self.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
