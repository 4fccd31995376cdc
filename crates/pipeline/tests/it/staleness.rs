//! What runs again after which change.

use expect_test::expect;
use lakemill_pipeline::RunOptions;

use crate::fixture::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_runs_all_and_the_second_nothing() {
    let fixture = Fixture::chain().await;
    expect![[r#"
        CREATE EXTERNAL TABLE raw: never ran
        CREATE TABLE t: never ran
        CREATE TABLE a: never ran
        CREATE TABLE b: never ran
        CREATE TABLE side: never ran
        CREATE TABLE log: never ran
        INSERT INTO log: never ran
    "#]]
    .assert_eq(&fixture.run().await);
    assert_eq!(fixture.run().await, "");
    assert!(fixture.summary(&RunOptions::default()).await.is_up_to_date());
    assert_eq!(fixture.number("SELECT count(*) FROM log").await, "6");
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_and_line_breaks_do_not_count_but_text_does() {
    let fixture = Fixture::chain().await;
    fixture.run().await;
    fixture.put("02_next.sql", "-- one more\nCREATE OR REPLACE TABLE a AS\n  select x + 1 AS x /* why */ FROM t;\n");
    assert_eq!(fixture.run().await, "");
    fixture.put("02_next.sql", "CREATE OR REPLACE TABLE a AS SELECT x + 2 AS x FROM t;");
    expect![[r#"
        CREATE TABLE a: its SQL has changed
        CREATE TABLE b: table a is made anew
        CREATE TABLE log: table a is made anew
        INSERT INTO log: table log is written again from the start
    "#]]
    .assert_eq(&fixture.run().await);
    assert_eq!(fixture.number("SELECT count(*) FROM log").await, "6");
    assert_eq!(fixture.run().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touched_raw_file_does_not_count_but_a_changed_one_does() {
    let fixture = Fixture::chain().await;
    fixture.run().await;
    fixture.put("raw.csv", "x\n1\n2\n3\n");
    assert_eq!(fixture.run().await, "");
    fixture.put("raw.csv", "x\n1\n2\n3\n4\n");
    let ran = fixture.run().await;
    assert!(ran.starts_with("CREATE EXTERNAL TABLE raw: file raw.csv has changed\n"), "{ran}");
    assert!(!ran.contains("side"), "{ran}");
    assert_eq!(fixture.number("SELECT n FROM b").await, "4");
    assert_eq!(fixture.number("SELECT count(*) FROM log").await, "8");
    assert_eq!(fixture.run().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_others_changed_are_made_again() {
    let fixture = Fixture::chain().await;
    fixture.run().await;
    fixture.session.sql("INSERT INTO b VALUES (9)").await.unwrap();
    fixture.session.sql("DROP TABLE side").await.unwrap();
    expect![[r#"
        CREATE TABLE b: table b was changed outside the pipeline
        CREATE TABLE side: table side is gone
    "#]]
    .assert_eq(&fixture.run().await);
    fixture.session.sql("INSERT INTO log VALUES (9)").await.unwrap();
    expect![[r#"
        CREATE TABLE log: table log is written again from the start
        INSERT INTO log: table log is written again from the start
    "#]]
    .assert_eq(&fixture.plan(&RunOptions::default()).await);
    fixture.run().await;
    assert_eq!(fixture.number("SELECT count(*) FROM log").await, "6");
    assert_eq!(fixture.run().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn force_only_and_from_choose() {
    let fixture = Fixture::chain().await;
    fixture.run().await;
    let force = RunOptions { force: true, ..RunOptions::default() };
    assert_eq!(fixture.run_with(&force).await.matches(": forced").count(), 7);
    let only = RunOptions { force: true, only: vec!["4".into()], from: None };
    assert_eq!(fixture.run_with(&only).await, "CREATE TABLE side: forced\n");
    let from = RunOptions { force: true, only: Vec::new(), from: Some("04_side".into()) };
    assert_eq!(fixture.run_with(&from).await.lines().count(), 3);
    let unknown = RunOptions { only: vec!["04_sid".into()], ..RunOptions::default() };
    let error = fixture.pipeline().plan(&fixture.session, &unknown).await.unwrap_err();
    expect!["unknown step '04_sid'; did you mean '04_side'?"].assert_eq(&error.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_hands_on_the_changes_of_what_it_reads() {
    let fixture = Fixture::new(&[
        ("01_view.sql", "CREATE OR REPLACE VIEW v AS SELECT x FROM outside;"),
        ("02_table.sql", "CREATE OR REPLACE TABLE t AS SELECT x FROM v;"),
    ])
    .await;
    fixture.session.sql("CREATE TABLE outside AS SELECT 1 AS x").await.unwrap();
    fixture.run().await;
    assert_eq!(fixture.run().await, "");
    fixture.session.sql("INSERT INTO outside VALUES (2)").await.unwrap();
    assert!(fixture.run().await.contains("CREATE TABLE t: "));
    assert_eq!(fixture.number("SELECT count(*) FROM t").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_between_two_writers_finds_what_the_first_left() {
    let fixture = Fixture::new(&[(
        "01_all.sql",
        "CREATE OR REPLACE TABLE t AS SELECT 1 AS x;
         CREATE OR REPLACE TABLE early AS SELECT count(*) AS n FROM t;
         INSERT INTO t VALUES (2);
         CREATE OR REPLACE TABLE late AS SELECT count(*) AS n FROM t;",
    )])
    .await;
    fixture.run().await;
    assert_eq!(fixture.run().await, "");
    let text = std::fs::read_to_string(fixture.dir.path().join("p/01_all.sql")).unwrap();
    fixture.put("01_all.sql", &text.replace("AS n FROM t;\n         INSERT", "+ 10 AS n FROM t;\n         INSERT"));
    fixture.run().await;
    assert_eq!(fixture.number("SELECT n FROM early").await, "11");
    assert_eq!(fixture.number("SELECT n FROM late").await, "2");
    assert_eq!(fixture.run().await, "");
}
