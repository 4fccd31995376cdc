//! Arrow Flight SQL as its clients have it: ADBC's driver from Python, against a server of its own.
//!
//! What a client sees is checked in `tests/python/flight_client.py`; here, that what it did is in the lake.

use lakemill_lake::Lake;
use lakemill_query::{Session, SessionOptions};
use lakemill_testkit::mode::{FreshLake, Mode};
use lakemill_testkit::servers::Lakemill;
use lakemill_testkit::{Result, format, process};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adbc_queries_writes_and_is_told_what_is_wrong() -> Result<()> {
    let fresh = FreshLake::new(Mode::LOCAL_SQLITE)?;
    let session = Session::open(Lake::open(fresh.options.clone()).await?, SessionOptions::default())?;
    session.sql("CREATE TABLE seen AS SELECT value AS id, 'row ' || value AS text FROM generate_series(1, 5)").await?;
    session.sql("CREATE VIEW few AS SELECT id FROM seen WHERE id < 3").await?;
    let server = Lakemill::serve(&fresh.scratch.path().join("lake").display().to_string(), &[])?;
    let uri = format!("grpc://{}", server.address("flight")?);
    let passed = process::python("tests/python/flight_client.py", &[&uri], &[])?;
    assert!(passed.lines().count() >= 12, "{passed}");
    let rows = |sql: &'static str| {
        let session = session.clone();
        async move { Ok::<_, lakemill_testkit::Error>(format::rows(&session.sql(sql).await?)?.concat()) }
    };
    assert_eq!(rows("SELECT count(*), min(id), max(id) FROM sent").await?, ["100010", "0", "100009"]);
    assert_eq!(rows("SELECT * FROM replaced").await?, ["7"]);
    assert_eq!(rows("SELECT string_agg(text, ',' ORDER BY id) FROM changed").await?, ["one,TWO,three,four"]);
    Ok(())
}
