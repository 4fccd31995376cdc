//! Pipelines: folders of SQL steps that run when, and only when, something they depend on has changed.
//!
//! A [`Pipeline`] is loaded from a folder ([`Pipeline::load`]). [`Pipeline::plan`] says what would run and why,
//! [`Pipeline::run`] runs it and tells a [`RunObserver`] how it goes, [`report::write`] draws the HTML report.
//! What a run has finished is kept in the lake's catalog, statement by statement, right after each commit.
//!
//! Not here: how a statement is executed (`query`), how events are shown in a terminal (the binary).
//!
//! **Architecture invariant:** a statement is skipped only if its text, the versions of all it reads, the
//! versions of all it wrote and the state format are those of its record. Nothing else decides.

mod definition;
mod error;
mod event;
mod fingerprint;
mod graph;
mod normalize;
mod plan;
pub mod report;
mod run;
mod state;
mod summary;

pub use definition::{ChartKind, ChartSpec, Pipeline, ReportSpec, Step};
pub use error::{Error, Result};
pub use event::{Cancel, NoRunObserver, RunEvent, RunObserver};
pub use plan::{Action, Plan, PlannedStatement, PlannedStep, Reason};
pub use run::RunOptions;
pub use state::{Preview, Quality};
pub use summary::{ModelMetrics, RunOutcome, RunSummary, StatementSummary, StepStatus, StepSummary};
