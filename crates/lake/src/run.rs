//! What the catalog keeps of a pipeline's run, while it goes on and after it has ended.
//!
//! Whoever runs the pipeline writes it, others watch. It is one JSON document for each run, and fields that an older
//! version did not write have their defaults.

use serde::{Deserialize, Serialize};

/// A run that has not been heard of for so long is taken for dead: it tells of itself every few seconds.
const SILENCE_MS_MAX: i64 = 60_000;

/// One run of a pipeline.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The run's id.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// When it began, in milliseconds since the epoch.
    pub started_ms: i64,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// `running`, or what `finish_run` was told.
    pub status: String,
    /// How far it is, or how it went.
    pub detail: RunDetail,
}

impl RunRecord {
    /// Whether the run goes on, as far as can be told at `now_ms`: a process that was killed says nothing any more.
    pub fn is_running(&self, now_ms: i64) -> bool {
        self.finished_ms.is_none() && now_ms - self.started_ms.max(self.detail.heard_ms) <= SILENCE_MS_MAX
    }
}

/// How far a run is, or how it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunDetail {
    /// Whether steps run that are up to date.
    pub force: bool,
    /// The steps that were asked for; all if empty.
    pub only: Vec<String>,
    /// The first step that was asked for.
    pub from: Option<String>,
    /// Who runs it.
    pub process: RunProcess,
    /// When this was written, in milliseconds since the epoch.
    pub heard_ms: i64,
    /// How long it took, once it has ended.
    pub seconds: Option<f64>,
    /// Why it failed.
    pub error: Option<String>,
    /// The pipeline's steps in order.
    pub steps: Vec<RunStep>,
}

/// The process that runs a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunProcess {
    /// Its number on its host; 0 if not known.
    pub id: u32,
    /// The host's name.
    pub host: Option<String>,
}

/// A step of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunStep {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// `waiting`, `running`, or what became of it.
    pub status: String,
    /// When it began, in milliseconds since the epoch; 0 if it has not.
    pub started_ms: i64,
    /// How long it took, once it has ended.
    pub seconds: Option<f64>,
    /// Rows that its statements have written.
    pub rows: u64,
    /// The statements that have run or run now.
    pub statements: Vec<RunStatement>,
}

/// A statement of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunStatement {
    /// Line of the step's file.
    pub line: u64,
    /// It in a few words: `CREATE TABLE flights`.
    pub label: String,
    /// Why it runs.
    pub reason: String,
    /// `running`, or what became of it.
    pub status: String,
    /// When it began, in milliseconds since the epoch.
    pub started_ms: i64,
    /// How long it took, once it has ended.
    pub seconds: Option<f64>,
    /// Rows written.
    pub rows: Option<u64>,
    /// What it did, in one line.
    pub message: String,
    /// How far it is, of one that runs.
    pub progress: Option<RunProgress>,
}

/// How far a statement is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunProgress {
    /// `reading`, `writing`, `training` ..
    pub phase: String,
    /// Rows done in this phase.
    pub rows_done: u64,
    /// About how many there are, if something is known of it.
    pub rows_total: Option<u64>,
    /// The iteration reached and the most there can be, in training.
    pub iteration: Option<(u32, u32)>,
    /// The loss after that iteration.
    pub loss: Option<f64>,
}
