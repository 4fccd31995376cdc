//! What other faces than the command line ask of a session: values for placeholders, what a statement takes and gives,
//! sessions side by side, and statements kept from the machine's files.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use datafusion::common::ScalarValue;
use futures::TryStreamExt;
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::{Confinement, Error, NoObserver, Outcome, Session, SessionOptions};
use tempfile::TempDir;

async fn session(folder: &Path, confinement: Option<Confinement>) -> Session {
    let lake = Lake::open(LakeOptions::new(folder.join("lake").to_str().unwrap())).await.unwrap();
    Session::open(lake, SessionOptions { confinement, ..SessionOptions::default() }).unwrap()
}

async fn bound(session: &Session, sql: &str, values: &[ScalarValue]) -> Result<Vec<RecordBatch>, Error> {
    let parsed = session.parse(sql)?.remove(0).bind(values)?;
    match session.execute(&parsed, std::sync::Arc::new(NoObserver)).await?.outcome {
        Outcome::Rows(rows) => Ok(rows.try_collect().await?),
        Outcome::Done(_) => Ok(Vec::new()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_value_is_that_value_whatever_it_holds() {
    let folder = TempDir::new().unwrap();
    let session = session(folder.path(), None).await;
    let values = [
        ScalarValue::from(7_i64),
        ScalarValue::from(-7_i64),
        ScalarValue::from(i64::MIN),
        ScalarValue::from(3_i16),
        ScalarValue::from(0.1_f64),
        ScalarValue::from(f64::NAN),
        ScalarValue::from(f64::NEG_INFINITY),
        ScalarValue::from(true),
        ScalarValue::from("it's; DROP TABLE t; -- \"quoted\" \\ $1 \u{1F600}"),
        ScalarValue::from(""),
        ScalarValue::Binary(Some(vec![0, 255, 39])),
        ScalarValue::Decimal128(Some(-12_345), 12, 3),
        ScalarValue::Date32(Some(20_000)),
        ScalarValue::TimestampMicrosecond(Some(1_700_000_000_123_456), None),
        ScalarValue::Utf8(None),
        ScalarValue::Int32(None),
    ];
    for value in values {
        let rows = bound(&session, "SELECT $1 AS v", std::slice::from_ref(&value)).await.unwrap();
        let given = ScalarValue::try_from_array(rows[0].column(0), 0).unwrap();
        let given = given.cast_to(&value.data_type()).unwrap();
        let same = given == value
            || matches!((&given, &value), (ScalarValue::Float64(Some(a)), ScalarValue::Float64(Some(b))) if a.is_nan() && b.is_nan());
        assert!(same, "{value:?} came back as {given:?}");
    }
    let list = ScalarValue::List(ScalarValue::new_list_nullable(
        &[ScalarValue::from(1_i64), ScalarValue::from(2_i64)],
        &DataType::Int64,
    ));
    let rows =
        bound(&session, "SELECT array_length($1) AS n, $2 AS b, $1[2] AS second", &[list, ScalarValue::from("b")])
            .await
            .unwrap();
    assert!(pretty_format_batches(&rows).unwrap().to_string().contains("| 2 | b | 2      |"));
    let error = bound(&session, "SELECT $2", &[ScalarValue::from(1_i64)]).await.unwrap_err().to_string();
    assert!(error.contains("takes 2 values, but 1 are given"), "{error}");
    let error = session.parse("SELECT $name").unwrap()[0].bind(&[]).unwrap_err().to_string();
    assert!(error.contains("write $1, $2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_go_into_every_kind_of_statement() {
    let folder = TempDir::new().unwrap();
    let session = session(folder.path(), None).await;
    session.sql("CREATE TABLE t (a INT, b VARCHAR)").await.unwrap();
    let one = [ScalarValue::from(1_i64), ScalarValue::from("x'y")];
    bound(&session, "INSERT INTO t VALUES ($1, $2)", &one).await.unwrap();
    bound(&session, "INSERT INTO t SELECT $1 + 1, $2", &one).await.unwrap();
    bound(&session, "UPDATE t SET b = $2 || '!' WHERE a = $1", &one).await.unwrap();
    bound(&session, "CREATE TABLE u AS SELECT * FROM t WHERE b LIKE $1", &[ScalarValue::from("x''y%")]).await.unwrap();
    bound(&session, "DELETE FROM t WHERE a = $1", &[ScalarValue::from(2_i64)]).await.unwrap();
    let rows = session.sql("SELECT * FROM t").await.unwrap();
    assert!(pretty_format_batches(&rows).unwrap().to_string().contains("| 1 | x'y! |"));
    assert_eq!(session.sql("SELECT * FROM u").await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_says_what_a_statement_takes_and_gives_and_runs_nothing() {
    let folder = TempDir::new().unwrap();
    let session = session(folder.path(), None).await;
    session.sql("CREATE TABLE t (a INT, b VARCHAR, at TIMESTAMP)").await.unwrap();
    let describe = async |sql: &str| session.describe(&session.parse(sql).unwrap()[0]).await.unwrap();
    let query = describe("SELECT a, count(*) AS n FROM t WHERE b = $2 AND a > $1 GROUP BY a").await;
    assert_eq!(query.parameters[0], Some(DataType::Int32));
    assert!(query.parameters[1].as_ref().is_some_and(DataType::is_string), "{query:?}");
    let expected = Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("n", DataType::Int64, false)]);
    assert_eq!(query.columns.unwrap().as_ref(), &expected);

    let insert = describe("INSERT INTO t VALUES ($1, $2, $3)").await;
    assert!(insert.columns.is_none());
    assert_eq!(insert.parameters[0], Some(DataType::Int32));
    assert!(matches!(insert.parameters[2], Some(DataType::Timestamp(TimeUnit::Microsecond, None))), "{insert:?}");
    assert_eq!(describe("SHOW TABLES").await.columns.unwrap().field(0).name(), "namespace");
    assert_eq!(describe("EXPLAIN ANALYZE SELECT 1").await.columns.unwrap().fields().len(), 2);
    assert!(describe("DROP TABLE t").await.columns.is_none());
    assert_eq!(session.sql("SELECT * FROM t").await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    let error = session.describe(&session.parse("INSERT INTO nowhere VALUES ($1)").unwrap()[0]).await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_share_the_lake_and_nothing_that_they_set() {
    let folder = TempDir::new().unwrap();
    let session = session(folder.path(), None).await;
    session.sql("CREATE NAMESPACE other").await.unwrap();
    let (one, two) = (session.client(), session.client());
    one.sql("USE other; SET batch_size = 7; CREATE TABLE t AS SELECT 1 AS a; PREPARE p AS SELECT 1").await.unwrap();
    assert_eq!(two.namespace(), "main");
    let shown = async |session: &Session| {
        pretty_format_batches(&session.sql("SHOW batch_size").await.unwrap()).unwrap().to_string()
    };
    assert!(shown(&one).await.contains("| 7 "));
    assert!(!shown(&two).await.contains("| 7 "));
    assert!(two.sql("EXECUTE p").await.is_err());
    assert_eq!(two.sql("SELECT * FROM other.t").await.unwrap()[0].num_rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn confined_statements_reach_the_lake_alone() {
    let folder = TempDir::new().unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    for path in [open.join("a.csv"), folder.path().join("secret.csv")] {
        std::fs::write(path, "a\n1\n").unwrap();
    }
    let owner = session(folder.path(), None).await;
    let secret = folder.path().join("secret.csv").display().to_string();
    owner
        .sql(&format!(
            "CREATE TABLE t AS SELECT 1 AS a, true AS b; CREATE EXTERNAL TABLE e STORED AS CSV LOCATION '{secret}'"
        ))
        .await
        .unwrap();
    owner
        .sql(
            "CREATE MODEL m OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y'], data_split_method = 'NO_SPLIT')
             AS SELECT x, 2 * x AS y FROM generate_series(1, 20) AS g (x)",
        )
        .await
        .unwrap();
    let confined = session(folder.path(), Some(Confinement::to([open.to_str().unwrap()]).unwrap())).await;
    let out = folder.path().join("out.csv").display().to_string();
    for statement in [
        format!("SELECT * FROM '{secret}'"),
        format!("SELECT * FROM read_csv('{secret}')"),
        format!("SELECT a FROM t WHERE a IN (SELECT a FROM '{secret}')"),
        format!("WITH w AS (SELECT * FROM '{}/../secret.csv') SELECT * FROM w", open.display()),
        format!("CREATE TABLE u AS SELECT * FROM '{secret}'"),
        format!("CREATE VIEW v AS SELECT * FROM '{secret}'"),
        format!("INSERT INTO t SELECT a, true FROM '{secret}'"),
        format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{secret}'"),
        format!("EXPLAIN ANALYZE SELECT * FROM '{secret}'"),
        format!("COPY t TO '{out}'"),
        format!("COPY (SELECT 1) TO '{}/'", folder.path().display()),
        format!("EXPORT MODEL m OPTIONS (uri = '{}')", folder.path().join("model").display()),
        "SELECT * FROM 's3://bucket/x.csv'".to_owned(),
        "SELECT * FROM 'file:///etc/passwd'".to_owned(),
    ] {
        let error = confined.sql(&statement).await.map(|_| ()).expect_err(&statement).to_string();
        assert!(error.contains("is out of reach"), "{statement}: {error}");
    }
    for statement in
        ["SET memory_limit = '1GB'", "SET temp_directory = '/tmp'", "SET threads = 64", "RESET memory_limit"]
    {
        let error = confined.sql(statement).await.unwrap_err().to_string();
        assert!(error.contains("cannot be changed: the server's memory, threads and disk"), "{statement}: {error}");
    }
    assert!(!Path::new(&out).exists());
    // What the owner has made, and what he has allowed, can be used.
    for statement in [
        "SELECT * FROM e".to_owned(),
        format!("SELECT * FROM '{}/*.csv'", open.display()),
        format!("COPY t TO '{}/t.csv'", open.display()),
    ] {
        confined.sql(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}
