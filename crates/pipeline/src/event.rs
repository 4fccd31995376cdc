//! How a run goes: what a terminal, a log or a server is told of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::plan::Plan;
use crate::state::Preview;
use crate::summary::{RunSummary, StatementSummary, StepSummary};

/// Something that happened in a run.
#[derive(Clone, Debug)]
pub enum RunEvent<'a> {
    /// The run begins with this plan. While it goes on the plan may turn out too cautious: a step whose inputs
    /// come out unchanged is not run.
    Planned(&'a Plan),
    /// A step begins.
    StepStarted {
        /// Its place in the pipeline, from 0.
        index: usize,
        /// How many steps the pipeline has.
        of: usize,
        /// Its id.
        id: &'a str,
        /// Its title.
        title: &'a str,
    },
    /// A statement of the step begins.
    StatementStarted {
        /// The step's id.
        step: &'a str,
        /// Line of the step's file.
        line: u64,
        /// The statement in a few words: `CREATE TABLE flights`.
        label: &'a str,
        /// Why it runs.
        reason: String,
    },
    /// A statement has come this far.
    Progress {
        /// The step's id.
        step: &'a str,
        /// The statement in a few words.
        label: &'a str,
        /// The figures.
        progress: lakemill_query::Progress<'a>,
    },
    /// A query of the step has given rows.
    Rows {
        /// The step's id.
        step: &'a str,
        /// The statement in a few words.
        label: &'a str,
        /// The first rows, and how many there are.
        preview: &'a Preview,
    },
    /// A statement is done and its commit is recorded.
    StatementFinished {
        /// The step's id.
        step: &'a str,
        /// Rows, seconds and figures.
        summary: &'a StatementSummary,
    },
    /// A step is done, was up to date, or failed.
    StepFinished(&'a StepSummary),
    /// The run is over.
    Finished(&'a RunSummary),
}

/// Is told how a run goes.
///
/// [`RunEvent::Progress`] comes often and from several threads: answer quickly.
pub trait RunObserver: Send + Sync + fmt::Debug {
    /// This happened.
    fn event(&self, event: &RunEvent<'_>);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRunObserver;

impl RunObserver for NoRunObserver {
    fn event(&self, _event: &RunEvent<'_>) {}
}

/// Stops a run from outside, such as from a Ctrl-C handler. Clones stop the same run.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A switch that is not yet thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the run. The statement that is running commits nothing, unless it has begun to: then it is finished and
    /// recorded first.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the run should stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
