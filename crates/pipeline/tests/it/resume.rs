//! Runs that fail, are stopped or die go on where they were.

use std::sync::Arc;

use expect_test::expect;
use lakemill_pipeline::{Cancel, RunEvent, RunObserver, RunOptions, RunOutcome, StepStatus};

use crate::fixture::{Fixture, ran};

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_names_file_line_and_column_and_keeps_what_was_done() {
    let fixture = Fixture::chain().await;
    fixture.put("03_last.sql", "-- a slip\nCREATE OR REPLACE TABLE b AS\nSELECT count(*) AS n, y FROM a;");
    let summary = fixture.summary(&RunOptions::default()).await;
    let RunOutcome::Failed(error) = &summary.outcome else { panic!("{:?}", summary.outcome) };
    let place = error.place().unwrap();
    assert!(place.file.ends_with("p/03_last.sql"));
    assert_eq!((place.line, place.column), (3, 23), "{error}");
    let statuses: Vec<StepStatus> = summary.steps.iter().map(|step| step.status).collect();
    let expected =
        [StepStatus::Ran, StepStatus::Ran, StepStatus::Failed, StepStatus::NotReached, StepStatus::NotReached];
    assert_eq!(statuses, expected);
    let run = &fixture.session.lake().runs(Some("p"), 1).await.unwrap()[0];
    let told: Vec<&str> = run.detail.steps.iter().map(|step| step.status.as_str()).collect();
    assert_eq!((run.status.as_str(), told), ("failed", vec!["done", "done", "failed", "not reached", "not reached"]));
    assert_eq!(run.detail.steps[2].statements[0].status, "failed");
    assert!(run.detail.error.as_deref().unwrap().contains("p/03_last.sql:3:23"), "{:?}", run.detail.error);
    fixture.put("03_last.sql", "CREATE OR REPLACE TABLE b AS SELECT count(*) AS n FROM a;");
    let rest = fixture.run().await;
    assert!(rest.starts_with("CREATE TABLE b: ") && rest.lines().count() == 4, "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syntax_error_stops_before_anything_runs() {
    let fixture = Fixture::chain().await;
    fixture.put("05_grow.sql", "CREATE OR REPLACE TABLE log AS\nSELEC x FROM a;");
    let error = fixture.pipeline().plan(&fixture.session, &RunOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("05_grow.sql:2:1: syntax error"), "{error}");
    assert!(error.snippet().unwrap().starts_with("SELEC x FROM a;\n^"));
}

/// Stops the run when a statement begins.
#[derive(Debug)]
struct StopAt(&'static str, Cancel);

impl RunObserver for StopAt {
    fn event(&self, event: &RunEvent<'_>) {
        if matches!(event, RunEvent::StatementStarted { label, .. } if *label == self.0) {
            self.1.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_goes_on_where_it_was() {
    let fixture = Fixture::chain().await;
    let cancel = Cancel::new();
    let observer = Arc::new(StopAt("INSERT INTO log", cancel.clone()));
    let options = RunOptions::default();
    let summary = fixture.pipeline().run(&fixture.session, &options, observer, &cancel).await.unwrap();
    assert!(matches!(summary.outcome, RunOutcome::Cancelled));
    assert_eq!(ran(&summary).lines().count(), 6);
    assert_eq!(fixture.number("SELECT count(*) FROM log").await, "3");
    expect![[r#"
        INSERT INTO log: the last run did not finish it
    "#]]
    .assert_eq(&fixture.run().await);
    assert_eq!(fixture.number("SELECT count(*) FROM log").await, "6");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_record_was_lost_is_not_made_twice() {
    let fixture = Fixture::chain().await;
    fixture.run().await;
    let lake = fixture.session.lake();
    let mut state = lake.step_state("p", "05_grow").await.unwrap().unwrap();
    // As if the process had died between the commit of the INSERT and its record.
    let after_create = state["statements"][0]["outputs"].clone();
    let insert = &mut state["statements"][1];
    insert["done"] = false.into();
    insert["outputs"] = after_create;
    lake.save_step_state("p", "05_grow", &state).await.unwrap();
    assert_eq!(fixture.run().await, "");
    assert_eq!(fixture.number("SELECT count(*) FROM log").await, "6");
    assert!(fixture.summary(&RunOptions::default()).await.is_up_to_date());
}
