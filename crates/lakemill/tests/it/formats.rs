//! Every output format, read back where that can be done.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use expect_test::expect;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::{Finished, Place};

const MIXED: &str = "SELECT * FROM (VALUES (1, 'plain', 0.5, TRUE), (2, 'say \"hi\", you', NULL, FALSE), \
                     (3, '', -2.5, NULL), (NULL, NULL, 12345678.25, TRUE)) AS t (n, text, x, flag) ORDER BY n";

#[test]
fn table() {
    let out = Place::new().sql(MIXED, &[]).ok();
    expect![[r#"
        ┌────────┬───────────────┬─────────────┬─────────┐
        │      n │ text          │           x │ flag    │
        │ BIGINT │ VARCHAR       │      DOUBLE │ BOOLEAN │
        ├────────┼───────────────┼─────────────┼─────────┤
        │      1 │ plain         │         0.5 │ true    │
        │      2 │ say "hi", you │        NULL │ false   │
        │      3 │               │        -2.5 │ NULL    │
        │   NULL │ NULL          │ 12345678.25 │ true    │
        └────────┴───────────────┴─────────────┴─────────┘
    "#]]
    .assert_eq(&out.stdout);
    assert_eq!(out.stderr, "", "row counts and times are for terminals");
}

#[test]
fn csv_quotes_what_it_must() {
    expect![[r#"
        n,text,x,flag
        1,plain,0.5,true
        2,"say ""hi"", you",,false
        3,"",-2.5,
        ,,12345678.25,true
    "#]]
    .assert_eq(&Place::new().sql(MIXED, &["--format", "csv"]).ok().stdout);
}

#[test]
fn json_and_jsonl_hold_the_same_rows() {
    let place = Place::new();
    let array: serde_json::Value = serde_json::from_str(&place.sql(MIXED, &["--format", "json"]).ok().stdout).unwrap();
    let lines: Vec<serde_json::Value> = place
        .sql(MIXED, &["--format", "jsonl"])
        .ok()
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(array, serde_json::Value::Array(lines));
    assert_eq!(array[1], serde_json::json!({"n": 2, "text": "say \"hi\", you", "x": null, "flag": false}));
}

#[test]
fn an_empty_result_is_valid_in_every_format() {
    let place = Place::new();
    let empty = "SELECT 1 AS n WHERE 1 = 0";
    let print = |format| place.sql(empty, &["--format", format]).ok().stdout;
    assert_eq!(print("json"), "[]\n");
    assert_eq!(print("jsonl"), "");
    assert_eq!(print("csv"), "n\n");
    assert_eq!(print("markdown"), "| n |\n| ---: |\n");
    assert!(print("table").contains("n │"));
}

#[test]
fn markdown() {
    expect![[r#"
        | n | text | x | flag |
        | ---: | :--- | ---: | :--- |
        | 1 | plain | 0.5 | true |
        | 2 | say "hi", you |  | false |
        | 3 |  | -2.5 |  |
        |  |  | 12345678.25 | true |
    "#]]
    .assert_eq(&Place::new().sql(MIXED, &["--format", "markdown"]).ok().stdout);
}

#[test]
fn vertical() {
    expect![[r#"
        ── row 1 ───────────────────────────────
           n │ 1
        text │ plain
           x │ 0.5
        flag │ true
        ── row 2 ───────────────────────────────
           n │ 2
        text │ say "hi", you
           x │ NULL
        flag │ false
        ── row 3 ───────────────────────────────
           n │ 3
        text │ 
           x │ -2.5
        flag │ NULL
        ── row 4 ───────────────────────────────
           n │ NULL
        text │ NULL
           x │ 12345678.25
        flag │ true
    "#]]
    .assert_eq(&Place::new().sql(MIXED, &["--format", "vertical"]).ok().stdout);
}

#[test]
fn nested_values_are_json_in_csv() {
    let sql = "SELECT [1, 2, NULL] AS list, named_struct('a', 1, 'b', 'x') AS pair";
    let out = Place::new().sql(sql, &["--format", "csv"]).ok().stdout;
    assert_eq!(out, "list,pair\n\"[1,2,null]\",\"{\"\"a\"\":1,\"\"b\"\":\"\"x\"\"}\"\n");
}

#[test]
fn parquet_is_read_back() {
    let place = Place::new();
    let path = place.path("out.parquet");
    // The ending of the name chooses the format.
    let rows = "SELECT value AS n, value % 7 AS k, 'a text' AS text FROM generate_series(1, 200000)";
    place.sql(rows, &["--output", path.to_str().unwrap()]).ok();
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.schema().field(2).data_type(), &DataType::Utf8);
    let sum: i64 = reader
        .build()
        .unwrap()
        .map(|batch| batch.unwrap().column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>())
        .sum();
    assert_eq!(sum, 200_000 * 200_001 / 2);
    // And by ourselves.
    assert_eq!(place.value(&format!("SELECT sum(n) FROM '{}'", path.display())), sum.to_string());
}

#[test]
fn a_result_that_fails_leaves_no_file() {
    let place = Place::new();
    let path = place.path("out.csv");
    let failed = place.sql("SELECT 1 / (value - 5) FROM generate_series(1, 10)", &["--output", path.to_str().unwrap()]);
    assert_ne!(failed.code, Some(0));
    assert!(!path.exists());
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "no partial file stays");
}

#[test]
fn one_parquet_file_holds_one_result() {
    let place = Place::new();
    let out = place.path("two.parquet");
    place
        .sql("SELECT 1 AS a; SELECT 2 AS b", &["--output", out.to_str().unwrap()])
        .fails(2, "a parquet file holds one result");
}

#[test]
fn a_long_table_shows_head_and_tail() {
    let out = Place::new().sql("SELECT value FROM generate_series(1, 100000) ORDER BY value", &["--max-rows", "4"]);
    expect![[r#"
        ┌────────┐
        │  value │
        │ BIGINT │
        ├────────┤
        │      1 │
        │      2 │
        │      · │
        │  99999 │
        │ 100000 │
        └────────┘
        100,000 rows (4 shown)
    "#]]
    .assert_eq(&out.ok().stdout);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let binary = env!("CARGO_BIN_EXE_lakemill");
    let lake = place.path("lake");
    let shell = format!(
        "{binary} --lake {} sql --format csv -c 'SELECT value FROM generate_series(1, 10000000)' | head -n 2",
        lake.display()
    );
    let out = Finished::of(std::process::Command::new("sh").args(["-c", &shell])).ok();
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("value\n1\n", ""));
}
