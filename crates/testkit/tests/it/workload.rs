//! What the crash tests run: the binary on a small pipeline and on a loop of changes, and what must hold after.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::{Session, SessionOptions};
use lakemill_testkit::{Result, process};
use tempfile::TempDir;

/// A folder with a lake and the files of a workload.
pub(crate) struct Workload {
    folder: TempDir,
}

/// The steps of the small pipeline. Each table has one right count, or, while its step runs, the counts listed in
/// [`COUNTS`].
const STEPS: [(&str, &str); 4] = [
    ("10_source.sql", "CREATE OR REPLACE TABLE source AS SELECT value AS id, value % 7 AS k, value * 0.5 AS x FROM generate_series(1, 20000);"),
    ("20_derived.sql", "CREATE OR REPLACE TABLE derived AS SELECT id, k, x, 3 * x + k AS y FROM source WHERE id % 2 = 0;"),
    (
        "30_grown.sql",
        "CREATE OR REPLACE TABLE grown AS SELECT id, y FROM derived WHERE id <= 200;
         INSERT INTO grown SELECT id, y FROM derived WHERE id > 200 AND id <= 400;
         MERGE INTO grown USING (SELECT id, y + 1 AS y FROM derived WHERE id <= 500) AS s ON grown.id = s.id
           WHEN MATCHED THEN UPDATE SET y = s.y WHEN NOT MATCHED THEN INSERT (id, y) VALUES (s.id, s.y);",
    ),
    (
        "40_model.sql",
        "CREATE OR REPLACE MODEL line OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y'], data_split_method = 'NO_SPLIT')
           AS SELECT x, k, y FROM derived;
         CREATE OR REPLACE TABLE scored AS SELECT * FROM ML.PREDICT(MODEL line, TABLE derived);",
    ),
];

/// The counts that a reader may see in each table of the pipeline.
const COUNTS: [(&str, &[i64]); 4] =
    [("source", &[20_000]), ("derived", &[10_000]), ("grown", &[100, 200, 250]), ("scored", &[10_000])];

impl Workload {
    /// A fresh folder with the pipeline in it.
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("lakemill-crash-").tempdir()?;
        std::fs::create_dir(folder.path().join("pipeline"))?;
        for (name, text) in STEPS {
            std::fs::write(folder.path().join("pipeline").join(name), text)?;
        }
        Ok(Self { folder })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary on this lake.
    pub(crate) fn lakemill(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(process::lakemill()?);
        command.arg("--lake").arg(self.path("lake")).args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    /// Starts `lakemill run --force` on the pipeline.
    pub(crate) fn start_run(&self) -> Result<Child> {
        let mut command = self.lakemill(&["run", "pipeline", "--force"])?;
        Ok(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    /// Runs the pipeline to its end.
    pub(crate) fn finish_run(&self) -> Result<()> {
        process::said("lakemill run", self.lakemill(&["run", "pipeline"])?.output()?).map(drop)
    }

    /// A session in this process.
    pub(crate) async fn session(&self) -> Result<Session> {
        session(&self.path("lake")).await
    }

    /// Every table of the pipeline that exists opens and has a right count; `finished` asks for all of them.
    pub(crate) async fn check_pipeline(&self, finished: bool) -> Result<()> {
        let session = self.session().await?;
        let present = names(&session).await?;
        for (table, counts) in COUNTS {
            if !present.iter().any(|name| name == table) {
                if finished {
                    return Err(format!("{table} is missing after a finished run").into());
                }
                continue;
            }
            let count = one(&session, &format!("SELECT count(*) FROM {table}")).await?;
            let right = if finished { counts.last() == Some(&count) } else { counts.contains(&count) };
            if !right {
                return Err(format!("{table} has {count} rows, not one of {counts:?} (finished: {finished})").into());
            }
        }
        if finished {
            one(&session, "SELECT count(*) FROM ML.PREDICT(MODEL line, TABLE derived)").await?;
        }
        Ok(())
    }
}

/// A session of the lake at `path`.
pub(crate) async fn session(path: &Path) -> Result<Session> {
    let lake = Lake::open(LakeOptions::new(path.display().to_string())).await?;
    Ok(Session::open(lake, SessionOptions::default())?)
}

/// The tables of the default namespace.
pub(crate) async fn names(session: &Session) -> Result<Vec<String>> {
    Ok(session.lake().list("main").await?.into_iter().map(|relation| relation.name.table).collect())
}

/// The one integer that a query gives; NULL is 0.
pub(crate) async fn one(session: &Session, sql: &str) -> Result<i64> {
    let batches = session.sql(sql).await.map_err(|error| format!("{sql}: {error}"))?;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0).ok_or_else(|| format!("{sql}: no row"))?;
    let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Int64)?;
    Ok(column.as_primitive::<Int64Type>().iter().next().flatten().unwrap_or(0))
}
