//! `tables` and `models`.

use crate::support::{Finished, Place};

fn json(out: &str) -> serde_json::Value {
    serde_json::from_str(out).unwrap()
}

#[test]
fn tables_are_listed_and_described() {
    let place = Place::new();
    place
        .sql(
            "CREATE TABLE t AS SELECT value AS a, 'x' AS b FROM generate_series(1, 5); \
             CREATE VIEW v AS SELECT a FROM t WHERE a > 2; CREATE NAMESPACE raw; \
             CREATE TABLE raw.u (n INT NOT NULL, s VARCHAR)",
            &["--quiet"],
        )
        .ok();
    let list = json(&Finished::of(&mut place.lakemill(&["tables", "--format", "json"])).ok().stdout);
    let names: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|row| [&row["namespace"], &row["name"], &row["kind"]].map(|v| v.as_str().unwrap()).join(" "))
        .collect();
    assert_eq!(names, ["main t table", "main v view", "raw u table"]);

    let table = json(&Finished::of(&mut place.lakemill(&["tables", "t", "--format", "json"])).ok().stdout);
    assert_eq!((&table["rows"], &table["kind"]), (&5.into(), &"table".into()));
    assert_eq!(table["columns"][1]["column"], "b");
    assert!(table["lineage"]["by"].as_str().unwrap().contains("generate_series"), "{table}");

    let text = Finished::of(&mut place.lakemill(&["tables", "raw.u"])).ok().stdout;
    assert!(text.contains("BIGINT") || text.contains("INT"), "{text}");
    Finished::of(&mut place.lakemill(&["tables", "nope"])).fails(3, "nope");
}

#[test]
fn models_are_listed_and_described() {
    let place = Place::new();
    place
        .sql(
            "CREATE MODEL line OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y']) AS \
             SELECT value AS x, 3.0 * value + 1 AS y FROM generate_series(1, 100)",
            &["--quiet"],
        )
        .ok();
    let list = json(&Finished::of(&mut place.lakemill(&["models", "--format", "json"])).ok().stdout);
    assert_eq!((&list[0]["name"], &list[0]["type"]), (&"line".into(), &"LINEAR_REG".into()));
    let model = json(&Finished::of(&mut place.lakemill(&["models", "line", "--format", "json"])).ok().stdout);
    assert_eq!(model["version"], 1);
    assert!(model["lineage"].is_object(), "{model}");
    Finished::of(&mut place.lakemill(&["models", "lines"])).fails(3, "line");
}
