//! What a crash can leave behind is harmless and is cleaned up.

use std::time::Duration;

use lakemill_lake::{At, TableName, VacuumSpec, WriteMode};

use crate::support::TestLake;

#[tokio::test(flavor = "multi_thread")]
async fn data_without_a_commit_is_never_seen_and_is_vacuumed() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT 1 AS id").await;
    let table = table_folder(&lake);
    std::fs::write(table.join("part-00000-orphan.snappy.parquet"), b"half").unwrap();
    std::fs::write(table.join("_delta_log/_commit_x.json.tmp"), b"half").unwrap();
    assert_eq!(lake.rows("SELECT count(*) AS n FROM t", &["t"]).await, "n\n1");
    let spec = VacuumSpec { retention: Some(Duration::ZERO), dry_run: false };
    let report = lake.lake.vacuum(&TableName::bare("t"), spec).await.unwrap();
    assert_eq!(report.files, ["part-00000-orphan.snappy.parquet"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_checkpoint_is_ignored() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT 1 AS id").await;
    lake.append("t", "SELECT 2 AS id").await.unwrap();
    std::fs::write(table_folder(&lake).join("_delta_log/_last_checkpoint"), b"{\"ver").unwrap();
    let again = lakemill_lake::Lake::open(lake.lake.options().clone()).await.unwrap();
    let again =
        TestLake { context: crate::support::context(&again), lake: again, folder: tempfile::tempdir().unwrap() };
    assert_eq!(again.rows("SELECT count(*) AS n FROM t", &["t"]).await, "n\n2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_name_is_cleaned() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT 1 AS id").await;
    let orphan = lake.folder.path().join("lake/tables/main.u-0197");
    std::fs::create_dir_all(orphan.join("_delta_log")).unwrap();
    let log = orphan.join("_delta_log/00000000000000000000.json");
    std::fs::write(&log, b"{}").unwrap();
    assert!(lake.lake.clean_orphans(VacuumSpec::default()).await.unwrap().is_empty(), "too young");
    let log = std::fs::File::options().write(true).open(log).unwrap();
    let written = log.metadata().unwrap().modified().unwrap();
    log.set_modified(written - Duration::from_secs(25 * 3600)).unwrap();
    let dry_run = VacuumSpec { retention: None, dry_run: true };
    assert_eq!(lake.lake.clean_orphans(dry_run).await.unwrap(), ["tables/main.u-0197"]);
    assert!(orphan.exists(), "a dry run removes nothing");
    assert_eq!(lake.lake.clean_orphans(VacuumSpec::default()).await.unwrap(), ["tables/main.u-0197"]);
    assert!(!orphan.exists());
    assert_eq!(lake.table("t", At::Latest).await.row_count(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_create_leaves_no_name() {
    let lake = TestLake::new().await;
    let mode = WriteMode::Create { or_replace: false, if_not_exists: false, partition_by: Vec::new() };
    let sql = "SELECT CAST(CAST(value AS VARCHAR) || CASE WHEN value > 90 THEN 'x' ELSE '' END AS INT) AS n FROM generate_series(1, 100)";
    assert!(lake.write("t", mode.clone(), sql).await.is_err());
    assert!(lake.lake.find(&TableName::bare("t"), At::Latest).await.unwrap().is_none());
    lake.write("t", mode, "SELECT 1 AS n").await.unwrap().unwrap();
    let sql = format!("INSERT {sql}");
    assert!(sql.len() > 6 && lake.append("t", &sql[7..]).await.is_err());
    assert_eq!(lake.table("t", At::Latest).await.version(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_write_commits_nothing() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT CAST(1 AS BIGINT) AS a, CAST(1 AS BIGINT) AS b").await;
    let sql =
        "SELECT a.value AS a, b.value AS b FROM generate_series(1, 20000) a CROSS JOIN generate_series(1, 20000) b";
    let stopped = tokio::time::timeout(Duration::from_millis(150), lake.append("t", sql)).await;
    assert!(stopped.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(lake.table("t", At::Latest).await.version(), 0);
}

fn table_folder(lake: &TestLake) -> std::path::PathBuf {
    let tables = lake.folder.path().join("lake/tables");
    std::fs::read_dir(tables).unwrap().next().unwrap().unwrap().path()
}
