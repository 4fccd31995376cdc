//! `SHOW RUNS` and `DESCRIBE RUN`: how pipelines run and ran, as whoever runs them tells the catalog.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use lakemill_lake::{RunProgress, RunRecord, RunStatement, RunStep};

use super::show::rows_of;
use crate::error::Result;
use crate::outcome::Outcome;
use crate::session::StatementScope;

/// Runs that SHOW RUNS gives unless told otherwise.
const RUNS: u64 = 100;

const RUNNING: &str = "running";

const WAITING: &str = "waiting";

/// What became of a run, a step or a statement whose process died.
const INTERRUPTED: &str = "interrupted";

/// What became of the steps after it.
const NOT_REACHED: &str = "not reached";

/// One row for each run, newest first.
pub(super) async fn list(scope: &StatementScope, pipeline: Option<&str>, limit: Option<u64>) -> Result<Outcome> {
    let limit = usize::try_from(limit.unwrap_or(RUNS)).unwrap_or(usize::MAX);
    let runs = scope.lake().runs(pipeline, limit).await?;
    rows_of(runs_batch(&runs, scope.session().clock().now_ms())?)
}

/// One row for each statement of a run, and one for a step that has run none.
pub(super) async fn describe(scope: &StatementScope, id: &str) -> Result<Outcome> {
    let run = scope.lake().run(id).await?;
    rows_of(run_batch(&run, scope.session().clock().now_ms())?)
}

fn runs_batch(runs: &[RunRecord], now_ms: i64) -> Result<RecordBatch> {
    let text = |of: &dyn Fn(&RunRecord) -> Option<String>| -> ArrayRef {
        Arc::new(runs.iter().map(of).collect::<StringArray>())
    };
    let count = |of: &dyn Fn(&RunRecord) -> u64| -> ArrayRef {
        Arc::new(runs.iter().map(|run| bigint(of(run))).collect::<Int64Array>())
    };
    let time = |of: &dyn Fn(&RunRecord) -> Option<i64>| -> ArrayRef {
        Arc::new(runs.iter().map(of).collect::<TimestampMillisecondArray>().with_timezone("UTC"))
    };
    let status = |run: &RunRecord| match run.status.as_str() {
        RUNNING if !run.is_running(now_ms) => INTERRUPTED.to_owned(),
        status => status.to_owned(),
    };
    let rows = |run: &RunRecord| run.detail.steps.iter().map(|step| step.rows).sum();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("run", text(&|run| Some(run.id.clone())), false),
        ("pipeline", text(&|run| Some(run.pipeline.clone())), false),
        ("status", text(&|run| Some(status(run))), false),
        ("started", time(&|run| Some(run.started_ms)), false),
        ("ended", time(&|run| run.finished_ms), true),
        ("seconds", Arc::new(runs.iter().map(|run| seconds(run, now_ms)).collect::<Float64Array>()), true),
        ("steps", count(&|run| run.detail.steps.len() as u64), false),
        ("steps_done", count(&|run| run.detail.steps.iter().filter(|step| is_done(step)).count() as u64), false),
        ("step", text(&|run| current(run).map(|step| step.title.clone())), true),
        ("rows", count(&rows), false),
        ("error", text(&|run| run.detail.error.clone()), true),
    ])?)
}

/// How long a run took, or has taken so far; that of one that died is not known.
fn seconds(run: &RunRecord, now_ms: i64) -> Option<f64> {
    run.detail.seconds.or_else(|| run.is_running(now_ms).then(|| between(run.started_ms, now_ms)))
}

fn is_done(step: &RunStep) -> bool {
    matches!(step.status.as_str(), "done" | "up to date" | "not selected")
}

/// The step that is under way, or that a run ended at.
fn current(run: &RunRecord) -> Option<&RunStep> {
    run.detail.steps.iter().find(|step| matches!(step.status.as_str(), RUNNING | "failed" | "stopped"))
}

/// A step, its number, and one of its statements if it has any.
type Row<'a> = (usize, &'a RunStep, Option<&'a RunStatement>);

fn run_batch(run: &RunRecord, now_ms: i64) -> Result<RecordBatch> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (index, step) in run.detail.steps.iter().enumerate() {
        match step.statements.is_empty() {
            true => rows.push((index + 1, step, None)),
            false => rows.extend(step.statements.iter().map(|statement| (index + 1, step, Some(statement)))),
        }
    }
    let alive = run.is_running(now_ms);
    let status = |status: &str| match (status, alive) {
        (RUNNING, false) => INTERRUPTED.to_owned(),
        (WAITING, false) => NOT_REACHED.to_owned(),
        (status, _) => status.to_owned(),
    };
    let so_far = |status: &str, started_ms: i64, seconds: Option<f64>| {
        seconds.or_else(|| (status == RUNNING && alive).then(|| between(started_ms, now_ms)))
    };
    let of_step = |of: &dyn Fn(&RunStep) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, step, _)| of(step)).collect::<StringArray>())
    };
    let text = |of: &dyn Fn(&RunStatement) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|(.., statement)| statement.and_then(of)).collect::<StringArray>())
    };
    let number = |of: &dyn Fn(&RunStatement) -> Option<u64>| -> ArrayRef {
        Arc::new(rows.iter().map(|(.., statement)| statement.and_then(of).and_then(bigint)).collect::<Int64Array>())
    };
    let iteration = |of: &dyn Fn((u32, u32)) -> u32| -> ArrayRef {
        let found = rows.iter().map(|(.., statement)| progress(*statement)?.iteration.map(of));
        Arc::new(found.map(|value| value.and_then(|value| i32::try_from(value).ok())).collect::<Int32Array>())
    };
    let float =
        |of: &dyn Fn(&Row<'_>) -> Option<f64>| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<Float64Array>()) };
    let integers = |of: &dyn Fn(&Row<'_>) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| bigint(of(row))).collect::<Int64Array>())
    };
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("number", integers(&|(number, ..)| *number as u64), false),
        ("step", of_step(&|step| Some(step.id.clone())), false),
        ("title", of_step(&|step| Some(step.title.clone())), false),
        ("step_status", of_step(&|step| Some(status(&step.status))), false),
        ("step_seconds", float(&|(_, step, _)| so_far(&step.status, step.started_ms, step.seconds)), true),
        ("step_rows", integers(&|(_, step, _)| step.rows), false),
        ("line", number(&|statement| Some(statement.line)), true),
        ("statement", text(&|statement| Some(statement.label.clone())), true),
        ("reason", text(&|statement| Some(statement.reason.clone())), true),
        ("status", text(&|statement| Some(status(&statement.status))), true),
        ("seconds", float(&|(.., s)| s.and_then(|s| so_far(&s.status, s.started_ms, s.seconds))), true),
        ("rows", number(&|statement| statement.rows), true),
        ("message", text(&|statement| Some(statement.message.clone()).filter(|text| !text.is_empty())), true),
        ("phase", text(&|statement| Some(progress(Some(statement))?.phase.clone())), true),
        ("rows_done", number(&|statement| Some(progress(Some(statement))?.rows_done)), true),
        ("rows_total", number(&|statement| progress(Some(statement))?.rows_total), true),
        ("iteration", iteration(&|(reached, _)| reached), true),
        ("iterations", iteration(&|(_, most)| most), true),
        ("loss", float(&|(.., statement)| progress(*statement)?.loss), true),
    ])?)
}

/// How far a statement is, while it runs.
fn progress(statement: Option<&RunStatement>) -> Option<&RunProgress> {
    statement.filter(|statement| statement.status == RUNNING)?.progress.as_ref()
}

fn bigint(value: u64) -> Option<i64> {
    i64::try_from(value).ok()
}

#[expect(clippy::cast_precision_loss, reason = "less than 2^53 milliseconds")]
fn between(started_ms: i64, now_ms: i64) -> f64 {
    (now_ms - started_ms).max(0) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use arrow::util::pretty::pretty_format_batches;
    use expect_test::expect;
    use lakemill_lake::{RunDetail, RunProgress, RunRecord, RunStatement, RunStep};

    use super::{run_batch, runs_batch};

    fn run() -> RunRecord {
        let training =
            RunProgress { phase: "training".into(), rows_done: 5, iteration: Some((3, 20)), ..Default::default() };
        let statement = RunStatement {
            line: 4,
            label: "CREATE MODEL m".into(),
            status: "running".into(),
            started_ms: 8_000,
            progress: Some(training),
            ..RunStatement::default()
        };
        let step = |id: &str, status: &str, statements| RunStep {
            id: id.into(),
            title: id.to_uppercase(),
            status: status.into(),
            started_ms: 6_000,
            statements,
            ..RunStep::default()
        };
        let steps =
            vec![step("a", "up to date", vec![]), step("b", "running", vec![statement]), step("c", "waiting", vec![])];
        let detail = RunDetail { heard_ms: 10_000, steps, ..RunDetail::default() };
        let (id, pipeline, status) = ("7".into(), "flights".into(), "running".into());
        RunRecord { id, pipeline, started_ms: 5_000, finished_ms: None, status, detail }
    }

    #[test]
    fn a_run_is_shown_as_it_goes_and_after_its_process_has_died() {
        let shown = |now_ms| {
            let runs = runs_batch(&[run()], now_ms).unwrap().project(&[2, 4, 5, 6, 7, 8]).unwrap();
            let steps = run_batch(&run(), now_ms).unwrap().project(&[0, 3, 4, 7, 9, 10, 13, 15, 16, 17]).unwrap();
            format!("{}\n{}", pretty_format_batches(&[runs]).unwrap(), pretty_format_batches(&[steps]).unwrap())
        };
        expect![[r#"
            +---------+-------+---------+-------+------------+------+
            | status  | ended | seconds | steps | steps_done | step |
            +---------+-------+---------+-------+------------+------+
            | running |       | 6.0     | 3     | 1          | B    |
            +---------+-------+---------+-------+------------+------+
            +--------+-------------+--------------+----------------+---------+---------+----------+------------+-----------+------------+
            | number | step_status | step_seconds | statement      | status  | seconds | phase    | rows_total | iteration | iterations |
            +--------+-------------+--------------+----------------+---------+---------+----------+------------+-----------+------------+
            | 1      | up to date  |              |                |         |         |          |            |           |            |
            | 2      | running     | 5.0          | CREATE MODEL m | running | 3.0     | training |            | 3         | 20         |
            | 3      | waiting     |              |                |         |         |          |            |           |            |
            +--------+-------------+--------------+----------------+---------+---------+----------+------------+-----------+------------+"#]].assert_eq(&shown(11_000));
        expect![[r#"
            +-------------+-------+---------+-------+------------+------+
            | status      | ended | seconds | steps | steps_done | step |
            +-------------+-------+---------+-------+------------+------+
            | interrupted |       |         | 3     | 1          | B    |
            +-------------+-------+---------+-------+------------+------+
            +--------+-------------+--------------+----------------+-------------+---------+----------+------------+-----------+------------+
            | number | step_status | step_seconds | statement      | status      | seconds | phase    | rows_total | iteration | iterations |
            +--------+-------------+--------------+----------------+-------------+---------+----------+------------+-----------+------------+
            | 1      | up to date  |              |                |             |         |          |            |           |            |
            | 2      | interrupted |              | CREATE MODEL m | interrupted |         | training |            | 3         | 20         |
            | 3      | not reached |              |                |             |         |          |            |           |            |
            +--------+-------------+--------------+----------------+-------------+---------+----------+------------+-----------+------------+"#]].assert_eq(&shown(100_000));
    }
}
