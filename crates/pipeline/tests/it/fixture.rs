//! A small pipeline in a folder of its own, with a lake beside it.

use std::sync::{Arc, Mutex};

use lakemill_lake::{Lake, LakeOptions};
use lakemill_pipeline::{Cancel, Pipeline, RunEvent, RunObserver, RunOptions, RunSummary};
use lakemill_query::{Session, SessionOptions};
use tempfile::TempDir;

/// A pipeline folder, a lake and a session.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) session: Session,
}

impl Fixture {
    /// The pipeline that most tests change: raw rows, a chain of two tables, one beside it, and one that grows.
    pub(crate) async fn chain() -> Self {
        Self::new(&[
            ("raw.csv", "x\n1\n2\n3\n"),
            (
                "01_load.sql",
                "CREATE OR REPLACE EXTERNAL TABLE raw (x INT) STORED AS CSV LOCATION 'raw.csv' OPTIONS (has_header 'true');\n\
                 CREATE OR REPLACE TABLE t AS SELECT x FROM raw;",
            ),
            ("02_next.sql", "CREATE OR REPLACE TABLE a AS SELECT x + 1 AS x FROM t;"),
            ("03_last.sql", "CREATE OR REPLACE TABLE b AS SELECT count(*) AS n FROM a;"),
            ("04_side.sql", "CREATE OR REPLACE TABLE side AS SELECT 1 AS one;"),
            (
                "05_grow.sql",
                "CREATE OR REPLACE TABLE log AS SELECT x FROM a;\nINSERT INTO log SELECT x FROM t;",
            ),
        ])
        .await
    }

    pub(crate) async fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("p")).unwrap();
        let location = dir.path().join("lake").to_string_lossy().into_owned();
        let lake = Lake::open(LakeOptions::new(location)).await.unwrap();
        let session = Session::open(lake, SessionOptions { threads: Some(2), ..SessionOptions::default() }).unwrap();
        let fixture = Self { dir, session };
        files.iter().for_each(|(name, text)| fixture.put(name, text));
        fixture
    }

    /// Writes a file of the pipeline.
    pub(crate) fn put(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join("p").join(name), text).unwrap();
    }

    pub(crate) fn pipeline(&self) -> Pipeline {
        Pipeline::load(self.dir.path().join("p")).unwrap()
    }

    /// Runs; gives what ran and why, a line each.
    pub(crate) async fn run(&self) -> String {
        self.run_with(&RunOptions::default()).await
    }

    pub(crate) async fn run_with(&self, options: &RunOptions) -> String {
        let planned = self.plan(options).await;
        let summary = self.summary(options).await;
        assert!(summary.is_finished(), "{:?}", summary.outcome);
        let ran = ran(&summary);
        assert_eq!(planned, ran, "the plan says what the run does");
        ran
    }

    pub(crate) async fn summary(&self, options: &RunOptions) -> RunSummary {
        let observer = Arc::new(Recorder::default());
        self.pipeline().run(&self.session, options, observer, &Cancel::new()).await.unwrap()
    }

    pub(crate) async fn plan(&self, options: &RunOptions) -> String {
        let plan = self.pipeline().plan(&self.session, options).await.unwrap();
        let mut lines = String::new();
        for statement in plan.steps.iter().filter(|step| step.selected).flat_map(|step| &step.statements) {
            if let lakemill_pipeline::Action::Run(reason) = &statement.action {
                lines.push_str(&format!("{}: {reason}\n", statement.label));
            }
        }
        lines
    }

    /// The one number that a query gives.
    pub(crate) async fn number(&self, sql: &str) -> String {
        let rows = self.session.sql(sql).await.unwrap();
        arrow::util::display::array_value_to_string(rows[0].column(0), 0).unwrap()
    }
}

/// What ran and why, a line each.
pub(crate) fn ran(summary: &RunSummary) -> String {
    let statements = summary.steps.iter().flat_map(|step| &step.statements);
    statements.map(|statement| format!("{}: {}\n", statement.label, statement.reason)).collect()
}

/// Keeps the names of events.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<String>>);

impl RunObserver for Recorder {
    fn event(&self, event: &RunEvent<'_>) {
        let text = match event {
            RunEvent::StatementStarted { label, .. } => format!("start {label}"),
            RunEvent::StatementFinished { summary, .. } => format!("done {}", summary.label),
            _ => return,
        };
        self.0.lock().unwrap().push(text);
    }
}
