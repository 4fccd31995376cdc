//! A run's own account of itself in the catalog, where others watch it.
//!
//! It listens to the run's events and is written at most once a second, by a task of its own: the run never waits for
//! it, and a catalog that does not answer costs no more than the account.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lakemill_base::Clock;
use lakemill_lake::{Lake, RunDetail, RunProgress, RunStatement, RunStep};
use tokio::task::JoinSet;

use crate::event::{RunEvent, RunObserver};
use crate::summary::StepSummary;

/// How often what has changed is written.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// After so many turns without a change it is written all the same, so that the run is known to be alive.
const TURNS_SILENT_MAX: u32 = 10;

const RUNNING: &str = "running";

/// Tells an observer what happens, and keeps account of it.
#[derive(Debug)]
pub(super) struct Journal {
    observer: Arc<dyn RunObserver>,
    clock: Arc<dyn Clock>,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    detail: RunDetail,
    changed: bool,
}

impl Journal {
    /// `detail` has the run's steps, none of which has begun.
    pub(super) fn new(observer: Arc<dyn RunObserver>, clock: Arc<dyn Clock>, detail: RunDetail) -> Arc<Self> {
        Arc::new(Self { observer, clock, account: Mutex::new(Account { detail, changed: false }) })
    }

    /// Writes the account of a run to the catalog until what is given back is dropped.
    pub(super) fn write_to(self: &Arc<Self>, lake: &Lake, run: &str) -> JoinSet<()> {
        let (journal, lake, run) = (Arc::clone(self), lake.clone(), run.to_owned());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut silent = 0;
            loop {
                tokio::time::sleep(WRITE_EVERY).await;
                silent += 1;
                let Some(detail) = journal.news(silent >= TURNS_SILENT_MAX) else { continue };
                silent = 0;
                if let Err(error) = lake.report_run(&run, &detail).await {
                    tracing::debug!(%error, "how far the run is could not be recorded");
                }
            }
        });
        task
    }

    /// The account as it stands.
    pub(super) fn detail(&self) -> RunDetail {
        let mut detail = self.account().detail.clone();
        detail.heard_ms = self.clock.now_ms();
        detail
    }

    fn news(&self, wanted: bool) -> Option<RunDetail> {
        let changed = std::mem::take(&mut self.account().changed);
        (changed || wanted).then(|| self.detail())
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunObserver for Journal {
    fn event(&self, event: &RunEvent<'_>) {
        self.account().note(event, self.clock.now_ms());
        self.observer.event(event);
    }
}

impl Account {
    fn note(&mut self, event: &RunEvent<'_>, now_ms: i64) {
        match event {
            RunEvent::StepStarted { id, .. } => self.step(id, |step| {
                RUNNING.clone_into(&mut step.status);
                step.started_ms = now_ms;
            }),
            RunEvent::StatementStarted { step, line, label, reason } => self.step(step, |step| {
                step.statements.push(RunStatement {
                    line: *line,
                    label: (*label).to_owned(),
                    reason: reason.clone(),
                    status: RUNNING.to_owned(),
                    started_ms: now_ms,
                    ..RunStatement::default()
                });
            }),
            RunEvent::Progress { step, progress, .. } => self.step(step, |step| {
                if let Some(statement) = under_way(step) {
                    statement.progress = Some(account_of(progress));
                }
            }),
            RunEvent::StatementFinished { step, summary } => self.step(step, |step| {
                if let Some(statement) = under_way(step) {
                    "done".clone_into(&mut statement.status);
                    statement.seconds = Some(summary.seconds);
                    statement.rows = summary.rows;
                    statement.message.clone_from(&summary.message);
                    statement.progress = None;
                }
                step.rows += summary.rows.unwrap_or_default();
            }),
            RunEvent::StepFinished(summary) => self.step(&summary.id, |step| finish(step, summary, now_ms)),
            RunEvent::Planned(_) | RunEvent::Rows { .. } | RunEvent::Finished(_) => {}
        }
    }

    fn step(&mut self, id: &str, change: impl FnOnce(&mut RunStep)) {
        if let Some(step) = self.detail.steps.iter_mut().find(|step| step.id == id) {
            change(step);
            self.changed = true;
        }
    }
}

/// The statement that runs now. Statements that only set the session up, such as `SET`, leave none.
fn under_way(step: &mut RunStep) -> Option<&mut RunStatement> {
    step.statements.last_mut().filter(|statement| statement.status == RUNNING)
}

fn account_of(progress: &lakemill_query::Progress<'_>) -> RunProgress {
    RunProgress {
        phase: progress.phase.to_owned(),
        rows_done: progress.rows_done,
        rows_total: progress.rows_total,
        iteration: progress.iteration,
        loss: progress.loss,
    }
}

/// What a step has become, its last statement with it where that did not end well.
fn finish(step: &mut RunStep, summary: &StepSummary, now_ms: i64) {
    summary.status.as_str().clone_into(&mut step.status);
    step.rows = summary.rows;
    let status = step.status.clone();
    if let Some(statement) = under_way(step) {
        statement.status = status;
        #[expect(clippy::cast_precision_loss, reason = "a run takes less than 2^53 milliseconds")]
        let seconds = (now_ms - statement.started_ms) as f64 / 1e3;
        statement.seconds = Some(seconds);
    }
    step.seconds = (step.started_ms != 0).then_some(summary.seconds);
}

#[cfg(test)]
mod tests {
    use lakemill_lake::{RunDetail, RunStep};
    use lakemill_query::Progress;

    use super::Account;
    use crate::event::RunEvent;
    use crate::summary::{StatementSummary, StepStatus, StepSummary};

    fn account() -> Account {
        let step = |id: &str| RunStep { id: id.to_owned(), status: "waiting".to_owned(), ..RunStep::default() };
        Account { detail: RunDetail { steps: vec![step("a"), step("b")], ..RunDetail::default() }, changed: false }
    }

    fn summary(id: &str, status: StepStatus, rows: u64) -> StepSummary {
        StepSummary { id: id.to_owned(), title: String::new(), status, rows, seconds: 2.0, statements: Vec::new() }
    }

    #[test]
    fn a_run_is_followed_statement_by_statement() {
        let mut account = account();
        let mut note = |event: RunEvent<'_>, at| account.note(&event, at);
        note(RunEvent::StepStarted { index: 0, of: 2, id: "a", title: "A" }, 1_000);
        note(RunEvent::StatementStarted { step: "a", line: 3, label: "CREATE TABLE t", reason: "new".into() }, 1_100);
        note(RunEvent::Progress { step: "a", label: "CREATE TABLE t", progress: Progress::rows("reading", 7) }, 1_200);
        let done = StatementSummary { rows: Some(9), seconds: 1.5, message: "9 rows".into(), ..Default::default() };
        assert_eq!(account.detail.steps[0].statements[0].progress.as_ref().map(|progress| progress.rows_done), Some(7));
        account.note(&RunEvent::StatementFinished { step: "a", summary: &done }, 2_600);
        // A late word about a statement that has ended changes nothing.
        let late = RunEvent::Progress { step: "a", label: "CREATE TABLE t", progress: Progress::rows("reading", 8) };
        account.note(&late, 2_700);
        account.note(&RunEvent::StepFinished(&summary("a", StepStatus::Ran, 9)), 3_000);
        let step = &account.detail.steps[0];
        assert_eq!((step.status.as_str(), step.rows, step.seconds), ("done", 9, Some(2.0)));
        let statement = &step.statements[0];
        assert_eq!((statement.status.as_str(), statement.rows, &statement.progress), ("done", Some(9), &None));
        assert_eq!(account.detail.steps[1].status, "waiting");
    }

    #[test]
    fn a_statement_that_fails_fails_with_its_step() {
        let mut account = account();
        account.note(&RunEvent::StepStarted { index: 1, of: 2, id: "b", title: "B" }, 1_000);
        let started = RunEvent::StatementStarted { step: "b", line: 1, label: "INSERT t", reason: "forced".into() };
        account.note(&started, 1_000);
        account.note(&RunEvent::StepFinished(&summary("b", StepStatus::Failed, 0)), 3_500);
        let statement = &account.detail.steps[1].statements[0];
        assert_eq!((statement.status.as_str(), statement.seconds), ("failed", Some(2.5)));
        account.note(&RunEvent::StepFinished(&summary("a", StepStatus::NotReached, 0)), 3_500);
        assert_eq!((account.detail.steps[0].status.as_str(), account.detail.steps[0].seconds), ("not reached", None));
    }
}
