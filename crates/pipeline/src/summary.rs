//! How a run went, for the last lines in a terminal and for the report.

use crate::error::Error;

/// How a run went.
#[derive(Debug)]
pub struct RunSummary {
    /// The pipeline's name.
    pub pipeline: String,
    /// The run's id in the catalog; empty if nothing was to be done.
    pub run: String,
    /// When it began, in milliseconds since the epoch.
    pub started_ms: i64,
    /// How long it took.
    pub seconds: f64,
    /// How it ended.
    pub outcome: RunOutcome,
    /// The steps in order.
    pub steps: Vec<StepSummary>,
    /// The models that the pipeline trains, with the metrics of their held-out rows.
    pub models: Vec<ModelMetrics>,
}

/// How a run ended.
#[derive(Debug)]
pub enum RunOutcome {
    /// All that was to be done is done.
    Finished,
    /// A statement failed; what was done before it is kept.
    Failed(Error),
    /// It was stopped; what was done before is kept.
    Cancelled,
}

/// The metrics of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelMetrics {
    /// The model's name.
    pub model: String,
    /// The version.
    pub version: u64,
    /// Such as `LOGISTIC_REG`.
    pub model_type: String,
    /// Metric and value.
    pub metrics: Vec<(String, f64)>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepStatus {
    /// Some or all of its statements ran.
    Ran,
    /// Nothing had changed.
    UpToDate,
    /// It was not among the steps asked for.
    NotSelected,
    /// A statement failed.
    Failed,
    /// It was stopped.
    Cancelled,
    /// The run ended before it.
    NotReached,
}

impl StepStatus {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ran => "done",
            Self::UpToDate => "up to date",
            Self::NotSelected => "not selected",
            Self::Failed => "failed",
            Self::Cancelled => "stopped",
            Self::NotReached => "not reached",
        }
    }
}

/// How a step went.
#[derive(Clone, Debug, PartialEq)]
pub struct StepSummary {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What became of it.
    pub status: StepStatus,
    /// Rows that its statements wrote in this run.
    pub rows: u64,
    /// How long it took in this run.
    pub seconds: f64,
    /// The statements that ran.
    pub statements: Vec<StatementSummary>,
}

/// How a statement went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementSummary {
    /// Line of the step's file.
    pub line: u64,
    /// It in a few words.
    pub label: String,
    /// Why it ran.
    pub reason: String,
    /// Rows written.
    pub rows: Option<u64>,
    /// How long it took.
    pub seconds: f64,
    /// What it did, in one line.
    pub message: String,
    /// Further figures.
    pub details: Vec<(String, String)>,
}

impl RunSummary {
    /// Whether all that was to be done is done.
    pub fn is_finished(&self) -> bool {
        matches!(self.outcome, RunOutcome::Finished)
    }

    /// Whether nothing had to be done.
    pub fn is_up_to_date(&self) -> bool {
        self.is_finished()
            && self.steps.iter().all(|step| matches!(step.status, StepStatus::UpToDate | StepStatus::NotSelected))
    }

    /// Why it failed, if it did.
    pub fn error(&self) -> Option<String> {
        match &self.outcome {
            RunOutcome::Failed(error) => Some(error.to_string()),
            RunOutcome::Finished | RunOutcome::Cancelled => None,
        }
    }

    /// Rows that the run wrote.
    pub fn rows(&self) -> u64 {
        self.steps.iter().map(|step| step.rows).sum()
    }
}
