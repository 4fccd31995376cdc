//! Progress and cancellation: the figures of a running plan, told to the statement's observer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use futures::Stream;
use lakemill_lake::CommitMark;
use parking_lot::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::error::{Error, Result};
use crate::model;
use crate::observer::{Observer, Progress};
use crate::session::StatementScope;

/// How often an observer is told and asked; a person feels 100 ms as at once.
const TICK: Duration = Duration::from_millis(100);

/// Sees the physical plans of a statement, whoever makes and runs them.
#[derive(Clone, Debug, Default)]
pub(super) struct PlanProbe(Arc<Mutex<Vec<Arc<dyn ExecutionPlan>>>>);

impl PlanProbe {
    /// A probe that sees one plan.
    pub(super) fn of(plan: Arc<dyn ExecutionPlan>) -> Self {
        Self(Arc::new(Mutex::new(vec![plan])))
    }

    /// A state whose plans the new probe sees, for plans that `lake` makes and runs.
    pub(super) fn attach(state: SessionState) -> (SessionState, Self) {
        let probe = Self::default();
        let rule = Arc::new(ProbeRule(probe.clone()));
        (SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rule(rule).build(), probe)
    }

    /// Rows that have left the leaves of the plans, and how many there will be by the statistics.
    fn rows_read(&self) -> (u64, Option<u64>) {
        let (mut done, mut total) = (0, Some(0));
        for plan in self.0.lock().iter() {
            add_leaves(plan, &mut done, &mut total);
        }
        (done, total.filter(|total| *total > 0).map(|total: u64| total.max(done)))
    }

    fn report(&self, observer: &dyn Observer, phase: &str) {
        if let Some((rows_done, rows_total, tokens)) = self.0.lock().iter().find_map(model::tokens_of) {
            observer.progress(Progress { rows_total, tokens: Some(tokens), ..Progress::rows("generating", rows_done) });
            return;
        }
        let (rows_done, rows_total) = self.rows_read();
        observer.progress(Progress { rows_total, ..Progress::rows(phase, rows_done) });
    }
}

fn add_leaves(plan: &Arc<dyn ExecutionPlan>, done: &mut u64, total: &mut Option<u64>) {
    let children = plan.children();
    if !children.is_empty() {
        children.into_iter().for_each(|child| add_leaves(child, done, total));
        return;
    }
    let rows = plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or(0);
    *done += rows as u64;
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::default());
    let expected = statistics.ok().and_then(|statistics| statistics.num_rows.get_value().map(|rows| *rows as u64));
    *total = total.zip(expected).map(|(total, expected)| total + expected);
}

/// Keeps each plan as the last rule leaves it, and changes nothing.
#[derive(Debug)]
struct ProbeRule(PlanProbe);

impl PhysicalOptimizerRule for ProbeRule {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.0.0.lock().push(Arc::clone(&plan));
        Ok(plan)
    }

    fn name(&self) -> &'static str {
        "observe"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Awaits `work`, telling the observer what `probe` sees.
pub(super) async fn watched<T>(
    scope: &StatementScope,
    probe: &PlanProbe,
    phase: &str,
    work: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    let mut ticks = ticks();
    let mut work = Box::pin(work);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            _ = ticks.tick() => probe.report(scope.observer().as_ref(), phase),
        }
    }
}

/// Awaits `work`; drops it, and with it all it has begun, when the observer cancels before it begins to commit.
/// From then on it is awaited: what a commit under way comes to is known by its end alone.
///
/// The observer is asked at every poll. Ticks bring polls about, and so may the caller, which needs no thread of the
/// runtime for it: a query may keep all of them busy.
pub(super) async fn stoppable<T>(observer: &dyn Observer, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let mark = CommitMark::default();
    let mut ticks = ticks();
    let mut work = Box::pin(mark.during(work));
    poll_fn(|context| {
        if observer.is_cancelled() && !mark.is_set() {
            return Poll::Ready(Err(Error::cancelled()));
        }
        while ticks.poll_tick(context).is_ready() {}
        work.as_mut().poll(context)
    })
    .await
}

fn ticks() -> Interval {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A stream that tells and asks the observer while it is polled.
pub(super) fn observed(
    rows: SendableRecordBatchStream,
    probe: PlanProbe,
    observer: Arc<dyn Observer>,
) -> SendableRecordBatchStream {
    Box::pin(Observed { rows, probe, observer, ticks: ticks() })
}

struct Observed {
    rows: SendableRecordBatchStream,
    probe: PlanProbe,
    observer: Arc<dyn Observer>,
    ticks: Interval,
}

impl Stream for Observed {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.observer.is_cancelled() {
            return Poll::Ready(Some(Err(DataFusionError::External(Box::new(Error::cancelled())))));
        }
        while self.ticks.poll_tick(context).is_ready() {
            self.probe.report(self.observer.as_ref(), "reading");
        }
        self.rows.as_mut().poll_next(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl RecordBatchStream for Observed {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}
