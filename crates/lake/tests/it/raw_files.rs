//! Raw files: formats, types, partitions, and errors that name the place.

use lakemill_base::ErrorKind;
use lakemill_lake::external;

use crate::support::TestLake;

const ALL: &str = "SELECT * FROM raw";

#[tokio::test(flavor = "multi_thread")]
async fn csv_types_are_inferred() {
    let lake = TestLake::new().await;
    let path = lake.file(
        "a.csv",
        "\u{feff}id,name,at,x\r\n1,\"a, \"\"b\"\"\",2013-01-01 05:00:00,1.5\r\n2,,2013-01-02 06:00:00,\r\n",
    );
    let rows = lake.raw(&path, &[], ALL).await.unwrap();
    assert_eq!(rows, "id name at x\n1 a, \"b\" 2013-01-01T05:00:00 1.5\n2  2013-01-02T06:00:00");
    let types = lake
        .raw(&path, &[], "SELECT arrow_typeof(id) AS a, arrow_typeof(at) AS b, arrow_typeof(x) AS c FROM raw LIMIT 1")
        .await
        .unwrap();
    assert_eq!(types, "a b c\nInt64 Timestamp(µs) Float64");
    assert_eq!(lake.raw(&path, &[], "SELECT count(*) AS n FROM raw").await.unwrap(), "n\n2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_type_names_line_column_and_value() {
    let lake = TestLake::new().await;
    let mut text = "id,speed\n".to_owned();
    (0..50).for_each(|id| text.push_str(&format!("{id},{}\n", id * 2)));
    text.push_str("50,fast\n51,3\n");
    let path = lake.file("a.csv", &text);
    let error = lake.raw(&path, &[("infer_rows", "20")], ALL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    let expected = format!(
        "'{path}', line 52, column 'speed': no BIGINT in 'fast'; mend the file, or leave such rows out with on_error = 'skip'"
    );
    assert_eq!(error.to_string(), expected);
    let rows = lake
        .raw(&path, &[("infer_rows", "20"), ("on_error", "skip")], "SELECT count(*) AS n, sum(id) AS s FROM raw")
        .await
        .unwrap();
    assert_eq!(rows, "n s\n51 1276");
}

#[tokio::test(flavor = "multi_thread")]
async fn ragged_lines_are_named_counted_and_kept() {
    let lake = TestLake::new().await;
    let path = lake.file("a.csv", "a,b\n1,2\n3\n\"x\ny\",5,6\n7,8\n");
    let error = lake.raw(&path, &[], ALL).await.unwrap_err();
    assert!(error.to_string().contains("line 3: 1 fields where the file has 2 columns in '3'"), "{error}");
    let kept = lake.folder.path().join("bad.jsonl");
    let options = [("on_error", "skip"), ("bad_rows", kept.to_str().unwrap())];
    assert_eq!(lake.raw(&path, &options, ALL).await.unwrap(), "a b\n1 2\n7 8");
    let kept = std::fs::read_to_string(&kept).unwrap();
    let lines: Vec<serde_json::Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), lines[0]["line"].as_u64(), lines[1]["line"].as_u64()), (2, Some(3), Some(4)));
    let frame = lake.context.sql("SELECT count(*) FROM raw").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    datafusion::physical_plan::collect(plan.clone(), lake.context.task_ctx()).await.unwrap();
    assert_eq!(external::bad_rows(plan.as_ref()), 2);
    let explained = lake.raw(&path, &options, "EXPLAIN ANALYZE SELECT * FROM raw").await.unwrap();
    assert!(explained.contains("bad_rows=2"), "{explained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_files_are_named() {
    let lake = TestLake::new().await;
    let missing = lake.folder.path().join("nope.csv").to_str().unwrap().to_owned();
    let error = lake.raw(&missing, &[], ALL).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::NotFound, format!("there is no file or folder '{missing}'"))
    );
    let glob = lake.folder.path().join("x*.csv").to_str().unwrap().to_owned();
    assert_eq!(lake.raw(&glob, &[], ALL).await.unwrap_err().to_string(), format!("no file matches '{glob}'"));
    let error = external::entry_for_path("data.xyz").unwrap_err();
    assert!(error.to_string().starts_with("the name 'data.xyz' tells no format"), "{error}");
    let path = lake.file("a.csv", "a\n1\n");
    let error = lake.raw(&path, &[("delimter", ";")], ALL).await.unwrap_err();
    assert_eq!(error.to_string(), "CSV files: unknown option 'delimter'; did you mean 'delimiter'?");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_parquet_file_is_named() {
    let lake = TestLake::new().await;
    lake.create("t", "SELECT value AS id FROM generate_series(1, 1000)").await;
    let tables = lake.folder.path().join("lake/tables");
    let table = std::fs::read_dir(tables).unwrap().next().unwrap().unwrap().path();
    let file = std::fs::read_dir(table)
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "parquet"))
        .unwrap();
    let bytes = std::fs::read(file).unwrap();
    let path = lake.file("whole.parquet", &bytes);
    assert_eq!(lake.raw(&path, &[], "SELECT count(*) AS n FROM raw").await.unwrap(), "n\n1000");
    let path = lake.file("cut.parquet", &bytes[..bytes.len() / 2]);
    let error = lake.raw(&path, &[], ALL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().starts_with(&format!("cannot read '{path}' as Parquet: ")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_and_arrays() {
    let lake = TestLake::new().await;
    let lines = lake.file("a.jsonl", "{\"id\": 1, \"x\": 1}\n{\"id\": 2, \"x\": 2.5, \"s\": {\"k\": \"v\"}}\n");
    assert_eq!(lake.raw(&lines, &[], "SELECT * FROM raw ORDER BY id").await.unwrap(), "id x s\n1 1.0\n2 2.5 {k: v}");
    let array = lake.file("b.json", "[{\"id\": 1},\n {\"id\": 2}]");
    assert_eq!(lake.raw(&array, &[], "SELECT sum(id) AS s FROM raw").await.unwrap(), "s\n3");
    let bad = lake.file("c.jsonl", "{\"id\": 1}\n{\"id\": 2}\n{\"id\": \"x\"}\n{\"id\": 4\n");
    let error = lake.raw(&bad, &[("infer_rows", "2")], ALL).await.unwrap_err();
    assert!(error.to_string().contains("line 3, column 'id'"), "{error}");
    let rows =
        lake.raw(&bad, &[("infer_rows", "2"), ("on_error", "skip")], "SELECT sum(id) AS s FROM raw").await.unwrap();
    assert_eq!(rows, "s\n3");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_globs_partitions_and_compression() {
    let lake = TestLake::new().await;
    lake.file("d/year=2012/month=01/a.csv", "id,x\n1,a\n");
    lake.file("d/year=2013/month=02/b.csv", "x,id\nb,2\n");
    lake.file("d/_hidden.csv", "nonsense");
    let folder = lake.folder.path().join("d").to_str().unwrap().to_owned();
    let mut entry = external::entry_for_path("x.csv").unwrap();
    entry.location = folder.clone();
    let entry = external::infer(&lake.lake, entry, &lake.context.state()).await.unwrap();
    let provider = external::provider(&lake.lake, &entry, &lake.context.state()).await.unwrap();
    lake.context.register_table("d", provider).unwrap();
    let rows = lake.rows("SELECT * FROM d ORDER BY id", &[]).await;
    assert_eq!(rows, "id x year month\n1 a 2012 01\n2 b 2013 02");
    let glob = format!("{folder}/year=*/**/?.csv");
    assert_eq!(lake.raw(&glob, &[], "SELECT count(*) AS n FROM raw WHERE year = 2013").await.unwrap(), "n\n1");
    let first = external::fingerprint(&lake.lake, &entry).await.unwrap();
    assert_eq!(first, external::fingerprint(&lake.lake, &entry).await.unwrap());
    lake.file("d/year=2013/month=02/c.csv", "x,id\nc,3\n");
    assert_ne!(first, external::fingerprint(&lake.lake, &entry).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn options_say_what_would_be_right() {
    let lake = TestLake::new().await;
    let path = lake.file("a.csv", "a;b\n1;2\n");
    assert_eq!(lake.raw(&path, &[("format.delimiter", ";")], ALL).await.unwrap(), "a b\n1 2");
    for (name, value, says) in [
        ("on_error", "ignore", "option 'on_error' is 'ignore'; use 'fail' or 'skip'"),
        ("quote", "''", "option 'quote' is ''''; use one ASCII character"),
    ] {
        assert_eq!(lake.raw(&path, &[(name, value)], ALL).await.unwrap_err().to_string(), says);
    }
}

#[test]
fn names_tell_formats() {
    let format = |path: &str| external::entry_for_path(path).ok().map(|entry| entry.format);
    assert_eq!(format("s3://b/x/*.CSV.gz").as_deref(), Some("csv"));
    assert_eq!(format("x.jsonl").as_deref(), Some("json"));
    assert_eq!((format("x.txt"), format("x.gz")), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_match_as_a_shell_does() {
    let lake = TestLake::new().await;
    for path in ["g/a.csv", "g/x/a.csv", "g/x/y/a.csv", "g/day=1/part-7.csv", "g/a5.tsv", "g/a b%2.csv"] {
        lake.file(path, "n\n1\n");
    }
    lake.file("g/a.csv.gz", "not read");
    let count = async |pattern: &str| {
        let glob = lake.folder.path().join("g").join(pattern).to_str().unwrap().to_owned();
        lake.raw(&glob, &[], "SELECT count(*) AS n FROM raw").await.map_err(|error| error.to_string())
    };
    for (pattern, files) in [
        ("*.csv", 2),
        ("?.csv", 1),
        ("*/a.csv", 1),
        ("**/*.csv", 5),
        ("day=*/part-?.csv", 1),
        ("a[0-9].tsv", 1),
        ("{a4,a5}.tsv", 1),
    ] {
        assert_eq!(count(pattern).await, Ok(format!("n\n{files}")), "{pattern}");
    }
    assert!(count("a[!0-9].csv").await.unwrap_err().starts_with("no file matches"));
    assert!(count("{a,b.csv").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_folder_names_are_the_narrowest() {
    let lake = TestLake::new().await;
    for (number, (a, b, c)) in [("1", "01", "2013-01-01"), ("20", "02", "2013-01-02")].into_iter().enumerate() {
        lake.file(&format!("p/a={a}/b={b}/c={c}/d=a%20b/{number}.csv"), "n\n1\n");
    }
    let glob = lake.folder.path().join("p/**/*.csv").to_str().unwrap().to_owned();
    let sql = "SELECT arrow_typeof(a) AS a, arrow_typeof(b) AS b, arrow_typeof(c) AS c, d FROM raw LIMIT 1";
    assert_eq!(lake.raw(&glob, &[], sql).await.unwrap(), "a b c d\nInt64 Utf8 Date32 a b");
}

/// The bytes come in chunks of a few kilobytes: whatever a chunk cuts in two must not matter.
#[tokio::test(flavor = "multi_thread")]
async fn json_values_may_be_cut_anywhere() {
    let lake = TestLake::new().await;
    for pad in 0..24 {
        let value = |n: usize| format!("{{\"n\":{n},\"s\":\"}}]\\\"{{\",\"v\":[{{\"k\":[1]}},{{\"k\":[2]}}]}}");
        let values: Vec<String> = (0..1000).map(value).collect();
        let lines = format!("{}{}\r\n\n{}", " ".repeat(pad), values[0], values[1..].join("\r\n"));
        let array = format!("{}[\n {}]\n", " ".repeat(pad), values.join(",\n "));
        for (name, text) in [("a.jsonl", lines), ("b.json", array)] {
            let path = lake.file(name, text);
            let rows = lake.raw(&path, &[], "SELECT count(*) AS c, sum(n) AS n, max(s) AS s FROM raw").await.unwrap();
            assert_eq!(rows, "c n s\n1000 499500 }]\"{", "{name}, {pad}");
        }
    }
}
