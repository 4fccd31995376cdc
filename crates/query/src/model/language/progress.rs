//! How far the language models of a plan are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use lakemill_base::Stopwatch;
use parking_lot::Mutex;

use super::exec::LanguageExec;
use crate::observer::TokenProgress;

/// The counts of one operator, over all its partitions.
#[derive(Debug, Default)]
pub(super) struct Counts {
    rows_done: AtomicU64,
    prefilled: AtomicU64,
    reused: AtomicU64,
    generated: AtomicU64,
    since: Mutex<Option<Stopwatch>>,
}

/// Tokens of a batch so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tokens {
    pub(super) prefilled: u64,
    pub(super) reused: u64,
    pub(super) generated: u64,
}

impl Counts {
    /// Starts the clock, where it stands still.
    pub(super) fn start(&self) {
        self.since.lock().get_or_insert_with(Stopwatch::start);
    }

    /// Rows that have their answers.
    pub(super) fn rows(&self, rows: u64) {
        self.rows_done.fetch_add(rows, Ordering::Relaxed);
    }

    /// Tokens since the last call.
    pub(super) fn tokens(&self, tokens: Tokens) {
        self.prefilled.fetch_add(tokens.prefilled, Ordering::Relaxed);
        self.reused.fetch_add(tokens.reused, Ordering::Relaxed);
        self.generated.fetch_add(tokens.generated, Ordering::Relaxed);
    }

    fn progress(&self, rows_total: Option<u64>) -> Option<(u64, Option<u64>, TokenProgress)> {
        let seconds = self.since.lock().as_ref()?.seconds();
        let rows_done = self.rows_done.load(Ordering::Relaxed);
        let rows_total = rows_total.map(|total| total.max(rows_done));
        let generated = self.generated.load(Ordering::Relaxed);
        let left = rows_total.filter(|_| rows_done > 0).map(|total| (total - rows_done) as f64 / rows_done as f64);
        let tokens = TokenProgress {
            prefilled: self.prefilled.load(Ordering::Relaxed),
            reused: self.reused.load(Ordering::Relaxed),
            generated,
            generated_per_s: if seconds > 0.0 { generated as f64 / seconds } else { 0.0 },
            seconds_left: left.map(|left| left * seconds),
        };
        Some((rows_done, rows_total, tokens))
    }
}

/// Rows done and to do, and tokens, of the uppermost language model of a plan that is at work.
pub(crate) fn tokens_of(plan: &Arc<dyn ExecutionPlan>) -> Option<(u64, Option<u64>, TokenProgress)> {
    if let Some(exec) = plan.downcast_ref::<LanguageExec>() {
        let statistics = StatisticsContext::new().compute(exec.input().as_ref(), &StatisticsArgs::default());
        let total = statistics.ok().and_then(|statistics| statistics.num_rows.get_value().map(|rows| *rows as u64));
        if let Some(progress) = exec.counts().progress(total) {
            return Some(progress);
        }
    }
    plan.children().into_iter().find_map(tokens_of)
}
