//! What differs between catalogs in SQLite and on a server: the lock of a pipeline's runs, which must not outlive its
//! holder, and what errors say of the place.

use std::time::Duration;

use lakemill_lake::{Lake, RunDetail};
use lakemill_testkit::Result;
use lakemill_testkit::mode::{FreshLake, Mode};

async fn one_at_a_time(mode: Mode) -> Result<()> {
    let fresh = FreshLake::new(mode)?;
    // Two handles, as two processes would have.
    let (first, second) = (Lake::open(fresh.options.clone()).await?, Lake::open(fresh.options.clone()).await?);
    let lock = first.lock_run("p").await?.ok_or("a free lock was refused")?;
    let dead = first.start_run("p", &RunDetail::default()).await?;
    assert!(second.lock_run("p").await?.is_none(), "{mode}: somebody else has it");
    second.lock_run("q").await?.ok_or("another pipeline's lock was refused")?.release().await;

    lock.release().await;
    let lock = second.lock_run("p").await?.ok_or("a lock that was given back was refused")?;
    let newest = second.runs(Some("p"), 1).await?;
    let run = newest.first().ok_or("the run is not recorded")?;
    assert_eq!((&run.id, run.status.as_str()), (&dead, "interrupted"), "{mode}: a run that never ended is closed");

    // As when the holder dies: nobody releases it.
    drop(lock);
    for _ in 0..100 {
        if first.lock_run("p").await?.is_some() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{mode}: the lock of a dead holder is still there after five seconds").into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_run_at_a_time_in_sqlite() -> Result<()> {
    one_at_a_time(Mode::LOCAL_SQLITE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_run_at_a_time_in_postgres() -> Result<()> {
    one_at_a_time(Mode::LOCAL_POSTGRES).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_named_without_its_password() -> Result<()> {
    let fresh = FreshLake::new(Mode::LOCAL_POSTGRES)?;
    let mut options = fresh.options.clone();
    let server = options.catalog.take().ok_or("no server")?;
    Lake::open(options.clone()).await?;
    // The lake is there, and its catalog on the server is not yet.
    options.catalog = Some(server.replacen('@', ":secret@", 1));
    options.read_only = true;
    let error = Lake::open(options).await.err().ok_or("an empty catalog was opened to read")?.to_string();
    assert!(error.starts_with("the catalog 'postgres") && error.contains("must be set up"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    Ok(())
}
