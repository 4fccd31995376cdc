//! Eight writers on one table at once: as many rows as were acknowledged, whatever conflicts there were.

use std::time::Duration;

use lakemill_base::{ErrorKind, Stopwatch};
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::{Session, SessionOptions};
use lakemill_testkit::Result;
use lakemill_testkit::mode::{FreshLake, Mode};

use crate::workload::one;

const WRITERS: i64 = 8;

/// Each writer has its own lake handle, as another process would.
async fn writer(options: LakeOptions, number: i64, time: Duration) -> Result<(i64, u64)> {
    let session = Session::open(Lake::open(options).await?, SessionOptions::default())?;
    let watch = Stopwatch::start();
    let (mut rows, mut conflicts, mut next) = (0, 0, 0);
    while watch.elapsed() < time {
        let count = 1 + next % 5;
        let insert = format!("INSERT INTO shared SELECT {number}, {next} + value FROM generate_series(1, {count})");
        match session.sql(&insert).await {
            Ok(_) => rows += count,
            Err(error) if error.kind() == ErrorKind::Conflict => conflicts += 1,
            Err(error) => return Err(error.into()),
        }
        next += count;
    }
    Ok((rows, conflicts))
}

#[expect(clippy::print_stdout, reason = "the figures of a run")]
async fn write_at_once(mode: Mode, time: Duration) -> Result<()> {
    let fresh = FreshLake::new(mode)?;
    let session = Session::open(Lake::open(fresh.options.clone()).await?, SessionOptions::default())?;
    session.sql("CREATE TABLE shared (writer BIGINT NOT NULL, value BIGINT NOT NULL)").await?;
    let tasks: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(writer(fresh.options.clone(), number, time))).collect();
    let (mut acknowledged, mut conflicts) = (0, 0);
    for (number, task) in (0..WRITERS).zip(tasks) {
        let (rows, failed) = task.await??;
        let written = one(&session, &format!("SELECT count(*) FROM shared WHERE writer = {number}")).await?;
        assert_eq!(written, rows, "writer {number}: rows written and rows acknowledged");
        assert!(rows > 0, "writer {number} never came through");
        acknowledged += rows;
        conflicts += failed;
    }
    assert_eq!(one(&session, "SELECT count(*) FROM shared").await?, acknowledged);
    assert_eq!(one(&session, "SELECT count(*) FROM (SELECT DISTINCT writer, value FROM shared)").await?, acknowledged);
    println!("{mode}: {acknowledged} rows in {} s, {conflicts} conflicts", time.as_secs());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_for_ten_seconds() -> Result<()> {
    write_at_once(Mode::LOCAL_SQLITE, Duration::from_secs(10)).await
}

mod full {
    use super::{Duration, Mode, Result, write_at_once};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn eight_writers_for_a_minute() -> Result<()> {
        write_at_once(Mode::LOCAL_SQLITE, Duration::from_secs(60)).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn eight_writers_on_s3_for_a_minute() -> Result<()> {
        write_at_once(Mode::S3_POSTGRES, Duration::from_secs(60)).await
    }
}
