//! kill -9 at random instants: every table opens at a committed version with the right rows, and the next run
//! finishes. Ctrl-C is the gentle form of the same.
//!
//! The instants come from a seed (`CRASH_SEED`), so that a failure can be tried again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lakemill_base::{SplitMix64, Stopwatch};
use lakemill_testkit::Result;

use crate::workload::{Workload, one};

/// Rows that one INSERT of the loop adds under a new positive `batch`.
const INSERT_ROWS: i64 = 100;
/// Rows that one MERGE of the loop adds under `-batch`, besides those that it changes.
const MERGE_ROWS: i64 = 10;
/// Rounds of the loop in one process, more than any lives through.
const ROUNDS: i64 = 60;

fn random() -> SplitMix64 {
    let seed = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_130_101);
    SplitMix64::new(seed)
}

/// Waits a random part of `most`, then kills the process as the machine's death would.
fn kill_within(child: &mut Child, most: Duration, random: &mut SplitMix64) -> Result<()> {
    std::thread::park_timeout(most.mul_f64(random.next_f64()));
    child.kill()?;
    child.wait()?;
    Ok(())
}

async fn kill_runs(kills: usize) -> Result<()> {
    let workload = Workload::new()?;
    let mut random = random();
    workload.finish_run()?;
    workload.check_pipeline(true).await?;
    let watch = Stopwatch::start();
    workload.start_run()?.wait()?;
    let whole = watch.elapsed();
    for kill in 0..kills {
        let mut child = workload.start_run()?;
        kill_within(&mut child, whole, &mut random)?;
        let context = |error| format!("after kill {kill} of {kills}: {error}");
        workload.check_pipeline(false).await.map_err(context)?;
        workload.finish_run().map_err(context)?;
        workload.check_pipeline(true).await.map_err(context)?;
    }
    Ok(())
}

async fn kill_changes(kills: usize) -> Result<()> {
    let workload = Workload::new()?;
    let mut random = random();
    let session = workload.session().await?;
    session.sql("CREATE TABLE ledger (id BIGINT NOT NULL, batch BIGINT NOT NULL, amount BIGINT)").await?;
    drop(session);
    let mut rows_before = 0;
    for kill in 0..kills {
        let next = one(&workload.session().await?, "SELECT coalesce(max(abs(batch)), 0) + 1 FROM ledger").await?;
        std::fs::write(workload.path("loop.sql"), changes(next))?;
        let mut command = workload.lakemill(&["sql", "--format", "csv", "-f", "loop.sql"])?;
        let mut child = command.stderr(Stdio::null()).spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let answered =
            std::thread::spawn(move || BufReader::new(stdout).lines().map_while(std::result::Result::ok).last());
        kill_within(&mut child, Duration::from_millis(1500), &mut random)?;
        // The last batch that the process had said was committed.
        let said = answered.join().map_err(|_| "the reader of the output panicked")?;
        let said: i64 = said.and_then(|line| line.trim().parse().ok()).unwrap_or(0);
        rows_before =
            check_ledger(&workload, said, rows_before).await.map_err(|error| format!("after kill {kill}: {error}"))?;
    }
    if rows_before == 0 { Err("no change was ever committed: the loop is killed too early".into()) } else { Ok(()) }
}

fn changes(first: i64) -> String {
    (first..first + ROUNDS)
        .map(|batch| {
            let id = batch * 1000;
            format!(
                "INSERT INTO ledger SELECT {id} + value, {batch}, value FROM generate_series(1, {INSERT_ROWS});
                 SELECT max(batch) AS committed FROM ledger;
                 MERGE INTO ledger USING (SELECT {id} + value AS id FROM generate_series(91, {INSERT_ROWS} + {MERGE_ROWS})) AS s
                   ON ledger.id = s.id WHEN MATCHED THEN UPDATE SET amount = amount + 1
                   WHEN NOT MATCHED THEN INSERT (id, batch, amount) VALUES (s.id, -{batch}, 0);
                 {}\n",
                if batch % 5 == 0 { "OPTIMIZE ledger;" } else { "" }
            )
        })
        .collect()
}

/// Whole batches only, nothing lost that was answered for, nothing lost that was there before, no row twice.
async fn check_ledger(workload: &Workload, said: i64, rows_before: i64) -> Result<i64> {
    let session = workload.session().await?;
    let torn = format!(
        "SELECT count(*) FROM (SELECT batch, count(*) AS n FROM ledger GROUP BY batch)
         WHERE n <> CASE WHEN batch > 0 THEN {INSERT_ROWS} ELSE {MERGE_ROWS} END"
    );
    let checks =
        [("torn batches", torn.as_str(), 0), ("rows twice", "SELECT count(*) - count(DISTINCT id) FROM ledger", 0)];
    for (what, sql, expected) in checks {
        let found = one(&session, sql).await?;
        if found != expected {
            return Err(format!("{found} {what}").into());
        }
    }
    let newest = one(&session, "SELECT coalesce(max(batch), 0) FROM ledger").await?;
    if newest < said {
        return Err(format!("batch {said} was answered for, and the newest is {newest}").into());
    }
    let rows = one(&session, "SELECT count(*) FROM ledger").await?;
    if rows < rows_before { Err(format!("{rows_before} rows became {rows}").into()) } else { Ok(rows) }
}

#[tokio::test]
async fn a_killed_run_leaves_committed_tables() -> Result<()> {
    kill_runs(8).await
}

#[tokio::test]
async fn killed_changes_leave_whole_commits() -> Result<()> {
    kill_changes(12).await
}

#[tokio::test]
async fn ctrl_c_stops_a_run_between_commits() -> Result<()> {
    let workload = Workload::new()?;
    let mut child = workload.start_run()?;
    std::thread::park_timeout(Duration::from_millis(150));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    let status = child.wait()?;
    assert!(matches!(status.code(), Some(130 | 0)), "ctrl-c ended the run with {status}");
    workload.check_pipeline(false).await?;
    workload.finish_run()?;
    workload.check_pipeline(true).await
}

mod full {
    use super::{Result, kill_changes, kill_runs};

    #[tokio::test]
    async fn two_hundred_kills_of_a_run() -> Result<()> {
        kill_runs(200).await
    }

    #[tokio::test]
    async fn two_hundred_kills_of_changes() -> Result<()> {
        kill_changes(200).await
    }
}
