//! Names, models, lineage and runs in the catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use lakemill_base::ErrorKind;
use lakemill_lake::{
    At, AuditEntry, ExternalEntry, Lake, LakeOptions, LineageInput, LineageRecord, ModelDraft, ModelName, Relation,
    RunDetail, RunRecord, RunStep, SaveMode, TableName,
};
use serde_json::json;
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::support::TestLake;

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_catalog_is_refused() {
    let lake = TestLake::new().await;
    let location = lake.lake.options().location.clone();
    let catalog = format!("{location}/catalog.db");
    drop(lake.lake);
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{catalog}")).await.unwrap();
    sqlx::query("UPDATE lakemill_catalog SET value = 42").execute(&pool).await.unwrap();
    pool.close().await;
    let error = Lake::open(LakeOptions::new(location)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().ends_with("has schema version 42, and this lakemill knows up to 3; use a newer lakemill"),
        "{error}"
    );
}

/// A catalog as it was before there were users is brought up to date when it is opened, with all that it has.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_catalog_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("lake").to_str().unwrap().to_owned();
    std::fs::create_dir(&location).unwrap();
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{location}/catalog.db?mode=rwc")).await.unwrap();
    let first = include_str!("../../migrations/0001_catalog.sql");
    let migration = Migration::new(1, "catalog".into(), MigrationType::Simple, first.into_sql_str(), false);
    Migrator::with_migrations(vec![migration]).run(&pool).await.unwrap();
    for statement in [
        "INSERT INTO namespaces (name, created_ms) VALUES ('main', 1)",
        "INSERT INTO relations (namespace, name, kind, location, definition, created_ms) VALUES ('main', 'v', 'view', '', '{\"sql\": \"SELECT 1\"}', 7)",
        "INSERT INTO runs (id, pipeline, started_ms, finished_ms, status, detail) VALUES ('r', 'p', 1, 2, 'finished', \
         '{\"seconds\": 1.5, \"steps\": [{\"id\": \"a\", \"status\": \"done\", \"rows\": 3, \"seconds\": 1.0}], \"error\": null}')",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;

    let lake = Lake::open(LakeOptions::new(location)).await.unwrap();
    assert!(matches!(lake.resolve(&TableName::bare("v"), At::Latest).await.unwrap(), Relation::View(_)));
    let run = lake.run("r").await.unwrap();
    assert_eq!((run.detail.seconds, run.detail.steps[0].rows), (Some(1.5), 3));
    lake.create_user("ann", None).await.unwrap();
    assert!(lake.user("ann").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_lines_of_the_audit_log_are_forgotten() {
    let test = TestLake::new().await;
    let line = |at_ms| AuditEntry {
        at_ms,
        user: "ann".into(),
        address: String::new(),
        protocol: "http".into(),
        action: "login".into(),
        object: String::new(),
        outcome: "ok".into(),
    };
    test.lake.record_audit(vec![line(10), line(20), line(30)]).await.unwrap();
    assert_eq!(test.lake.forget_audit(20).await.unwrap(), 1);
    let left = test.lake.audit(10).await.unwrap();
    assert_eq!(left.iter().map(|line| line.at_ms).collect::<Vec<_>>(), [30, 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_and_views() {
    let test = TestLake::new().await;
    let lake = &test.lake;
    assert!(lake.create_namespace("raw", false).await.unwrap());
    assert!(!lake.create_namespace("raw", true).await.unwrap());
    let view = TableName::new("raw", "Robert'); DROP TABLE relations;--");
    assert!(lake.create_view(&view, "SELECT 1", false, false).await.unwrap());
    let error = lake.create_view(&view, "SELECT 2", false, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(lake.create_view(&view, "SELECT 2", true, false).await.unwrap());
    match lake.resolve(&view, At::Latest).await.unwrap() {
        Relation::View(view) => assert_eq!(view.sql, "SELECT 2"),
        other => panic!("{other:?}"),
    }
    let error = lake.drop_namespace("raw", false, false).await.unwrap_err();
    assert_eq!(error.to_string(), "namespace 'raw' is not empty; drop what is in it, or use CASCADE");
    assert!(lake.drop_namespace("raw", false, true).await.unwrap());
    assert!(lake.drop_namespace("main", false, true).await.is_err());
    let error = lake.create_view(&TableName::new("nope", "v"), "SELECT 1", false, false).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no namespace 'nope'; make it with CREATE SCHEMA");
}

fn draft(text: &str) -> ModelDraft {
    ModelDraft {
        model_type: "LINEAR_REG".into(),
        files: BTreeMap::from([("manifest.json".to_owned(), Bytes::from(text.to_owned()))]),
        lineage: json!({"query": text}),
        summary: json!({"r2": 0.5}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_have_versions() {
    let test = TestLake::new().await;
    let lake = &test.lake;
    let name = ModelName::bare("delay");
    assert_eq!(lake.save_model(&name, draft("one"), SaveMode::Create).await.unwrap().unwrap().version, 1);
    assert!(lake.save_model(&name, draft("x"), SaveMode::IfNotExists).await.unwrap().is_none());
    assert!(lake.save_model(&name, draft("x"), SaveMode::Create).await.is_err());
    assert_eq!(lake.save_model(&name, draft("two"), SaveMode::Replace).await.unwrap().unwrap().version, 2);
    let (entry, files) = lake.load_model(&name, None).await.unwrap();
    assert_eq!((entry.version.version, &files["manifest.json"][..]), (2, &b"two"[..]));
    assert_eq!(lake.load_model(&name, Some(1)).await.unwrap().1["manifest.json"], "one");
    let error = lake.model(&name, Some(3)).await.unwrap_err();
    assert_eq!(error.to_string(), "model delay has no version 3; versions 1 to 2 are available");
    let error = lake.model(&ModelName::bare("dealy"), None).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no model dealy; did you mean delay?");
    assert_eq!(lake.models(None).await.unwrap().len(), 1);
    assert!(lake.drop_model(&name, false).await.unwrap());
    assert!(lake.drop_model(&name, false).await.is_err());
    assert_eq!(std::fs::read_dir(test.folder.path().join("lake/models")).unwrap().count(), 0);
    assert!(lake.save_model(&ModelName::bare("../x"), draft("x"), SaveMode::Create).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn lineage_steps_and_runs() {
    let test = TestLake::new().await;
    let lake = &test.lake;
    let record = LineageRecord {
        kind: "table".into(),
        namespace: "main".into(),
        name: "t".into(),
        version: 3,
        statement: "CREATE TABLE t AS SELECT 1".into(),
        inputs: vec![LineageInput { kind: "table".into(), name: "s".into(), version: "7".into() }],
        options: json!({}),
        seed: Some(u64::MAX),
        at_ms: 5,
    };
    lake.record_lineage(&record).await.unwrap();
    let found = lake.lineage_of("table", "main", "t").await.unwrap();
    assert_eq!((found.len(), found[0].seed, &found[0].inputs), (1, Some(u64::MAX), &record.inputs));
    assert!(lake.step_state("p", "s").await.unwrap().is_none());
    lake.save_step_state("p", "s", &json!({"a": 1})).await.unwrap();
    lake.save_step_state("p", "s", &json!({"a": 2})).await.unwrap();
    assert_eq!(lake.step_state("p", "s").await.unwrap().unwrap(), json!({"a": 2}));
    let id = lake.start_run("p", &RunDetail::default()).await.unwrap();
    let run = || async { lake.run(&id).await.unwrap() };
    assert_eq!(run().await.finished_ms, None);
    let detail = |rows| RunDetail { steps: vec![RunStep { rows, ..RunStep::default() }], ..RunDetail::default() };
    lake.report_run(&id, &detail(3)).await.unwrap();
    assert_eq!(run().await.detail, detail(3));
    lake.finish_run(&id, "done", &detail(4)).await.unwrap();
    lake.report_run(&id, &detail(5)).await.unwrap();
    assert_eq!((run().await.status.as_str(), run().await.detail), ("done", detail(4)));
    let other = lake.start_run("q", &RunDetail::default()).await.unwrap();
    let ids = |runs: Vec<RunRecord>| runs.into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(ids(lake.runs(Some("p"), 10).await.unwrap()), [id.as_str()]);
    assert_eq!(ids(lake.runs(None, 10).await.unwrap()), [other.as_str(), id.as_str()]);
    assert!(lake.finish_run("nope", "done", &detail(0)).await.is_err());
    assert!(lake.run("nope").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_table_survives_the_catalog() {
    let test = TestLake::new().await;
    let schema = Schema::new(vec![Field::new("a", DataType::UInt16, false), Field::new("b", DataType::Utf8View, true)]);
    let entry = ExternalEntry {
        name: TableName::bare("t"),
        format: "csv".into(),
        location: "data/*.csv".into(),
        options: BTreeMap::from([("delimiter".into(), ";".into())]),
        schema: Some(Arc::new(schema.clone())),
        partition_columns: vec![("day".into(), DataType::Date32)],
        created_ms: 0,
    };
    assert!(test.lake.create_external(entry, false, false).await.unwrap());
    let other = Lake::open(test.lake.options().clone()).await.unwrap();
    let back = match other.resolve(&TableName::bare("t"), At::Latest).await.unwrap() {
        Relation::External(back) => back,
        other => panic!("{other:?}"),
    };
    assert_eq!(back.schema.unwrap().as_ref(), &schema);
    assert!(back.created_ms > 0);
    assert_eq!(back.partition_columns, [("day".to_owned(), DataType::Date32)]);
    assert_eq!((back.options["delimiter"].as_str(), back.location.as_str()), (";", "data/*.csv"));
}
