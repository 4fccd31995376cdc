//! Many writers at once lose nothing; true conflicts say so.

use lakemill_base::ErrorKind;
use lakemill_lake::{At, Lake, LakeOptions, OptimizeSpec, TableName, WriteMode};

use crate::support::{TestLake, context};

const WRITERS: usize = 8;
const APPENDS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_lose_no_row() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT CAST(0 AS BIGINT) AS writer, CAST(0 AS BIGINT) AS n").await;
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        // Each its own lake object, as a process of its own would have.
        let location = lake.lake.options().location.clone();
        tasks.spawn(async move {
            let lake = Lake::open(LakeOptions::new(location)).await.unwrap();
            let context = context(&lake);
            let mut acknowledged = 0;
            for n in 0..APPENDS {
                let sql = format!("SELECT CAST({writer} AS BIGINT) AS writer, CAST({n} AS BIGINT) AS n");
                let plan = context.state().create_logical_plan(&sql).await.unwrap();
                let done = lake.write(&TableName::bare("t"), WriteMode::Append, plan, &context.state()).await;
                acknowledged += done.unwrap().unwrap().rows;
            }
            acknowledged
        });
    }
    let acknowledged: u64 = tasks.join_all().await.into_iter().sum();
    assert_eq!(acknowledged, (WRITERS * APPENDS) as u64);
    let rows = lake.rows("SELECT count(*) AS n, count(DISTINCT writer * 1000 + n) AS d FROM t", &["t"]).await;
    assert_eq!(rows, format!("n d\n{} {}", acknowledged + 1, WRITERS * APPENDS));
    assert_eq!(lake.table("t", At::Latest).await.version(), (WRITERS * APPENDS) as u64);
    let log = lake.lake.history(&TableName::bare("t"), None).await.unwrap();
    assert_eq!(log.num_rows(), WRITERS * APPENDS + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_true_conflict_names_table_and_versions() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT 1 AS id").await;
    lake.append("t", "SELECT 2 AS id").await.unwrap();
    let session = lake.context.state();
    let name = TableName::bare("t");
    let (one, two) = (lake.expr("t", "id = 1").await, lake.expr("t", "id >= 1").await);
    let (first, second) =
        tokio::join!(lake.lake.delete(&name, Some(one), &session), lake.lake.delete(&name, Some(two), &session));
    let (done, failed) = if first.is_ok() { (first, second) } else { (second, first) };
    assert_eq!(done.unwrap().version, 2);
    if let Err(error) = failed {
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let text = error.to_string();
        assert!(
            text.starts_with("table t was changed meanwhile: this statement read version 1, and another writer committed version 2 (DELETE)"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_go_on_while_files_are_compacted() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT 0 AS id").await;
    for id in 1..5 {
        lake.append("t", &format!("SELECT {id} AS id")).await.unwrap();
    }
    let session = lake.context.state();
    let name = TableName::bare("t");
    let optimize = lake.lake.optimize(&name, OptimizeSpec::default(), &session);
    let append = lake.append("t", "SELECT 5 AS id");
    let (optimized, appended) = tokio::join!(optimize, append);
    optimized.unwrap();
    appended.unwrap();
    assert_eq!(lake.rows("SELECT count(*) AS n, sum(id) AS s FROM t", &["t"]).await, "n s\n6 15");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_written_and_read() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT 0 AS id").await;
    for id in 1..=21 {
        lake.append("t", &format!("SELECT {id} AS id")).await.unwrap();
    }
    let tables = lake.folder.path().join("lake/tables");
    let table = std::fs::read_dir(tables).unwrap().next().unwrap().unwrap().path();
    assert!(table.join("_delta_log/00000000000000000020.checkpoint.parquet").exists());
    let again = Lake::open(LakeOptions::new(lake.lake.options().location.clone())).await.unwrap();
    let reopened = TestLake { context: context(&again), lake: again, folder: tempfile::tempdir().unwrap() };
    assert_eq!(reopened.rows("SELECT count(*) AS n, sum(id) AS s FROM t", &["t"]).await, "n s\n22 231");
    assert_eq!(reopened.rows("SELECT id FROM t WHERE id = 7", &["t"]).await, "id\n7");
}
