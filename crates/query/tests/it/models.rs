//! Models through the session: what errors say, and what must not depend on threads or the order of rows.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::util::pretty::pretty_format_batches;
use bytes::Bytes;
use expect_test::{Expect, expect};
use lakemill_lake::{Lake, LakeOptions, ModelName};
use lakemill_query::{Observer, Progress, Session, SessionOptions};
use tempfile::TempDir;

/// Rows with numbers, categories, NULLs and a label that depends on them.
const RIDES: &str = "
CREATE TABLE rides AS
SELECT value AS id,
       CASE WHEN value % 17 <> 0 THEN (value * 7919) % 1013 / 100.0 END AS distance,
       CAST((value * 31) % 24 AS INT) AS hour,
       CASE (value * 104729) % 3 WHEN 0 THEN 'bike' WHEN 1 THEN 'car' ELSE 'train' END AS vehicle,
       ((value * 7919) % 1013 / 100.0) * 2.0 + (value * 31) % 7 > 13 AS late,
       CASE WHEN value % 50 <> 0 THEN 3.5 * ((value * 7919) % 1013 / 100.0) + value % 3 END AS minutes
FROM generate_series(1, 3000);";

struct Fixture {
    _folder: TempDir,
    lake: Lake,
    session: Session,
}

impl Fixture {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(LakeOptions::new(folder.path().to_str().unwrap())).await.unwrap();
        let session = Session::open(lake.clone(), SessionOptions::default()).unwrap();
        let fixture = Self { _folder: folder, lake, session };
        fixture.run(RIDES).await;
        fixture
    }

    async fn run(&self, sql: &str) -> String {
        self.try_run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    async fn try_run(&self, sql: &str) -> Result<String, lakemill_query::Error> {
        let batches = self.session.sql(sql).await?;
        Ok(pretty_format_batches(&batches).unwrap().to_string())
    }

    async fn fails(&self, sql: &str, expected: Expect) {
        match self.try_run(sql).await {
            Ok(rows) => panic!("{sql} gave\n{rows}"),
            Err(error) => expected.assert_eq(&format!("{}: {error}", error.kind())),
        }
    }

    async fn files(&self, model: &str) -> BTreeMap<String, Bytes> {
        self.lake.load_model(&ModelName::bare(model), None).await.unwrap().1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_create_model_say_what_is_wrong_and_where() {
    let f = Fixture::new().await;
    f.fails(
        "CREATE MODEL m\nOPTIONS (model_type = 'LOGISTIC_REG', input_label_cols = ['late'],\n    max_iteration = 5)\nAS SELECT distance, late FROM rides",
        expect![[r#""#]],
    )
    .await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LOGISTIC_REG', max_iterations = 'many') AS SELECT distance, late AS label FROM rides",
        expect![[r#""#]],
    )
    .await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LOGISTIC_REG', l2_reg = 1, l2_reg = 2) AS SELECT 1",
        expect![[r#""#]],
    )
    .await;
    f.fails("CREATE MODEL m OPTIONS (model_type = LOGISTIC_REG) AS SELECT 1", expect![[r#""#]]).await;
    f.fails("CREATE MODEL m OPTIONS (l2_reg = HPARAM_RANGE(0, 1)) AS SELECT 1", expect![[r#""#]]).await;
    f.fails("CREATE MODEL m OPTIONS (l2_reg = 1) AS SELECT distance, late AS label FROM rides", expect![[r#""#]]).await;
    f.fails("CREATE MODEL m OPTIONS (model_type = 'KMEANS') AS SELECT distance FROM rides", expect![[r#""#]]).await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG') AS SELECT distance, minutes FROM rides",
        expect![[r#""#]],
    )
    .await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['minute']) AS SELECT distance, minutes FROM rides",
        expect![[r#""#]],
    )
    .await;
    f.fails("CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG')", expect![[r#""#]]).await;
    f.fails("CREATE MODEL m INPUT (x INT) OUTPUT (y INT) OPTIONS (model_type = 'LINEAR_REG')", expect![[r#""#]]).await;
    f.fails("CREATE OR REPLACE MODEL IF NOT EXISTS m AS SELECT 1", expect![[r#""#]]).await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG') AS SELECT distanc, minutes AS label FROM rides",
        expect![[r#""#]],
    )
    .await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG') AS SELECT a.id, b.id, 1.0 AS label FROM rides a, rides b",
        expect![[r#""#]],
    )
    .await;
    let models = f.run("SHOW MODELS").await;
    assert!(!models.contains("main"), "{models}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_training_data_name_the_column() {
    let f = Fixture::new().await;
    let create = |query: &str| format!("CREATE MODEL m OPTIONS (model_type = 'LOGISTIC_REG') AS {query}");
    f.fails(&create("SELECT distance, late AS label FROM rides WHERE false"), expect![[r#""#]]).await;
    f.fails(&create("SELECT distance, true AS label FROM rides"), expect![[r#""#]]).await;
    f.fails(&create("SELECT distance, CAST(NULL AS BOOLEAN) AS label FROM rides"), expect![[r#""#]]).await;
    f.fails(&create("SELECT distance, distance AS label FROM rides"), expect![[r#""#]]).await;
    f.fails(
        &create("SELECT distance / (hour - 5) * 1e300 * 1e300 AS x, late AS label FROM rides WHERE hour <> 5"),
        expect![[r#""#]],
    )
    .await;
    let linear = |query: &str| format!("CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG') AS {query}");
    f.fails(&linear("SELECT distance, 5.0 AS label FROM rides"), expect![[r#""#]]).await;
    f.fails(&linear("SELECT distance, vehicle AS label FROM rides"), expect![[r#""#]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_transform_say_what_it_may_hold() {
    let f = Fixture::new().await;
    let create = |items: &str| {
        format!(
            "CREATE MODEL m TRANSFORM ({items}) OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['minutes'])\nAS SELECT distance, hour, vehicle, minutes FROM rides"
        )
    };
    f.fails(&create("avg(distance) AS d, minutes"), expect![[r#""#]]).await;
    f.fails(&create("(SELECT 1) AS d, minutes"), expect![[r#""#]]).await;
    f.fails(&create("row_number() OVER () AS d, minutes"), expect![[r#""#]]).await;
    f.fails(&create("ML.STANDARD_SCALER(distance) AS d, minutes"), expect![[r#""#]]).await;
    f.fails(&create("ML.STANDARD_SCALER(distance) OVER (PARTITION BY hour) AS d, minutes"), expect![[r#""#]]).await;
    f.fails(&create("ML.STANDARD_SCALAR(distance) OVER () AS d, minutes"), expect![[r#""#]]).await;
    f.fails(&create("ML.STANDARD_SCALER(vehicle) OVER () AS d, minutes"), expect![[r#""#]]).await;
    f.fails(&create("ML.QUANTILE_BUCKETIZE(distance, hour) OVER () AS d, minutes"), expect![[r#""#]]).await;
    f.fails(&create("distance + 1, minutes"), expect![[r#""#]]).await;
    f.fails(&create("* EXCEPT (distanc)"), expect![[r#""#]]).await;
    f.fails(&create("distance AS d, hour AS d, minutes"), expect![[r#""#]]).await;
    f.fails(&create("distance, minutes * 2 AS minutes"), expect![[r#""#]]).await;
    f.fails(&create("distance * random() AS d, minutes"), expect![[r#""#]]).await;
    f.fails(&create("distanc AS d, minutes"), expect![[r#""#]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_relations_say_how_they_are_written() {
    let f = Fixture::new().await;
    f.run("CREATE MODEL lateness OPTIONS (model_type = 'LOGISTIC_REG', input_label_cols = ['late']) AS SELECT distance, vehicle, late FROM rides").await;
    f.run("CREATE MODEL duration OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['minutes'], data_split_method = 'NO_SPLIT') AS SELECT distance, hour, minutes FROM rides").await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL latenes, TABLE rides)", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL lateness@7, TABLE rides)", expect![[r#""#]]).await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL lateness, (SELECT distance AS distances, vehicle FROM rides))",
        expect![[r#""#]],
    )
    .await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL lateness, (SELECT 'far' AS distance, vehicle FROM rides))",
        expect![[r#""#]],
    )
    .await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL lateness)", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.PREDICT(TABLE rides, MODEL lateness)", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL lateness, TABLE ride)", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL lateness, TABLE rides, STRUCT(1.5 AS threshold))", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL lateness, TABLE rides, STRUCT(0.5 AS treshold))", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL duration, TABLE rides, STRUCT(0.5 AS threshold))", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL lateness, (SELECT *, 1 AS predicted_late FROM rides))", expect![[r#""#]])
        .await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL lateness, (SELECT * FROM rides a JOIN rides b ON a.id = b.id))",
        expect![[r#""#]],
    )
    .await;
    f.fails("SELECT * FROM ML.EVALUATE(MODEL lateness, (SELECT distance, vehicle FROM rides))", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.EVALUATE(MODEL duration)", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.FEATURE_IMPORTANCE(MODEL duration)", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.CONFUSION_MATRIX(MODEL duration, TABLE rides)", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.ROC_CURVE(MODEL duration, TABLE rides)", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.WEIGHTS(MODEL duration, TABLE rides)", expect![[r#""#]]).await;
    f.fails("SELECT * FROM ML.PREDIT(MODEL lateness, TABLE rides)", expect![[r#""#]]).await;
    f.fails("SELECT ML.PREDICT(MODEL lateness, TABLE rides)", expect![[r#""#]]).await;
    f.fails("SELECT ML.STANDARD_SCALER(distance) OVER () FROM rides", expect![[r#""#]]).await;
    f.fails("SELECT * FROM rides r, LATERAL ML.PREDICT(MODEL lateness, TABLE rides)", expect![[r#""#]]).await;
    f.fails("SELECT (SELECT max(p.distance) FROM ML.PREDICT(MODEL lateness, (SELECT r.distance, r.vehicle)) p) FROM rides r", expect![[r#""#]]).await;
    f.fails("DESCRIBE MODEL latenes", expect![[r#""#]]).await;
    f.fails("DROP MODEL latenes", expect![[r#""#]]).await;
    f.fails(
        "CREATE MODEL lateness OPTIONS (model_type = 'LINEAR_REG') AS SELECT 1.0 AS x, 1.0 AS label",
        expect![[r#""#]],
    )
    .await;
    f.fails("EXPORT MODEL lateness", expect![[r#""#]]).await;
    f.fails("EXPORT MODEL lateness OPTIONS (url = 'x')", expect![[r#""#]]).await;
}

/// What training computes must not depend on the machine: the files of the artifact, but for the manifest (which
/// names the query) and the times of the iterations, are compared byte by byte.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_depends_neither_on_threads_nor_on_the_order_of_rows() {
    let f = Fixture::new().await;
    let options =
        "TRANSFORM (ML.STANDARD_SCALER(distance) OVER () AS d, ML.LABEL_ENCODER(vehicle) OVER () AS v, hour, late)";
    for kind in ["LOGISTIC_REG", "BOOSTED_TREE_CLASSIFIER"] {
        let mut first: Option<BTreeMap<String, Bytes>> = None;
        for (threads, order) in [(1, "id"), (2, "id"), (4, "id"), (2, "(id * 7919) % 3001"), (4, "id DESC")] {
            let session =
                Session::open(f.lake.clone(), SessionOptions { threads: Some(threads), ..SessionOptions::default() })
                    .unwrap();
            let sql = format!(
                "CREATE OR REPLACE MODEL m {options} OPTIONS (model_type = '{kind}', input_label_cols = ['late'], max_iterations = 8)
                 AS SELECT distance, vehicle, hour, late FROM rides ORDER BY {order}"
            );
            session.sql(&sql).await.unwrap();
            let mut files = f.files("m").await;
            files.retain(|name, _| name != "manifest.json" && !name.contains("training_info"));
            assert!(!files.is_empty());
            match &first {
                None => first = Some(files),
                Some(first) => {
                    assert_eq!(first.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
                    for (name, content) in first {
                        assert!(content == &files[name], "{kind}, {threads} threads, ORDER BY {order}: {name} differs");
                    }
                }
            }
        }
    }
}

/// Cancels at the third iteration.
#[derive(Debug, Default)]
struct CancelAtThird(AtomicU32);

impl Observer for CancelAtThird {
    fn progress(&self, progress: Progress<'_>) {
        if progress.iteration.is_some() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 3
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_training_leaves_nothing() {
    let f = Fixture::new().await;
    let sql = "CREATE MODEL m OPTIONS (model_type = 'BOOSTED_TREE_CLASSIFIER', input_label_cols = ['late'], max_iterations = 1000, early_stop = FALSE)
               AS SELECT distance, hour, vehicle, late FROM rides";
    let parsed = f.session.parse(sql).unwrap();
    let error = f.session.execute(&parsed[0], Arc::new(CancelAtThird::default())).await.unwrap_err();
    expect![[r#""#]].assert_eq(&error.to_string());
    let models = f.run("SHOW MODELS").await;
    assert!(!models.contains("BOOSTED"), "{models}");
}

#[tokio::test(flavor = "multi_thread")]
async fn training_rows_beyond_the_memory_limit_are_refused() {
    let f = Fixture::new().await;
    let options = SessionOptions { memory_bytes: Some(40_000), ..SessionOptions::default() };
    let session = Session::open(f.lake.clone(), options).unwrap();
    let error = session
        .sql("CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['minutes']) AS SELECT distance, hour, minutes FROM rides")
        .await
        .unwrap_err();
    assert_eq!(error.kind().as_str(), "exhausted", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_exported_and_shows_where_it_came_from() {
    let f = Fixture::new().await;
    f.run("CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['minutes']) AS SELECT distance, minutes FROM rides").await;
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("out");
    f.run(&format!("EXPORT MODEL m OPTIONS (uri = '{}')", place.display())).await;
    let mut names = String::new();
    for (name, content) in f.files("m").await {
        assert_eq!(std::fs::read(place.join(&name)).unwrap(), content);
        writeln!(names, "{name}").unwrap();
    }
    assert!(names.contains("manifest.json"), "{names}");
    let again = f.try_run(&format!("EXPORT MODEL m OPTIONS (uri = '{}')", place.display())).await.unwrap_err();
    assert_eq!(again.kind().as_str(), "conflict");
    let described = f.run("DESCRIBE MODEL m").await;
    for wanted in ["SELECT distance, minutes FROM rides", "table main.rides", "version 0", "(default)", "r2_score"] {
        assert!(described.contains(wanted), "{wanted} in\n{described}");
    }
}
