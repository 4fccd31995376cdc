//! Tables: writing, reading, changing, time travel.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::col;
use datafusion::physical_plan::displayable;
use lakemill_base::ErrorKind;
use lakemill_lake::{At, MergeClause, MergeSpec, OptimizeSpec, TableDefinition, TableName, VacuumSpec, WriteMode};

use crate::support::TestLake;

const PLANES: &str = "SELECT * FROM (VALUES (1, 'a', 1.5), (2, 'b', NULL), (3, NULL, 2.5)) AS v(id, name, weight)";

fn name(table: &str) -> TableName {
    TableName::bare(table)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_filled_and_read() {
    let lake = TestLake::new().await;
    let commit = lake.create("planes", PLANES).await;
    assert_eq!((commit.version, commit.rows), (0, 3));
    let commit = lake.append("planes", "SELECT 4 AS id, 'd' AS name").await.unwrap();
    assert_eq!((commit.version, commit.rows), (1, 1));
    let rows = lake.rows("SELECT * FROM planes ORDER BY id", &["planes"]).await;
    assert_eq!(rows, "id name weight\n1 a 1.5\n2 b\n3  2.5\n4 d");
    let table = lake.table("planes", At::Latest).await;
    assert_eq!((table.row_count(), table.version(), table.file_count()), (Some(4), 1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_is_read_by_number_and_time() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT 1 AS id").await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let between = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    lake.append("t", "SELECT 2 AS id").await.unwrap();
    assert_eq!(lake.table("t", At::Version(0)).await.row_count(), Some(1));
    assert_eq!(lake.table("t", At::TimestampMs(between)).await.version(), 0);
    assert_eq!(lake.table("t", At::TimestampMs(between + 1_000_000)).await.version(), 1);
    let error = lake.lake.resolve(&name("t"), At::Version(7)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "cannot open table t: there is no version 7; versions 0 to 1 are available");
    let error = lake.lake.resolve(&name("t"), At::TimestampMs(0)).await.unwrap_err();
    assert!(error.to_string().contains("there is no version at or before 1970-01-01T00:00:00Z; times from"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_gets_a_suggestion() {
    let lake = TestLake::new().await;
    lake.create("flights", "SELECT 1 AS id").await;
    let error = lake.lake.resolve(&name("flihgts"), At::Latest).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::NotFound, "there is no table flihgts; did you mean flights?")
    );
    let error = lake.lake.resolve(&TableName::new("mian", "x"), At::Latest).await.unwrap_err();
    assert_eq!(error.to_string(), "unknown namespace 'mian'; did you mean 'main'?");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_leaves_no_file() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT value AS id FROM generate_series(1, 10)").await;
    let session = lake.context.state();
    lake.lake.add_check(&name("t"), "small", "id < 2000000", &session).await.unwrap();
    let files = lake.files();
    // Enough rows for two writers, and the last ones break the rule.
    lake.append("t", "SELECT value AS id FROM generate_series(1, 2000000)").await.unwrap_err();
    assert_eq!(lake.files(), files);
    lake.append("t", "SELECT value AS id FROM generate_series(1, 1999999)").await.unwrap();
    assert!(lake.files() > files);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_enforced_on_every_write() {
    let lake = TestLake::new().await;
    let schema =
        Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("Delay", DataType::Int32, true)]);
    let definition = TableDefinition {
        schema: Arc::new(schema),
        checks: vec![("early".into(), "\"Delay\" > -60".into())],
        partition_by: Vec::new(),
        comment: Some("delays".into()),
    };
    let session = lake.context.state();
    lake.lake.create_table(&name("t"), &definition, false, false, &session).await.unwrap().unwrap();
    lake.append("t", "SELECT 1 AS id, 5 AS \"Delay\" UNION ALL SELECT 2, NULL").await.unwrap();
    let error = lake.append("t", "SELECT 3 AS id, -99 AS \"Delay\"").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(error.to_string(), "a new row breaks CHECK 'early' (\"Delay\" > -60) of table t: id = 3, Delay = -99");
    let error = lake.append("t", "SELECT CAST(NULL AS BIGINT) AS id").await.unwrap_err();
    assert_eq!(error.to_string(), "column 'id' of table t is NOT NULL, and 1 of the new rows have no value for it");
    let error = lake.append("t", "SELECT 1 AS id, 3 AS dealy").await.unwrap_err();
    assert!(error.to_string().starts_with("table t: unknown column 'dealy'"), "{error}");
    let error = lake.append("t", "SELECT 'x' AS id").await.unwrap_err();
    assert!(error.to_string().starts_with("column 'id' of table t: Cannot cast string 'x'"), "{error}");
    let set = vec![("Delay".to_owned(), lake.expr("t", "-100").await)];
    let error = lake.lake.update(&name("t"), set, None, &session).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Data | ErrorKind::Invalid), "{error}");
    let table = lake.table("t", At::Latest).await;
    assert_eq!((table.version(), table.row_count(), table.comment().as_deref()), (1, Some(2), Some("delays")));
    let error = lake.lake.add_check(&name("t"), "late", "\"Delay\" > 10", &session).await.unwrap_err();
    assert_eq!(error.to_string(), "table t holds a row that breaks CHECK 'late' (\"Delay\" > 10): id = 1, Delay = 5");
    lake.lake.add_check(&name("t"), "late", "\"Delay\" < 10", &session).await.unwrap();
    assert!(lake.append("t", "SELECT 4 AS id, 11 AS \"Delay\"").await.is_err());
    lake.lake.drop_check(&name("t"), "late", false).await.unwrap();
    lake.append("t", "SELECT 4 AS id, 11 AS \"Delay\"").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn create_or_replace_is_one_version() {
    let lake = TestLake::new().await;
    lake.create("t", PLANES).await;
    lake.lake.add_check(&name("t"), "c", "id > 0", &lake.context.state()).await.unwrap();
    let mode = WriteMode::Create { or_replace: true, if_not_exists: false, partition_by: vec!["day".into()] };
    let commit = lake.write("t", mode, "SELECT DATE '2013-01-01' AS day, 7 AS n").await.unwrap().unwrap();
    assert_eq!(commit.version, 2);
    assert_eq!(lake.rows("SELECT * FROM t", &["t"]).await, "day n\n2013-01-01 7");
    assert_eq!(lake.table("t", At::Version(0)).await.row_count(), Some(3));
    assert!(lake.table("t", At::Latest).await.checks().is_empty());
    let mode = WriteMode::Create { or_replace: false, if_not_exists: true, partition_by: Vec::new() };
    assert!(lake.write("t", mode.clone(), PLANES).await.unwrap().is_none());
    let mode = WriteMode::Create { or_replace: false, if_not_exists: false, partition_by: Vec::new() };
    let error = lake.write("t", mode, PLANES).await.unwrap_err();
    assert_eq!(error.to_string(), "table t already exists; use CREATE OR REPLACE or IF NOT EXISTS");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_deleted_and_updated() {
    let lake = TestLake::new().await;
    let session = lake.context.state();
    lake.create("t", "SELECT value AS id, value % 3 AS g, 'x' AS s FROM generate_series(1, 9)").await;
    let commit = lake.lake.delete(&name("t"), Some(lake.expr("t", "g = 0").await), &session).await.unwrap();
    assert_eq!((commit.version, commit.rows), (1, 3));
    let set = vec![("s".to_owned(), lake.expr("t", "concat(s, 'y')").await)];
    let commit = lake.lake.update(&name("t"), set, Some(lake.expr("t", "id > 6").await), &session).await.unwrap();
    assert_eq!((commit.version, commit.rows), (2, 2));
    let rows = lake.rows("SELECT id, s FROM t ORDER BY id", &["t"]).await;
    assert_eq!(rows, "id s\n1 x\n2 x\n4 x\n5 x\n7 xy\n8 xy");
    let commit = lake.lake.delete(&name("t"), Some(lake.expr("t", "id > 100").await), &session).await.unwrap();
    assert_eq!((commit.version, commit.rows), (2, 0));
    let commit = lake.lake.delete(&name("t"), None, &session).await.unwrap();
    assert_eq!((commit.version, commit.rows), (3, 6));
    assert_eq!(lake.table("t", At::Latest).await.row_count(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_may_hold_a_subquery() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT value AS id, 0 AS n FROM generate_series(1, 6)").await;
    lake.create("bad", "SELECT 2 AS id UNION ALL SELECT 5").await;
    let plan = lake.plan_over("SELECT * FROM t WHERE id IN (SELECT id FROM bad)", &["t", "bad"]).await;
    let predicate = filter_of(&plan);
    let session = lake.context.state();
    let set = vec![("n".to_owned(), lake.expr("t", "id * 10").await)];
    let commit = lake.lake.update(&name("t"), set, Some(predicate.clone()), &session).await.unwrap();
    assert_eq!((commit.version, commit.rows), (1, 2));
    assert_eq!(lake.rows("SELECT sum(n) AS s, count(*) AS c FROM t", &["t"]).await, "s c\n70 6");
    let commit = lake.lake.delete(&name("t"), Some(predicate), &session).await.unwrap();
    assert_eq!((commit.version, commit.rows), (2, 2));
    assert_eq!(lake.rows("SELECT sum(id) AS s FROM t", &["t"]).await, "s\n14");
}

fn filter_of(plan: &datafusion::logical_expr::LogicalPlan) -> datafusion::logical_expr::Expr {
    use datafusion::logical_expr::LogicalPlan;
    match plan {
        LogicalPlan::Filter(filter) => filter.predicate.clone(),
        other => filter_of(other.inputs()[0]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_takes_all_clauses() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c'), (9, 'z')) AS v(id, s)").await;
    let source = lake.plan("SELECT * FROM (VALUES (1, 'A'), (2, NULL), (4, 'D')) AS v(id, s)").await;
    let spec = MergeSpec {
        target_alias: "t".into(),
        source_alias: "n".into(),
        source,
        on: col("t.id").eq(col("n.id")),
        clauses: vec![
            MergeClause::MatchedDelete { predicate: Some(col("n.s").is_null()) },
            MergeClause::MatchedUpdate { predicate: None, set: vec![("s".into(), col("n.s"))] },
            MergeClause::NotMatchedInsert {
                predicate: None,
                values: vec![("id".into(), col("n.id")), ("s".into(), col("n.s"))],
            },
            MergeClause::NotMatchedBySourceDelete { predicate: Some(col("t.id").gt(datafusion::prelude::lit(5_i64))) },
        ],
    };
    let metrics = lake.lake.merge(&name("t"), spec, &lake.context.state()).await.unwrap();
    assert_eq!((metrics.version, metrics.inserted, metrics.updated, metrics.deleted), (1, 1, 1, 2));
    assert_eq!(lake.rows("SELECT * FROM t ORDER BY id", &["t"]).await, "id s\n1 A\n3 c\n4 D");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_prune_files_and_are_exact() {
    let lake = TestLake::new().await;
    let mode = WriteMode::Create { or_replace: false, if_not_exists: false, partition_by: vec!["g".into()] };
    lake.write(
        "t",
        mode,
        "SELECT value % 4 AS g, value AS id, CAST(value AS VARCHAR) AS s FROM generate_series(1, 40)",
    )
    .await
    .unwrap();
    lake.register("t", At::Latest).await;
    let frame = lake.context.sql("SELECT s, g FROM t WHERE g = 2 ORDER BY id LIMIT 2").await.unwrap();
    let plan = displayable(frame.clone().create_physical_plan().await.unwrap().as_ref()).indent(false).to_string();
    assert!(plan.contains("g=2") && !plan.contains("g=1/"), "{plan}");
    assert!(!plan.contains("FilterExec"), "{plan}");
    assert_eq!(lake.rows("SELECT s, g FROM t WHERE g = 2 ORDER BY id LIMIT 2", &["t"]).await, "s g\n2 2\n6 2");
    let replace = WriteMode::ReplaceWhere(lake.expr("t", "g = 1").await);
    let commit = lake
        .write("t", replace, "SELECT CAST(1 AS BIGINT) AS g, CAST(100 AS BIGINT) AS id, 'new' AS s")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((commit.version, commit.rows), (1, 1));
    assert_eq!(lake.rows("SELECT count(*) AS n, max(id) AS m FROM t", &["t"]).await, "n m\n31 100");
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_answer_and_are_right() {
    let lake = TestLake::new().await;
    lake.create(
        "t",
        "SELECT value AS id, CAST(value AS DOUBLE) AS x, DATE '2013-01-01' AS d FROM generate_series(1, 1000)",
    )
    .await;
    lake.append("t", "SELECT -5 AS id, CAST('NaN' AS DOUBLE) AS x").await.unwrap();
    lake.register("t", At::Latest).await;
    let frame = lake.context.sql("SELECT count(*), min(id), max(id) FROM t").await.unwrap();
    let plan = displayable(frame.create_physical_plan().await.unwrap().as_ref()).indent(false).to_string();
    assert!(plan.contains("PlaceholderRowExec"), "answered from the log: {plan}");
    let rows = lake
        .rows(
            "SELECT count(*) AS n, min(id) AS a, max(id) AS b, min(d) AS d, max(x) AS x, count(d) AS e FROM t",
            &["t"],
        )
        .await;
    assert_eq!(rows, "n a b d x e\n1001 -5 1000 2013-01-01 NaN 1000");
    let frame = lake.context.sql("SELECT * FROM t WHERE id < 0").await.unwrap();
    let plan = displayable(frame.create_physical_plan().await.unwrap().as_ref()).indent(false).to_string();
    assert_eq!(plan.matches(".parquet").count(), 1, "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_added_and_renamed() {
    let lake = TestLake::new().await;
    lake.create("t", PLANES).await;
    let session = lake.context.state();
    lake.lake.add_columns(&name("t"), vec![Field::new("seats", DataType::Int32, true)]).await.unwrap();
    assert_eq!(lake.rows("SELECT id, seats FROM t WHERE id = 1", &["t"]).await, "id seats\n1");
    let error = lake.lake.add_columns(&name("t"), vec![Field::new("ID", DataType::Int32, true)]).await.unwrap_err();
    assert_eq!(error.to_string(), "table t already has a column 'ID'");
    let commit = lake.lake.rename_column(&name("t"), "weight", "mass", &session).await.unwrap();
    assert_eq!(commit.version, 2);
    assert_eq!(lake.rows("SELECT mass FROM t WHERE id = 1", &["t"]).await, "mass\n1.5");
    let error = lake.lake.rename_column(&name("t"), "wieght", "x", &session).await.unwrap_err();
    assert!(error.to_string().starts_with("table t: unknown column 'wieght'"), "{error}");
    assert_eq!(lake.rows("SELECT count(*) AS n FROM t", &["t"]).await, "n\n3");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_compacted_vacuumed_and_restored() {
    let lake = TestLake::new().await;
    let session = lake.context.state();
    lake.create("t", "SELECT 0 AS id").await;
    for id in 1..6 {
        lake.append("t", &format!("SELECT {id} AS id")).await.unwrap();
    }
    let metrics = lake.lake.optimize(&name("t"), OptimizeSpec::default(), &session).await.unwrap();
    assert_eq!((metrics.version, metrics.files_removed, metrics.files_added), (6, 6, 1));
    let spec = VacuumSpec { retention: Some(std::time::Duration::ZERO), dry_run: true };
    assert_eq!(lake.lake.vacuum(&name("t"), spec).await.unwrap().files.len(), 6);
    let commit = lake.lake.restore(&name("t"), At::Version(2)).await.unwrap();
    assert_eq!(lake.rows("SELECT sum(id) AS s FROM t", &["t"]).await, "s\n3");
    let spec = VacuumSpec { retention: Some(std::time::Duration::ZERO), dry_run: false };
    let report = lake.lake.vacuum(&name("t"), spec).await.unwrap();
    assert_eq!(report.files.len(), 4, "{report:?}");
    assert_eq!(lake.rows("SELECT sum(id) AS s FROM t", &["t"]).await, "s\n3");
    let history = lake.lake.history(&name("t"), Some(3)).await.unwrap();
    assert!(history.num_rows() == 3 && commit.version == 7, "{history:?}");
    let spec = OptimizeSpec { zorder: vec!["idd".into()], target_bytes: None };
    let error = lake.lake.optimize(&name("t"), spec, &session).await.unwrap_err();
    assert_eq!(error.to_string(), "table t: unknown column 'idd'; did you mean 'id'?");
    lake.lake
        .optimize(&name("t"), OptimizeSpec { zorder: vec!["id".into()], target_bytes: None }, &session)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_delta_lacks_are_widened() {
    let lake = TestLake::new().await;
    lake.create(
        "t",
        "SELECT arrow_cast(200, 'UInt8') AS a, arrow_cast(18446744073709551615, 'UInt64') AS b, \
         arrow_cast('x', 'Dictionary(Int32, Utf8)') AS c, TIMESTAMP '2013-01-01 05:00:00' AS d, NULL AS e, \
         [1, 2] AS f, named_struct('k', 'v') AS g, count(*)",
    )
    .await;
    let rows = lake.rows("SELECT * FROM t", &["t"]).await;
    assert_eq!(rows, "a b c d e f g count(*)\n200 18446744073709551615 x 2013-01-01T05:00:00  [1, 2] {k: v} 1");
    let mode = WriteMode::Create { or_replace: false, if_not_exists: false, partition_by: Vec::new() };
    let error = lake.write("u", mode, "SELECT arrow_cast('05:00', 'Time64(Microsecond)') AS t").await.unwrap_err();
    assert!(error.to_string().starts_with("column 't': tables hold no values of the type TIME"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_and_renamed_tables_never_meet() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT 1 AS id").await;
    lake.lake.rename_table(&name("t"), &name("Old T")).await.unwrap();
    lake.create("t", "SELECT 2 AS id").await;
    assert_eq!(lake.rows("SELECT id FROM t", &["t"]).await, "id\n2");
    lake.lake.drop_table(&name("t"), false).await.unwrap();
    assert!(!lake.lake.drop_table(&name("t"), true).await.unwrap());
    assert_eq!(lake.table("Old T", At::Latest).await.row_count(), Some(1));
    let folders = std::fs::read_dir(lake.folder.path().join("lake/tables")).unwrap().count();
    assert_eq!(folders, 1);
    for bad in ["../x", "a/b", "..", "a\0b"] {
        let mode = WriteMode::Create { or_replace: false, if_not_exists: false, partition_by: Vec::new() };
        assert_eq!(lake.write(bad, mode, "SELECT 1 AS id").await.unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_survives_a_plan_codec_free_reload() {
    // A plain `DataSourceExec` is all that a scan consists of.
    let lake = TestLake::new().await;
    lake.create("t", PLANES).await;
    lake.register("t", At::Latest).await;
    let plan = lake.context.sql("SELECT id FROM t").await.unwrap().create_physical_plan().await.unwrap();
    assert!(displayable(plan.as_ref()).indent(false).to_string().starts_with("DataSourceExec"), "{plan:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_have_plain_names_that_are_never_used_again() {
    let lake = TestLake::new().await;
    let folders = || -> Vec<String> {
        let tables = std::fs::read_dir(lake.folder.path().join("lake/tables")).unwrap();
        tables.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    lake.create("Flüge x", "SELECT 1 AS a").await;
    let first = folders();
    assert!(first[0].starts_with("main.Fl_ge_x-") && first.len() == 1, "{first:?}");
    lake.lake.rename_table(&name("Flüge x"), &name("old")).await.unwrap();
    lake.create("Flüge x", "SELECT 2 AS a").await;
    assert_eq!(folders().len(), 2);
    assert_eq!(lake.table("old", At::Latest).await.row_count(), Some(1));
    for bad in [TableName::new("..", "t"), TableName::new("main", "a/b"), TableName::new("main", "../t")] {
        assert_eq!(lake.lake.create_view(&bad, "SELECT 1", false, false).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(TableName::bare("flights").to_string(), "flights");
    assert_eq!(TableName::new("raw", "Flight Delays").to_string(), "raw.\"Flight Delays\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_looked_up_among_commits_alone() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT 0 AS id").await;
    for id in 1..=21 {
        lake.append("t", &format!("SELECT {id} AS id")).await.unwrap();
    }
    let table = std::fs::read_dir(lake.folder.path().join("lake/tables")).unwrap().next().unwrap().unwrap().path();
    let log = table.join("_delta_log");
    assert!(log.join("00000000000000000020.checkpoint.parquet").exists(), "there is a checkpoint among the commits");
    std::fs::write(log.join("_commit_0a.json.tmp"), "").unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    assert_eq!(lake.table("t", At::TimestampMs(now + 1_000_000)).await.version(), 21);
    assert_eq!(lake.table("t", At::Version(20)).await.row_count(), Some(21));
}
