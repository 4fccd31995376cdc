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
        expect![[r#"invalid: unknown option 'max_iteration'; did you mean 'max_iterations'? (line 3, column 5)"#]],
    )
    .await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LOGISTIC_REG', max_iterations = 'many') AS SELECT distance, late AS label FROM rides",
        expect![[r#"invalid: option 'max_iterations' must be a value of type INT64 from 1 to 100000; given: 'many' (STRING) (line 1, column 54)"#]],
    )
    .await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LOGISTIC_REG', l2_reg = 1, l2_reg = 2) AS SELECT 1",
        expect![[r#"invalid: syntax error: option 'l2_reg' is given twice (line 1, column 66)"#]],
    )
    .await;
    f.fails("CREATE MODEL m OPTIONS (model_type = LOGISTIC_REG) AS SELECT 1", expect![[r#"invalid: syntax error: option 'model_type': a value must be constant; if 'LOGISTIC_REG' is a text, write it in quotes: 'LOGISTIC_REG' (line 1, column 38)"#]]).await;
    f.fails("CREATE MODEL m OPTIONS (l2_reg = HPARAM_RANGE(0, 1)) AS SELECT 1", expect![[r#"invalid: syntax error: option 'l2_reg': HPARAM_RANGE (hyperparameter tuning) is not supported; give one value (line 1, column 34)"#]]).await;
    f.fails("CREATE MODEL m OPTIONS (l2_reg = 1) AS SELECT distance, late AS label FROM rides", expect![[r#"invalid: option 'model_type' is missing; give one, as in OPTIONS (model_type = 'LOGISTIC_REG') (line 1, column 1)"#]]).await;
    f.fails("CREATE MODEL m OPTIONS (model_type = 'KMEANS') AS SELECT distance FROM rides", expect![[r#"invalid: model type 'KMEANS' is not supported; supported: LINEAR_REG, LOGISTIC_REG, BOOSTED_TREE_CLASSIFIER, BOOSTED_TREE_REGRESSOR (line 1, column 25)"#]]).await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG') AS SELECT distance, minutes FROM rides",
        expect![[r#"invalid: the training query has no column 'label'; name the label by input_label_cols = ['..']; columns: distance, minutes (line 1, column 1)"#]],
    )
    .await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['minute']) AS SELECT distance, minutes FROM rides",
        expect![[r#"invalid: option 'input_label_cols' names the unknown column 'minute'; did you mean 'minutes'? (line 1, column 52)"#]],
    )
    .await;
    f.fails("CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG')", expect![[r#"invalid: CREATE MODEL needs the query that gives its training rows: CREATE MODEL m OPTIONS (..) AS SELECT .. (line 1, column 1)"#]]).await;
    f.fails("CREATE MODEL m INPUT (x INT) OUTPUT (y INT) OPTIONS (model_type = 'LINEAR_REG')", expect![[r#"invalid: syntax error: INPUT(..) describes a remote or imported model, which is not supported; a model is trained with [TRANSFORM (..)] OPTIONS (model_type = '..') AS query (line 1, column 16)"#]]).await;
    f.fails(
        "CREATE OR REPLACE MODEL IF NOT EXISTS m AS SELECT 1",
        expect![[
            r#"invalid: syntax error: OR REPLACE and IF NOT EXISTS exclude each other; keep one (line 1, column 25)"#
        ]],
    )
    .await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG') AS SELECT distanc, minutes AS label FROM rides",
        expect![[r#"not found: unknown column 'distanc'; did you mean 'distance'? (line 1, column 62)"#]],
    )
    .await;
    f.fails(
        "CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG') AS SELECT a.id, b.id, 1.0 AS label FROM rides a, rides b",
        expect![[r#"invalid: the training query has two columns named 'id'; rename one with AS (line 1, column 1)"#]],
    )
    .await;
    let models = f.run("SHOW MODELS").await;
    assert!(!models.contains("main"), "{models}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_training_data_name_the_column() {
    let f = Fixture::new().await;
    let create = |query: &str| format!("CREATE MODEL m OPTIONS (model_type = 'LOGISTIC_REG') AS {query}");
    f.fails(
        &create("SELECT distance, late AS label FROM rides WHERE false"),
        expect![[
            r#"data: the training query gave no rows; nothing can be learned from an empty table (line 1, column 1)"#
        ]],
    )
    .await;
    f.fails(&create("SELECT distance, true AS label FROM rides"), expect![[r#"data: label 'label' is 'true' in all 2400 training rows; a classifier needs rows of two classes at least (line 1, column 1)"#]]).await;
    f.fails(
        &create("SELECT distance, CAST(NULL AS BOOLEAN) AS label FROM rides"),
        expect![[
            r#"data: label 'label' is NULL in all 3000 rows; rows without a label cannot train (line 1, column 1)"#
        ]],
    )
    .await;
    f.fails(&create("SELECT distance, distance AS label FROM rides"), expect!["invalid: label 'label' has type DOUBLE; a classifier needs STRING, BOOL or a whole number (CAST it) (line 1, column 1)"]).await;
    f.fails(
        &create("SELECT distance / (hour - 5) * 1e300 * 1e300 AS x, late AS label FROM rides WHERE hour <> 5"),
        expect![[r#"data: feature 'x' holds infinite values (2129); linear models need finite numbers, replace them by NULL or a limit (line 1, column 1)"#]],
    )
    .await;
    let linear = |query: &str| format!("CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG') AS {query}");
    f.fails(&linear("SELECT distance, 5.0 AS label FROM rides"), expect![[r#"data: label 'label' is 5 in all 2400 training rows; there is nothing to learn from a constant (line 1, column 1)"#]]).await;
    f.fails(
        &linear("SELECT distance, vehicle AS label FROM rides"),
        expect!["invalid: label 'label' has type VARCHAR; a regression needs a number (line 1, column 1)"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_transform_say_what_it_may_hold() {
    let f = Fixture::new().await;
    let create = |items: &str| {
        format!(
            "CREATE MODEL m TRANSFORM ({items}) OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['minutes'])\nAS SELECT distance, hour, vehicle, minutes FROM rides"
        )
    };
    f.fails(
        &create("avg(distance) AS d, minutes"),
        expect![[
            r#"invalid: TRANSFORM may not hold the aggregate avg; compute it in the query after AS (line 1, column 27)"#
        ]],
    )
    .await;
    f.fails(
        &create("(SELECT 1) AS d, minutes"),
        expect![[
            r#"invalid: TRANSFORM may not hold a subquery; join in the query after AS instead (line 1, column 28)"#
        ]],
    )
    .await;
    f.fails(&create("row_number() OVER () AS d, minutes"), expect![[r#"invalid: TRANSFORM may not hold the analytic function row_number; only ML.* functions take OVER () here (line 1, column 27)"#]]).await;
    f.fails(&create("ML.STANDARD_SCALER(distance) AS d, minutes"), expect![[r#"invalid: ML.STANDARD_SCALER takes its statistics over all rows: write ML.STANDARD_SCALER(..) OVER () (line 1, column 27)"#]]).await;
    f.fails(&create("ML.STANDARD_SCALER(distance) OVER (PARTITION BY hour) AS d, minutes"), expect![[r#"invalid: ML.STANDARD_SCALER takes its statistics over all rows: write ML.STANDARD_SCALER(..) OVER () (line 1, column 27)"#]]).await;
    f.fails(&create("ML.STANDARD_SCALAR(distance) OVER () AS d, minutes"), expect![[r#"not found: unknown function 'ML.STANDARD_SCALAR'; did you mean 'ML.STANDARD_SCALER'? (line 1, column 27)"#]]).await;
    f.fails(
        &create("ML.STANDARD_SCALER(vehicle) OVER () AS d, minutes"),
        expect![
            "invalid: ML.STANDARD_SCALER takes a number; the column has type VARCHAR (CAST it) (line 1, column 27)"
        ],
    )
    .await;
    f.fails(&create("ML.QUANTILE_BUCKETIZE(distance, hour) OVER () AS d, minutes"), expect![[r#"invalid: the arguments of ML.QUANTILE_BUCKETIZE after the first are constants: a value must be constant; if 'hour' is a text, write it in quotes: 'hour' (line 1, column 59)"#]]).await;
    f.fails(
        &create("distance + 1, minutes"),
        expect![[r#"invalid: an expression of TRANSFORM needs a name: distance + 1 AS name (line 1, column 27)"#]],
    )
    .await;
    f.fails(
        &create("* EXCEPT (distanc)"),
        expect![[r#"not found: unknown column 'distanc'; did you mean 'distance'? (line 1, column 37)"#]],
    )
    .await;
    f.fails(
        &create("distance AS d, hour AS d, minutes"),
        expect![[r#"invalid: TRANSFORM gives two columns the name 'd'; rename one with AS (line 1, column 42)"#]],
    )
    .await;
    f.fails(&create("distance, minutes * 2 AS minutes"), expect![[r#"invalid: TRANSFORM must pass column 'minutes' through as it is, since the options name it; call this expression something else (line 1, column 37)"#]]).await;
    f.fails(&create("distance * random() AS d, minutes"), expect![[r#"invalid: TRANSFORM may not hold random, whose value is not the same each time; compute it in the query after AS (line 1, column 27)"#]]).await;
    f.fails(
        &create("distanc AS d, minutes"),
        expect![[r#"not found: unknown column 'distanc'; did you mean 'distance'? (line 1, column 27)"#]],
    )
    .await;
}

/// A lake with a classifier, a regressor and the rides that they were trained on.
async fn with_models() -> Fixture {
    let f = Fixture::new().await;
    f.run("CREATE MODEL lateness OPTIONS (model_type = 'LOGISTIC_REG', input_label_cols = ['late']) AS SELECT distance, vehicle, late FROM rides").await;
    f.run("CREATE MODEL duration OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['minutes'], data_split_method = 'NO_SPLIT') AS SELECT distance, hour, minutes FROM rides").await;
    f
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_predictions_say_how_they_are_written() {
    let f = with_models().await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL latenes, TABLE rides)",
        expect![[r#"not found: there is no model latenes; did you mean lateness? (line 1, column 32)"#]],
    )
    .await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL lateness@7, TABLE rides)",
        expect![[r#"not found: model lateness has no version 7; versions 1 to 1 are available (line 1, column 32)"#]],
    )
    .await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL lateness, (SELECT distance AS distances, vehicle FROM rides))",
        expect![[r#"invalid: model lateness needs the column 'distance', which the input does not have; did you mean to call 'distances' so? (line 1, column 15)"#]],
    )
    .await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL lateness, (SELECT 'far' AS distance, vehicle FROM rides))",
        expect![[r#"invalid: model lateness was trained on a column 'distance' of type DOUBLE, and the input has it as VARCHAR; CAST it in the input (line 1, column 15)"#]],
    )
    .await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL lateness)", expect![[r#"invalid: ML.PREDICT needs rows; write ML.PREDICT(MODEL m, TABLE t | (query) [, STRUCT(value AS threshold)]) (line 1, column 15)"#]]).await;
    f.fails(
        "SELECT * FROM ML.PREDICT(TABLE rides, MODEL lateness)",
        expect![[r#"invalid: syntax error: found 'lateness' where ) should be (line 1, column 45)"#]],
    )
    .await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL lateness, TABLE ride)",
        expect![[r#"not found: there is no table ride; did you mean rides? (line 1, column 48)"#]],
    )
    .await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL lateness, TABLE rides, STRUCT(1.5 AS threshold))",
        expect![[r#"invalid: 'threshold' is a number between 0 and 1, not 1.5 (line 1, column 69)"#]],
    )
    .await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL lateness, TABLE rides, STRUCT(0.5 AS treshold))",
        expect![[
            r#"invalid: unknown setting of ML.PREDICT 'treshold'; did you mean 'threshold'? (line 1, column 69)"#
        ]],
    )
    .await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL duration, TABLE rides, STRUCT(0.5 AS threshold))", expect![[r#"invalid: ML.PREDICT takes a threshold for classifiers of two classes, which model duration is not (line 1, column 15)"#]]).await;
    f.fails("SELECT * FROM ML.PREDICT(MODEL lateness, (SELECT *, 1 AS predicted_late FROM rides))", expect![[r#"invalid: the input of ML.PREDICT has a column 'predicted_late' already, which the prediction is called; leave it out with SELECT * EXCEPT (predicted_late) or rename it (line 1, column 15)"#]])
        .await;
    f.fails(
        "SELECT * FROM ML.PREDICT(MODEL lateness, (SELECT * FROM rides a JOIN rides b ON a.id = b.id))",
        expect![[
            r#"invalid: the input of ML.PREDICT has two columns named 'id'; rename one with AS (line 1, column 15)"#
        ]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_other_relations_say_how_they_are_written() {
    let f = with_models().await;
    f.fails("SELECT * FROM ML.EVALUATE(MODEL lateness, (SELECT distance, vehicle FROM rides))", expect![[r#"invalid: the label 'late' of model lateness is not a column of the input; it is what predictions are compared with (line 1, column 15)"#]]).await;
    f.fails("SELECT * FROM ML.EVALUATE(MODEL duration)", expect![[r#"invalid: model duration has no held-out metrics, since all rows were used for training; give rows: ML.EVALUATE(MODEL m, TABLE t), or train with data_split_method = 'RANDOM' (line 1, column 15)"#]]).await;
    f.fails("SELECT * FROM ML.FEATURE_IMPORTANCE(MODEL duration)", expect![[r#"invalid: ML.FEATURE_IMPORTANCE is for BOOSTED_TREE_CLASSIFIER and BOOSTED_TREE_REGRESSOR, and model duration is a LINEAR_REG; use ML.WEIGHTS (line 1, column 15)"#]]).await;
    f.fails("SELECT * FROM ML.CONFUSION_MATRIX(MODEL duration, TABLE rides)", expect![[r#"invalid: ML.CONFUSION_MATRIX is for classifiers, and model duration is a LINEAR_REG; ML.EVALUATE measures a regressor (line 1, column 15)"#]]).await;
    f.fails("SELECT * FROM ML.ROC_CURVE(MODEL duration, TABLE rides)", expect![[r#"invalid: ML.ROC_CURVE is for classifiers of two classes, and model duration is a LINEAR_REG (line 1, column 15)"#]]).await;
    f.fails("SELECT * FROM ML.WEIGHTS(MODEL duration, TABLE rides)", expect![[r#"invalid: ML.WEIGHTS does not take '(SELECT * FROM rides)'; write ML.WEIGHTS(MODEL m [, STRUCT(value AS standardize)]) (line 1, column 48)"#]]).await;
    f.fails(
        "SELECT * FROM ML.PREDIT(MODEL lateness, TABLE rides)",
        expect![[r#"not found: unknown relation 'ML.PREDIT'; did you mean 'ML.PREDICT'? (line 1, column 15)"#]],
    )
    .await;
    f.fails("SELECT ML.PREDICT(MODEL lateness, TABLE rides)", expect![[r#"invalid: ML.PREDICT is a relation, not a value; write it in FROM: SELECT * FROM ML.PREDICT(..) (line 1, column 8)"#]]).await;
    f.fails("SELECT ML.STANDARD_SCALER(distance) OVER () FROM rides", expect![[r#"invalid: ML.STANDARD_SCALER takes its statistics from the training rows, so it stands in the TRANSFORM clause of CREATE MODEL; anywhere in a query: ML.BUCKETIZE, ML.HASH_BUCKETIZE, ML.FEATURE_CROSS, ML.POLYNOMIAL_EXPAND, ML.NORMALIZER (line 1, column 8)"#]]).await;
    f.fails("SELECT * FROM rides r, LATERAL ML.PREDICT(MODEL lateness, TABLE rides)", expect![[r#"invalid: ML.PREDICT cannot be LATERAL: its input is a relation of its own; join its result instead (line 1, column 32)"#]]).await;
    f.fails("SELECT (SELECT max(p.distance) FROM ML.PREDICT(MODEL lateness, (SELECT r.distance, r.vehicle)) p) FROM rides r", expect![[r#"invalid: the input of ML.PREDICT names a column of the query around it; join the result instead (line 1, column 37)"#]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_statements_about_models_say_how_they_are_written() {
    let f = with_models().await;
    f.fails(
        "DESCRIBE MODEL latenes",
        expect![[r#"not found: there is no model latenes; did you mean lateness? (line 1, column 16)"#]],
    )
    .await;
    f.fails(
        "DROP MODEL latenes",
        expect![[r#"not found: there is no model latenes; did you mean lateness? (line 1, column 12)"#]],
    )
    .await;
    f.fails(
        "CREATE MODEL lateness OPTIONS (model_type = 'LINEAR_REG') AS SELECT 1.0 AS x, 1.0 AS label",
        expect![[r#"conflict: model lateness exists already (version 1); write CREATE OR REPLACE MODEL to train a new version (line 1, column 1)"#]],
    )
    .await;
    f.fails(
        "EXPORT MODEL lateness",
        expect![[r#"invalid: EXPORT MODEL needs a place: OPTIONS (uri = 'folder') (line 1, column 1)"#]],
    )
    .await;
    f.fails(
        "EXPORT MODEL lateness OPTIONS (url = 'x')",
        expect![[r#"invalid: unknown option 'url'; did you mean 'uri'? (line 1, column 32)"#]],
    )
    .await;
}

/// The manifest without what differs from run to run: the query, and the checksums of that and of the times.
fn lasting(manifest: &Bytes) -> serde_json::Value {
    let mut manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    let object = manifest.as_object_mut().unwrap();
    for changing in ["lineage", "checksum"] {
        assert!(object.remove(changing).is_some(), "{changing}");
    }
    assert!(object["files"].as_object_mut().unwrap().remove("training_info.arrow").is_some());
    manifest
}

/// The losses of the iterations, without the times that they took.
fn losses(training_info: &Bytes) -> String {
    let reader = arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(training_info.clone()), None).unwrap();
    let batches: Vec<_> = reader
        .map(|batch| {
            let mut batch = batch.unwrap();
            batch.remove_column(batch.schema().index_of("duration_ms").unwrap());
            batch
        })
        .collect();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// What training computes must not depend on the machine: the files of the artifact are compared byte by byte, but for
/// the query in the manifest and the times of the iterations.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_depends_neither_on_threads_nor_on_the_order_of_rows() {
    let f = Fixture::new().await;
    let options =
        "TRANSFORM (ML.STANDARD_SCALER(distance) OVER () AS d, ML.LABEL_ENCODER(vehicle) OVER () AS v, hour, late)";
    for kind in ["LOGISTIC_REG", "BOOSTED_TREE_CLASSIFIER"] {
        let mut first: Option<((serde_json::Value, String), BTreeMap<String, Bytes>)> = None;
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
            let told = (
                lasting(&files.remove("manifest.json").unwrap()),
                losses(&files.remove("training_info.arrow").unwrap()),
            );
            assert!(!files.is_empty());
            match &first {
                None => first = Some((told, files)),
                Some((first_told, first)) => {
                    assert_eq!(first_told, &told, "{kind}, {threads} threads, ORDER BY {order}");
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
    expect![[r#"the statement was cancelled; nothing was committed (line 1, column 1)"#]].assert_eq(&error.to_string());
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
async fn training_follows_the_memory_limit_that_is_set() {
    let f = Fixture::new().await;
    let model = "CREATE OR REPLACE MODEL m OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['minutes']) \
                 AS SELECT distance, hour, minutes FROM rides";
    let error = f.session.sql(&format!("SET memory_limit = '40kB'; {model}")).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "exhausted", "{error}");
    f.session.sql(&format!("RESET memory_limit; {model}")).await.unwrap();
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
