//! Other implementations of Delta read every kind of table that we write, and we read what they write.
//!
//! The other side is Python: delta-rs' package, and DuckDB's extension, which is delta-kernel. See `tests/python`.

use std::collections::BTreeMap;

use lakemill_lake::{At, Lake, Relation, TableName};
use lakemill_query::{Session, SessionOptions};
use lakemill_testkit::mode::{FreshLake, Mode};
use lakemill_testkit::{Result, process, servers};
use serde_json::Value;

/// How each table comes to be, and the column that orders its rows.
const TABLES: [(&str, &str, &[&str]); 9] = [
    ("appended", "id", &["CREATE TABLE appended AS SELECT value AS id, 'row ' || value AS text FROM generate_series(1, 5)", "INSERT INTO appended VALUES (6, NULL), (7, '')"]),
    (
        "typed",
        "id",
        &["CREATE TABLE typed AS SELECT CAST(value AS INT) AS id, value / 3.0 AS real, CAST(value AS DECIMAL(10, 2)) AS exact,
             value % 2 = 0 AS flag, DATE '2013-01-01' + CAST(value AS INT) AS day FROM generate_series(1, 5)"],
    ),
    ("partitioned", "id", &["CREATE TABLE partitioned (id BIGINT, part VARCHAR) PARTITIONED BY (part)", "INSERT INTO partitioned VALUES (1, 'a b'), (2, 'c/d'), (3, NULL), (4, 'a b')", "DELETE FROM partitioned WHERE id = 1"]),
    (
        "merged",
        "id",
        &[
            "CREATE TABLE merged AS SELECT value AS id, 'old' AS text FROM generate_series(1, 5)",
            "MERGE INTO merged USING (SELECT value AS id FROM generate_series(4, 7)) AS s ON merged.id = s.id
               WHEN MATCHED THEN UPDATE SET text = 'changed' WHEN NOT MATCHED THEN INSERT (id, text) VALUES (s.id, 'new')",
            "UPDATE merged SET text = 'updated' WHERE id = 1",
        ],
    ),
    ("optimized", "id", &["CREATE TABLE optimized AS SELECT 1 AS id", "INSERT INTO optimized VALUES (2)", "INSERT INTO optimized VALUES (3)", "OPTIMIZE optimized"]),
    (
        "clustered",
        "id",
        &[
            "CREATE TABLE clustered AS SELECT value AS id, value % 10 AS k FROM generate_series(1, 500)",
            "INSERT INTO clustered SELECT value AS id, value % 10 AS k FROM generate_series(501, 1000)",
            "OPTIMIZE clustered ZORDER BY (k, id)",
        ],
    ),
    ("restored", "id", &["CREATE TABLE restored AS SELECT 1 AS id", "INSERT INTO restored VALUES (2)", "DELETE FROM restored", "RESTORE TABLE restored TO VERSION AS OF 1"]),
    (
        "evolved",
        "id",
        &[
            "CREATE TABLE evolved (id BIGINT NOT NULL, text VARCHAR, CONSTRAINT positive CHECK (id > 0))",
            "INSERT INTO evolved VALUES (1, 'one')",
            "ALTER TABLE evolved ADD COLUMN extra DOUBLE",
            "INSERT INTO evolved VALUES (2, 'two', 2.5)",
            "ALTER TABLE evolved RENAME COLUMN text TO words",
            "INSERT INTO evolved VALUES (3, 'three', NULL)",
        ],
    ),
    ("checkpointed", "id", &["CREATE TABLE checkpointed AS SELECT 0 AS id"]),
];
/// Commits enough for checkpoints, at whatever distance they are written.
const MANY_COMMITS: usize = 110;

async fn write_tables(session: &Session) -> Result<()> {
    for (_, _, statements) in TABLES {
        for sql in statements {
            session.sql(sql).await.map_err(|error| format!("{sql}: {error}"))?;
        }
    }
    for id in 1..=MANY_COMMITS {
        session.sql(&format!("INSERT INTO checkpointed VALUES ({id})")).await?;
    }
    Ok(())
}

async fn place(lake: &Lake, table: &str) -> Result<String> {
    match lake.resolve(&TableName::new("main", table), At::Latest).await? {
        Relation::Table(table) => Ok(table.location().to_string()),
        other => Err(format!("{table} is {other:?}").into()),
    }
}

/// The rows of a query, each value as text.
async fn ours(session: &Session, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let batches = session.sql(sql).await.map_err(|error| format!("{sql}: {error}"))?;
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: std::result::Result<Vec<_>, _> = batch
            .columns()
            .iter()
            .map(|column| arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8))
            .collect();
        let columns = columns?;
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| text(column, row)).collect());
        }
    }
    Ok(rows)
}

fn text(column: &arrow::array::ArrayRef, row: usize) -> Option<String> {
    use arrow::array::{Array, AsArray};
    column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned())
}

/// Values print differently in each language; what they mean does not.
fn same(ours: &Option<String>, theirs: &Value) -> bool {
    match (ours, theirs.as_str()) {
        (None, None) => true,
        (Some(ours), Some(theirs)) => {
            ours.eq_ignore_ascii_case(theirs)
                || matches!((ours.parse::<f64>(), theirs.parse::<f64>()), (Ok(a), Ok(b)) if (a - b).abs() <= 1e-12 * a.abs())
        }
        _ => false,
    }
}

async fn others_read_ours(mode: Mode) -> Result<()> {
    let fresh = FreshLake::new(mode)?;
    let lake = Lake::open(fresh.options.clone()).await?;
    let session = Session::open(lake.clone(), SessionOptions::default())?;
    write_tables(&session).await?;
    let environment: BTreeMap<String, String> = match mode {
        Mode { store: lakemill_testkit::mode::Store::S3, .. } => servers::s3()?.environment(),
        _ => BTreeMap::new(),
    };
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    for (table, column, _) in TABLES {
        let location = place(&lake, table).await?;
        let expected = ours(&session, &format!("SELECT * FROM {table} ORDER BY {column}")).await?;
        let seen = process::python("tests/python/read_delta.py", &[&location, column, "latest"], &environment)?;
        let seen: BTreeMap<String, Value> = serde_json::from_str(&seen)?;
        for (engine, seen) in seen {
            let rows = seen["rows"].as_array().ok_or("no rows")?;
            assert_eq!(rows.len(), expected.len(), "{table} through {engine}");
            for (row, expected) in rows.iter().zip(&expected) {
                let cells = row.as_array().ok_or("no cells")?;
                let equal = cells.len() == expected.len()
                    && expected.iter().zip(cells).all(|(ours, theirs)| same(ours, theirs));
                assert!(equal, "{table} through {engine}: {row} where we read {expected:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_read_what_we_write() -> Result<()> {
    others_read_ours(Mode::LOCAL_SQLITE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_read_what_others_write() -> Result<()> {
    let fresh = FreshLake::new(Mode::LOCAL_SQLITE)?;
    let folder = fresh.scratch.path().join("theirs");
    std::fs::create_dir(&folder)?;
    process::python("tests/python/write_delta.py", &[&folder.display().to_string()], &[])?;
    let session = Session::open(Lake::open(fresh.options.clone()).await?, SessionOptions::default())?;
    let mut read = 0;
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let table = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let expected: Vec<Vec<Value>> = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        let location = folder.join(&table).display().to_string();
        session.sql(&format!("CREATE EXTERNAL TABLE \"{table}\" STORED AS DELTA LOCATION '{location}'")).await?;
        let rows = ours(&session, &format!("SELECT id, text FROM \"{table}\" ORDER BY id")).await?;
        let expected: Vec<Vec<Option<String>>> = expected
            .iter()
            .map(|row| {
                row.iter()
                    .map(|value| {
                        (!value.is_null()).then(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                    })
                    .collect()
            })
            .collect();
        assert_eq!(rows, expected, "{table}");
        read += 1;
    }
    assert!(read >= 8, "only {read} tables were there");
    Ok(())
}

mod full {
    use super::{Mode, Result, others_read_ours};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn others_read_what_we_write_to_s3() -> Result<()> {
        others_read_ours(Mode::S3_POSTGRES).await
    }
}
