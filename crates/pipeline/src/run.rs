//! Running a pipeline: statement by statement, each recorded in the catalog right after its commit.
//!
//! Before a statement runs, the versions of its outputs are recorded with `done: false`; afterwards what it
//! read and wrote. So a run that was killed between a commit and its record is told from one that was killed
//! before the commit.
//!
//! **Architecture invariant:** inputs are fingerprinted before the statement runs. Whoever changes one meanwhile
//! makes the next run repeat the statement; no change is missed.

use std::sync::Arc;

use lakemill_base::{Stopwatch, unknown};
use lakemill_lake::{RunDetail, RunStep};
use lakemill_query::{Observer, Outcome, Progress, Session};

use crate::definition::{Pipeline, Step};
use crate::error::{Error, Result};
use crate::event::{Cancel, RunEvent, RunObserver};
use crate::fingerprint::Fingerprints;
use crate::graph::{Graph, Node};
use crate::plan::{self, Action, Reason};
use crate::report;
use crate::state::{ObjectRecord, Preview, StatementRecord, StepState};
use crate::summary::{RunOutcome, RunSummary, StatementSummary, StepStatus, StepSummary};

mod journal;
mod lock;
mod preview;

use journal::Journal;

/// What to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Runs the selected steps whether or not anything has changed.
    pub force: bool,
    /// Only these steps, by id, number or title; all if empty.
    pub only: Vec<String>,
    /// Only this step and those after it.
    pub from: Option<String>,
}

impl RunOptions {
    /// Whether each step is selected.
    pub(crate) fn selected(&self, pipeline: &Pipeline) -> Result<Vec<bool>> {
        let from = self.from.as_deref().map(|name| find_step(pipeline, name)).transpose()?.unwrap_or_default();
        let mut selected: Vec<bool> = (0..pipeline.steps.len()).map(|index| index >= from).collect();
        if !self.only.is_empty() {
            let mut only = vec![false; selected.len()];
            for name in &self.only {
                only[find_step(pipeline, name)?] = true;
            }
            selected.iter_mut().zip(only).for_each(|(selected, only)| *selected &= only);
        }
        Ok(selected)
    }
}

/// A step by its id, its number (`4` for `04_train`) or its title.
fn find_step(pipeline: &Pipeline, name: &str) -> Result<usize> {
    let number =
        |id: &str| id.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u64>().ok());
    let same_number = |id: &str| name.parse::<u64>().is_ok_and(|wanted| number(id) == Some(wanted));
    let name = name.strip_suffix(".sql").unwrap_or(name);
    let found = pipeline
        .steps
        .iter()
        .position(|step| step.id == name || step.title.eq_ignore_ascii_case(name) || same_number(&step.id));
    found.ok_or_else(|| {
        let message = unknown("step", name, pipeline.steps.iter().map(|step| step.id.as_str()));
        Error::new(lakemill_base::ErrorKind::NotFound, message)
    })
}

impl Pipeline {
    /// Runs what has to be run. Statements that fail or are stopped end the run; the summary says how it ended,
    /// and all that was finished stays finished.
    ///
    /// # Errors
    /// If the run cannot begin: a step that cannot be parsed, an unknown step in `options`, a catalog that does not
    /// answer, or, as a conflict, somebody else who is running the pipeline.
    pub async fn run(
        &self,
        session: &Session,
        options: &RunOptions,
        observer: Arc<dyn RunObserver>,
        cancel: &Cancel,
    ) -> Result<RunSummary> {
        let lock = lock::take(session, &self.name).await?;
        let watch = Stopwatch::start();
        let started_ms = session.clock().now_ms();
        let graph = Graph::of(self, session)?;
        let selected = options.selected(self)?;
        let states = plan::load_states(self, session).await?;
        let mut fingerprints = Fingerprints::new(session, &self.dir);
        let actions = plan::actions(&graph, &states, &mut fingerprints, options.force, &selected).await?;
        let planned = plan::describe(self, &graph, &selected, &actions);
        let journal = Journal::new(observer, Arc::clone(session.clock()), self.detail(options, &selected));
        let observer: Arc<dyn RunObserver> = Arc::<Journal>::clone(&journal);
        observer.event(&RunEvent::Planned(&planned));

        let mut summary = RunSummary {
            pipeline: self.name.clone(),
            run: String::new(),
            started_ms,
            seconds: 0.0,
            outcome: RunOutcome::Finished,
            steps: Vec::new(),
            models: Vec::new(),
        };
        let mut account = None;
        if !planned.is_up_to_date() {
            summary.run = session.lake().start_run(&self.name, &journal.detail()).await?;
            account = Some(journal.write_to(session.lake(), &summary.run));
        }
        let run = summary.run.clone();
        let mut runner =
            Runner { pipeline: self, session, graph, actions, states, fingerprints, observer, cancel, run };
        for (index, selected) in selected.iter().enumerate() {
            let step = if !summary.is_finished() {
                runner.idle_step(index, StepStatus::NotReached)
            } else if !selected {
                runner.idle_step(index, StepStatus::NotSelected)
            } else {
                runner.step(index, &mut summary.outcome).await
            };
            runner.observer.event(&RunEvent::StepFinished(&step));
            summary.steps.push(step);
        }
        summary.models = report::model_metrics(session, &report::models_of(self, &runner.graph)).await?;
        summary.seconds = watch.seconds();
        drop(account);
        if !summary.run.is_empty() {
            let detail = RunDetail { seconds: Some(summary.seconds), error: summary.error(), ..journal.detail() };
            session.lake().finish_run(&summary.run, status_of(&summary.outcome), &detail).await?;
        }
        runner.observer.event(&RunEvent::Finished(&summary));
        if let Some(lock) = lock {
            lock.release().await;
        }
        Ok(summary)
    }
}

impl Pipeline {
    /// A run of which nothing has begun.
    fn detail(&self, options: &RunOptions, selected: &[bool]) -> RunDetail {
        let step = |(step, selected): (&Step, &bool)| RunStep {
            id: step.id.clone(),
            title: step.title.clone(),
            status: if *selected { "waiting" } else { StepStatus::NotSelected.as_str() }.to_owned(),
            ..RunStep::default()
        };
        RunDetail {
            force: options.force,
            only: options.only.clone(),
            from: options.from.clone(),
            process: lock::this_process(),
            steps: self.steps.iter().zip(selected).map(step).collect(),
            ..RunDetail::default()
        }
    }
}

fn status_of(outcome: &RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Finished => "finished",
        RunOutcome::Failed(_) => "failed",
        RunOutcome::Cancelled => "cancelled",
    }
}

struct Runner<'a> {
    pipeline: &'a Pipeline,
    session: &'a Session,
    graph: Graph,
    actions: Vec<Action>,
    states: Vec<StepState>,
    fingerprints: Fingerprints<'a>,
    observer: Arc<dyn RunObserver>,
    cancel: &'a Cancel,
    run: String,
}

/// How a statement ended, if not well.
enum Stop {
    Cancelled,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Runner<'_> {
    fn idle_step(&self, index: usize, status: StepStatus) -> StepSummary {
        let step = &self.pipeline.steps[index];
        let (id, title) = (step.id.clone(), step.title.clone());
        StepSummary { id, title, status, rows: 0, seconds: 0.0, statements: Vec::new() }
    }

    /// Runs what has to be run of a step.
    async fn step(&mut self, index: usize, outcome: &mut RunOutcome) -> StepSummary {
        let nodes: Vec<usize> = self.graph.of_step(index).map(|(at, _)| at).collect();
        let mut summary = self.idle_step(index, StepStatus::UpToDate);
        let watch = Stopwatch::start();
        if nodes.iter().any(|at| self.actions[*at] != Action::UpToDate) {
            let of = self.pipeline.steps.len();
            self.observer.event(&RunEvent::StepStarted { index, of, id: &summary.id, title: &summary.title });
            for at in nodes {
                match self.statement(at, &mut summary).await {
                    Ok(()) => {}
                    Err(Stop::Cancelled) => {
                        summary.status = StepStatus::Cancelled;
                        *outcome = RunOutcome::Cancelled;
                        break;
                    }
                    Err(Stop::Failed(error)) => {
                        summary.status = StepStatus::Failed;
                        *outcome = RunOutcome::Failed(error);
                        break;
                    }
                }
            }
        }
        if !summary.statements.is_empty() && summary.status == StepStatus::UpToDate {
            summary.status = StepStatus::Ran;
        }
        summary.rows = summary.statements.iter().filter_map(|statement| statement.rows).sum();
        summary.seconds = watch.seconds();
        summary
    }

    async fn statement(&mut self, at: usize, step: &mut StepSummary) -> Result<(), Stop> {
        if self.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        if self.graph.nodes[at].is_session() {
            self.execute(at, step).await?;
            return Ok(());
        }
        match self.actions[at].clone() {
            Action::UpToDate => Ok(()),
            Action::Record => Ok(self.record_landed(at).await?),
            Action::Run(reason) => {
                if matches!(reason, Reason::Upstream(_)) && self.is_unchanged(at).await? {
                    return Ok(());
                }
                self.run_recorded(at, &reason, step).await
            }
        }
    }

    /// Whether a statement whose inputs were made anew finds them just as before.
    async fn is_unchanged(&mut self, at: usize) -> Result<bool> {
        let node = &self.graph.nodes[at];
        let Some(record) = self.states[node.step].record(&node.key) else { return Ok(false) };
        for object in &node.reads {
            let now = self.fingerprints.of(object).await?;
            if record.input(object).map(|input| &input.fingerprint) != Some(&now.fingerprint) {
                return Ok(false);
            }
        }
        for object in &node.writes {
            let now = self.fingerprints.of(object).await?;
            if record.output(object).map(|output| &output.fingerprint) != Some(&now.fingerprint) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Completes the record of a statement whose commit was made by a run that was interrupted after it.
    async fn record_landed(&mut self, at: usize) -> Result<()> {
        let node = &self.graph.nodes[at];
        let Some(mut record) = self.states[node.step].record(&node.key).cloned() else { return Ok(()) };
        record.outputs = objects(&mut self.fingerprints, &node.writes).await?;
        record.done = true;
        record.finished_ms = self.session.clock().now_ms();
        "finished by an interrupted run".clone_into(&mut record.message);
        self.save(at, record).await
    }

    async fn run_recorded(&mut self, at: usize, reason: &Reason, step: &mut StepSummary) -> Result<(), Stop> {
        let node = &self.graph.nodes[at];
        let (line, label, reason) = (node.parsed.line, node.label.clone(), reason.to_string());
        let event = RunEvent::StatementStarted { step: &step.id, line, label: &label, reason: reason.clone() };
        self.observer.event(&event);
        let mut record = StatementRecord {
            key: node.key.clone(),
            label: label.clone(),
            inputs: objects(&mut self.fingerprints, &node.reads).await?,
            outputs: objects(&mut self.fingerprints, &node.writes).await?,
            run: self.run.clone(),
            ..StatementRecord::default()
        };
        if !node.writes.is_empty() {
            self.save(at, record.clone()).await?;
        }
        let watch = Stopwatch::start();
        let result = self.execute(at, step).await;
        self.fingerprints.refresh();
        let done = result?;
        record.outputs = objects(&mut self.fingerprints, &self.graph.nodes[at].writes).await?;
        record.done = true;
        record.rows = done.rows;
        record.seconds = watch.seconds();
        record.message = done.message;
        record.details = done.details;
        record.preview = done.preview;
        record.finished_ms = self.session.clock().now_ms();
        let summary = StatementSummary {
            line,
            label,
            reason,
            rows: record.rows,
            seconds: record.seconds,
            message: record.message.clone(),
            details: record.details.clone(),
        };
        self.save(at, record).await?;
        self.observer.event(&RunEvent::StatementFinished { step: &step.id, summary: &summary });
        step.statements.push(summary);
        Ok(())
    }

    /// Executes a statement. A stop ends it through its observer, unless it is about to commit: then it is done, and the
    /// run stops after it.
    async fn execute(&self, at: usize, step: &StepSummary) -> Result<Done, Stop> {
        let node = &self.graph.nodes[at];
        let observer = Arc::new(StatementObserver {
            step: step.id.clone(),
            label: node.label.clone(),
            observer: Arc::clone(&self.observer),
            cancel: self.cancel.clone(),
        });
        let done = match self.outcome(node, observer).await {
            Ok(done) => done,
            // An error that the stop itself caused is no failure.
            Err(_) if self.cancel.is_cancelled() => return Err(Stop::Cancelled),
            Err(error) => return Err(Stop::Failed(self.in_file(node, error))),
        };
        if let Some(preview) = &done.preview {
            self.observer.event(&RunEvent::Rows { step: &step.id, label: &node.label, preview });
        }
        Ok(done)
    }

    async fn outcome(&self, node: &Node, observer: Arc<StatementObserver>) -> lakemill_query::Result<Done> {
        let executed = self.session.execute(&node.parsed, observer).await?;
        match executed.outcome {
            Outcome::Rows(rows) => {
                let title = node.parsed.comment.clone().unwrap_or_default();
                let preview = preview::read(rows, title).await?;
                let message = match preview.rows.len() {
                    1 => "1 row".to_owned(),
                    n if preview.more => format!("more than {n} rows"),
                    n => format!("{n} rows"),
                };
                Ok(Done { rows: None, message, details: Vec::new(), preview: Some(preview) })
            }
            Outcome::Done(done) => {
                Ok(Done { rows: done.rows, message: done.message, details: done.details, preview: None })
            }
        }
    }

    fn in_file(&self, node: &Node, error: lakemill_query::Error) -> Error {
        let step = &self.pipeline.steps[node.step];
        Error::in_file(error, &step.path, &step.text, (node.parsed.line, node.parsed.column))
    }

    /// Keeps a record. The records of statements that are no longer in the file go when all others are done.
    async fn save(&mut self, at: usize, record: StatementRecord) -> Result<()> {
        let index = self.graph.nodes[at].step;
        let keys: Vec<&str> = self.graph.of_step(index).map(|(_, node)| node.key.as_str()).collect();
        let state = &mut self.states[index];
        state.put(record);
        let complete = keys.iter().all(|key| state.record(key).is_some_and(|record| record.done));
        if complete {
            state.retain(&keys);
        }
        let json = serde_json::to_value(&*state)
            .map_err(|error| Error::new(lakemill_base::ErrorKind::Internal, error.to_string()))?;
        self.session.lake().save_step_state(&self.pipeline.name, &self.pipeline.steps[index].id, &json).await?;
        Ok(())
    }
}

async fn objects(
    fingerprints: &mut Fingerprints<'_>,
    names: &[lakemill_query::ObjectRef],
) -> Result<Vec<ObjectRecord>> {
    let mut found = Vec::with_capacity(names.len());
    for object in names {
        found.push(fingerprints.of(object).await?);
    }
    Ok(found)
}

/// What a statement that ended well has done.
struct Done {
    rows: Option<u64>,
    message: String,
    details: Vec<(String, String)>,
    preview: Option<Preview>,
}

/// Hands a statement's progress on to the run's observer.
#[derive(Debug)]
struct StatementObserver {
    step: String,
    label: String,
    observer: Arc<dyn RunObserver>,
    cancel: Cancel,
}

impl Observer for StatementObserver {
    fn progress(&self, progress: Progress<'_>) {
        self.observer.event(&RunEvent::Progress { step: &self.step, label: &self.label, progress });
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
