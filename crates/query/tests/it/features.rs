//! The features at serving are those at training, bit for bit, and a prediction depends on its row alone: on real flights,
//! with every kind of preprocessing.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use lakemill_lake::{Lake, LakeOptions, ModelName};
use lakemill_learn::{Artifact, Driver, Model, NoObserver, PredictOptions, Split};
use lakemill_query::{Session, SessionOptions};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

/// The columns of a training row, the label last.
const ROWS: &str = "SELECT distance, air_time, sched_dep_time, sched_arr_time, flight, hour, tailnum, dest, carrier, origin, late \
                    FROM flights";

const TRANSFORM: &str = "TRANSFORM (
  ML.STANDARD_SCALER(distance) OVER () AS distance,
  ML.STANDARD_SCALER(ML.IMPUTER(air_time, 'median') OVER ()) OVER () AS air_time,
  ML.MIN_MAX_SCALER(sched_dep_time) OVER () AS departure,
  ML.ROBUST_SCALER(sched_arr_time) OVER () AS arrival,
  ML.MAX_ABS_SCALER(flight) OVER () AS number,
  ML.QUANTILE_BUCKETIZE(sched_dep_time, 20) OVER () AS departure_bucket,
  ML.BUCKETIZE(hour, [6, 10, 16, 20]) AS part_of_day,
  ML.HASH_BUCKETIZE(tailnum, 50) AS plane,
  ML.LABEL_ENCODER(dest) OVER () AS dest,
  ML.ONE_HOT_ENCODER(carrier) OVER () AS carrier,
  ML.FEATURE_CROSS(STRUCT(origin AS o, carrier AS c)) AS route,
  ML.POLYNOMIAL_EXPAND(STRUCT(distance AS a, hour AS b)) AS products,
  origin, late)";

struct Flights {
    folder: TempDir,
    lake: Lake,
}

impl Flights {
    /// The flights of twelve days, 10,000 or so, and a model of each family.
    async fn with_models() -> Self {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(LakeOptions::new(folder.path().join("lake").to_str().unwrap())).await.unwrap();
        let this = Self { folder, lake };
        let data = Path::new("../../examples/flights/data/flights/month=01").canonicalize().unwrap();
        let session = this.session(2);
        let sql = format!(
            "CREATE TABLE flights AS SELECT row_number() OVER (ORDER BY day, sched_dep_time, carrier, flight) AS id, *,
               arr_delay > 15 AS late FROM '{}/*.parquet' WHERE day <= 12 AND arr_delay IS NOT NULL",
            data.display()
        );
        session.sql(&sql).await.unwrap();
        for (name, kind) in [("linear", "LOGISTIC_REG"), ("trees", "BOOSTED_TREE_CLASSIFIER")] {
            let sql = format!(
                "CREATE MODEL {name} {TRANSFORM} OPTIONS (model_type = '{kind}', input_label_cols = ['late'],
                   data_split_method = 'NO_SPLIT', max_iterations = 20) AS {ROWS}"
            );
            session.sql(&sql).await.unwrap();
        }
        this
    }

    fn session(&self, threads: usize) -> Session {
        let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
        Session::open(self.lake.clone(), options).unwrap()
    }

    async fn model(&self, name: &str) -> (Artifact, Model) {
        let files = self.lake.load_model(&ModelName::bare(name), None).await.unwrap().1;
        let artifact = Artifact::verify(files).unwrap();
        let model = Model::from_artifact(&artifact).unwrap();
        (artifact, model)
    }

    /// What ML.TRANSFORM makes of rows, in their order.
    async fn transformed(&self, model: &str, rows: &RecordBatch) -> RecordBatch {
        let path = self.folder.path().join(format!("{model}.parquet"));
        let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), rows.schema(), None).unwrap();
        writer.write(rows).unwrap();
        writer.close().unwrap();
        one(
            &self.session(1),
            &format!("SELECT * FROM ML.TRANSFORM(MODEL {model}, (SELECT * FROM '{}'))", path.display()),
        )
        .await
    }
}

/// The rows of a query as one batch.
async fn one(session: &Session, sql: &str) -> RecordBatch {
    let batches = session.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Training on what ML.TRANSFORM gives for the training rows, in the order in which training had them, gives the very
/// model: it saw these features and no others. Predicting from them gives what ML.PREDICT gives.
#[tokio::test(flavor = "multi_thread")]
async fn transform_gives_the_features_of_training_and_of_prediction() {
    let flights = Flights::with_models().await;
    let driver = Driver::new(2).unwrap();
    for name in ["linear", "trees"] {
        let (artifact, model) = flights.model(name).await;
        let rows = flights.session(2).sql(ROWS).await.unwrap();
        let split = lakemill_learn::split::split(model.spec(), &rows, &driver).unwrap();
        let rows = concat_batches(&split.train[0].schema(), &split.train).unwrap();
        assert!(rows.num_rows() > 9_000, "{}", rows.num_rows());
        let features = flights.transformed(name, &rows).await;
        assert_eq!(features.num_rows(), rows.num_rows());

        let mut at = 0;
        let cut = split.train.iter().map(|batch| {
            at += batch.num_rows();
            features.slice(at - batch.num_rows(), batch.num_rows())
        });
        let again = Split { train: cut.collect(), eval: Vec::new(), dropped_null_label: 0 };
        let again = lakemill_learn::train::train(model.spec(), &again, &driver, &NoObserver).unwrap();
        let again = again.to_artifact().unwrap();
        for (file, content) in &again.files {
            // The types of the inputs are declared, and times are times.
            if !["manifest.json", "inputs.arrow", "training_info.arrow"].contains(&file.as_str()) {
                assert!(Some(content) == artifact.files.get(file), "{name}: {file} differs");
            }
        }

        let from_features = model.predict(&features, &PredictOptions { threshold: None, labels_only: false }).unwrap();
        let path = flights.folder.path().join(format!("{name}.parquet"));
        let sql = format!("SELECT * FROM ML.PREDICT(MODEL {name}, (SELECT * FROM '{}'))", path.display());
        let predicted = one(&flights.session(1), &sql).await;
        for (column, expected) in from_features.iter().enumerate() {
            assert_eq!(predicted.column(column), expected, "{name}: {}", predicted.schema().field(column).name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prediction_depends_on_its_row_alone() {
    let flights = Flights::with_models().await;
    for name in ["linear", "trees"] {
        let predict = |rows: &str| {
            format!(
                "SELECT id, predicted_late, predicted_late_probs FROM ML.PREDICT(MODEL {name}, ({rows})) ORDER BY id"
            )
        };
        let all = one(&flights.session(1), &predict("SELECT * FROM flights")).await;
        for (threads, order) in [(4, "id"), (1, "id DESC"), (3, "(id * 7919) % 10007")] {
            let session = flights.session(threads);
            session.sql("SET datafusion.execution.batch_size = 777").await.unwrap();
            let other = one(&session, &predict(&format!("SELECT * FROM flights ORDER BY {order}"))).await;
            assert!(other == all, "{name}: {threads} threads, ORDER BY {order}");
        }
        let session = flights.session(2);
        for row in (0..all.num_rows()).step_by(997) {
            let id = row + 1;
            let alone = one(&session, &predict(&format!("SELECT * FROM flights WHERE id = {id}"))).await;
            assert!(alone == all.slice(row, 1), "{name}: row {id} alone");
        }
    }
}

/// Row by row, and in parts of any size: what a server answers is what ML.PREDICT answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_scorer_gives_what_predict_gives() {
    let flights = Flights::with_models().await;
    let session = flights.session(2);
    for name in ["linear", "trees"] {
        let scorer = session.scorer(name, None).await.unwrap();
        let columns: Vec<&str> = scorer.input().fields().iter().map(|field| field.name().as_str()).collect();
        let rows = one(&session, &format!("SELECT {} FROM flights ORDER BY id", columns.join(", "))).await;
        let types = scorer.input().fields().iter().zip(rows.columns());
        let typed = types.map(|(field, column)| arrow::compute::cast(column, field.data_type()).unwrap()).collect();
        let rows = RecordBatch::try_new(scorer.input().clone(), typed).unwrap();
        let sql = "SELECT predicted_late, predicted_late_probs FROM ML.PREDICT(MODEL {}, (SELECT * FROM flights)) ORDER BY id";
        let expected = one(&session, &sql.replace("{}", name)).await;
        let mut at = 0;
        for length in [1, 1, 2, 64, 1000, 4099, usize::MAX] {
            let length = length.min(rows.num_rows() - at);
            let scored = scorer.predict(&rows.slice(at, length), None).unwrap();
            for (column, expected) in scored.columns().iter().zip(expected.columns()) {
                assert_eq!(column, &expected.slice(at, length), "{name}: {length} rows from {at}");
            }
            at += length;
        }
        assert_eq!(at, rows.num_rows());
    }
    let error = session.scorer("tree", None).await.unwrap_err().to_string();
    assert!(error.contains("did you mean trees"), "{error}");
}
