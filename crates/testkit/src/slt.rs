//! Runs `.slt` files: one file is one fresh lake, and each of its connections is a session of that lake.
//!
//! In a file's text `__DATA__` stands for the suite's folder of inputs, `__SCRATCH__` for a local folder that is
//! the file's own, and `__STORE__` for a folder of the lake's store (`s3://` in the S3 modes). `onlyif` and `skipif`
//! know `local`, `s3`, `sqlite` and `postgres`.
//!
//! `SLT=word` runs only the files whose path contains the word; `SLT_UPDATE=1` writes what came out into the files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use lakemill_lake::Lake;
use lakemill_query::{NoObserver, Outcome, Session, SessionOptions, Summary};
use sqllogictest::{AsyncDB, DBOutput, Normalizer, Record, Runner, parse_with_name, strict_column_validator};

use crate::format::{self, Kind};
use crate::mode::{FreshLake, Mode};
use crate::{Error, Result};

/// Files that run at once: the machine's two cores and one that waits for a server.
const FILES_AT_ONCE: usize = 3;
/// Failing records that are shown of one file.
const FAILURES_SHOWN: usize = 5;

/// A folder of `.slt` files.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The folder, searched with its subfolders.
    pub folder: PathBuf,
    /// What `__DATA__` stands for.
    pub data: PathBuf,
    /// How sessions are opened.
    pub session: SessionOptions,
}

impl Suite {
    /// Runs every file in `mode`; an error lists all failures.
    pub async fn run(&self, mode: Mode) -> Result<()> {
        let files = self.files()?;
        if files.is_empty() {
            return Err(format!("no .slt file in {}", self.folder.display()).into());
        }
        let count = files.len();
        let failures: Vec<String> = stream::iter(files)
            .map(|file| async move {
                let outcome = self.run_file(&file, mode).await;
                outcome.err().map(|error| format!("{} ({mode}):\n{error}", file.display()))
            })
            .buffer_unordered(FILES_AT_ONCE)
            .filter_map(|failure| async move { failure })
            .collect()
            .await;
        if failures.is_empty() {
            return Ok(());
        }
        Err(format!("{} of {count} files failed\n\n{}", failures.len(), failures.join("\n")).into())
    }

    /// The files, in order of their names, narrowed by `SLT`.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let word = std::env::var("SLT").unwrap_or_default();
        let mut files = Vec::new();
        collect(&self.folder, &mut files)?;
        files.retain(|file| file.display().to_string().contains(&word));
        files.sort();
        Ok(files)
    }

    async fn run_file(&self, file: &Path, mode: Mode) -> Result<()> {
        let fresh = FreshLake::new(mode)?;
        let markers = [
            ("__DATA__", self.data.display().to_string()),
            ("__SCRATCH__", fresh.scratch.path().display().to_string()),
            ("__STORE__", fresh.beside.clone()),
        ];
        let lake = Lake::open(fresh.options.clone()).await?;
        let connect = || {
            let (lake, options) = (lake.clone(), self.session.clone());
            async move { Connection::open(lake, options).map_err(Failure::from) }
        };
        let mut runner = Runner::new(connect);
        mode.labels().iter().for_each(|label| runner.add_label(label));
        runner.with_column_validator(strict_column_validator);
        runner.with_normalizer(normalize);
        runner.with_validator(validate);
        if std::env::var_os("SLT_UPDATE").is_some() {
            return update(&mut runner, file, &markers).await;
        }
        let mut text = std::fs::read_to_string(file)?;
        for (marker, value) in &markers {
            text = text.replace(marker, value);
        }
        let records = parse_with_name(&text, file.display().to_string())?;
        let failures = run_records(&mut runner, records).await;
        runner.shutdown_async().await;
        report(&failures.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>())
    }
}

/// Runs records to the end or to `halt`; gives each failure with its line.
pub(crate) async fn run_records<M: sqllogictest::MakeConnection<Conn = Connection>>(
    runner: &mut Runner<Connection, M>,
    records: Vec<Record<Kind>>,
) -> Vec<(u32, String)> {
    let mut failures = Vec::new();
    for record in records {
        if matches!(record, Record::Halt { .. }) {
            break;
        }
        if let Err(error) = runner.run_async(record).await {
            failures.push((error.location().line(), error.to_string()));
        }
    }
    failures
}

fn report(failures: &[String]) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let mut text = failures.iter().take(FAILURES_SHOWN).cloned().collect::<Vec<_>>().join("\n");
    if failures.len() > FAILURES_SHOWN {
        text.push_str(&format!("\n.. and {} more", failures.len() - FAILURES_SHOWN));
    }
    Err(text.into())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes what came out into `file`, with the markers back in place.
async fn update<M: sqllogictest::MakeConnection<Conn = Connection>>(
    runner: &mut Runner<Connection, M>,
    file: &Path,
    markers: &[(&str, String)],
) -> Result<()> {
    let mut text = std::fs::read_to_string(file)?;
    for (marker, value) in markers {
        text = text.replace(marker, value);
    }
    let copy = tempfile::Builder::new().suffix(".slt").tempfile()?.into_temp_path();
    std::fs::write(&copy, text)?;
    let updated = runner.update_test_file(&copy, " ", validate, normalize, strict_column_validator).await;
    updated.map_err(|error| error.to_string())?;
    let mut text = std::fs::read_to_string(&copy)?;
    for (marker, value) in markers {
        text = text.replace(value, marker);
    }
    std::fs::write(file, text)?;
    Ok(())
}

/// Trailing white space does not count.
#[expect(clippy::ptr_arg, reason = "the runner's function type")]
pub(crate) fn normalize(line: &String) -> String {
    line.trim_end().to_owned()
}

/// Compares rows with cells joined by a blank; `<slt:ignore>` in the expected text stands for anything.
pub(crate) fn validate(normalizer: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    let expected: Vec<String> = expected.iter().map(normalizer).collect();
    let actual: Vec<String> = actual.iter().map(|cells| normalizer(&cells.join(" "))).collect();
    let pattern = expected.join("\n");
    if pattern.contains(IGNORE) { matches(&actual.join("\n"), &pattern) } else { actual == expected }
}

const IGNORE: &str = "<slt:ignore>";

fn matches(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split(IGNORE);
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// A session as the runner's database.
#[derive(Debug)]
pub struct Connection {
    session: Session,
    /// Set where it answers as DataFusion does: the folder that stands for its repository.
    workspace: Option<String>,
}

impl Connection {
    /// Opens a session of `lake`.
    pub fn open(lake: Lake, options: SessionOptions) -> Result<Self> {
        Ok(Self { session: Session::open(lake, options)?, workspace: None })
    }

    /// Answers as DataFusion does: INSERT gives one row with a count, and paths below `workspace`, without its first
    /// slash, begin with a word that stands for it.
    pub(crate) fn answering_as_datafusion(mut self, workspace: String) -> Self {
        self.workspace = Some(workspace);
        self
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

#[async_trait]
impl AsyncDB for Connection {
    type Error = Failure;
    type ColumnType = Kind;

    async fn run(&mut self, sql: &str) -> std::result::Result<DBOutput<Kind>, Failure> {
        let mut last = DBOutput::StatementComplete(0);
        for statement in self.session.parse(sql).map_err(Failure::new)? {
            let executed = self.session.execute(&statement, Arc::new(NoObserver)).await.map_err(Failure::new)?;
            last = match executed.outcome {
                Outcome::Rows(rows) => {
                    let schema = rows.schema();
                    let batches: Vec<RecordBatch> = rows.try_collect().await.map_err(Failure::new)?;
                    output(&schema, &batches)?
                }
                Outcome::Done(Summary { rows: Some(count), .. }) if self.workspace.is_some() => count_output(count),
                Outcome::Done(summary) => DBOutput::StatementComplete(summary.rows.unwrap_or(0)),
            };
        }
        if let (Some(workspace), DBOutput::Rows { rows, .. }) = (&self.workspace, &mut last) {
            for cell in rows.iter_mut().flatten().filter(|cell| cell.contains(workspace.as_str())) {
                *cell = cell.replace(workspace.as_str(), "WORKSPACE_ROOT");
            }
        }
        Ok(last)
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        if self.workspace.is_some() { "DataFusion" } else { "lakemill" }
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }
}

pub(crate) fn output(schema: &Schema, batches: &[RecordBatch]) -> std::result::Result<DBOutput<Kind>, Failure> {
    let (types, rows) = (format::kinds(schema), format::rows(batches).map_err(Failure::new)?);
    if types.is_empty() && rows.is_empty() {
        return Ok(DBOutput::StatementComplete(0));
    }
    Ok(DBOutput::Rows { types, rows })
}

/// A count as DataFusion's files expect it from an INSERT: one row of one integer.
pub(crate) fn count_output(count: u64) -> DBOutput<Kind> {
    let schema = Schema::new(vec![Field::new("count", DataType::UInt64, false)]);
    DBOutput::Rows { types: format::kinds(&schema), rows: vec![vec![count.to_string()]] }
}

/// What a statement failed with, as the text that files compare.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub(crate) fn new(error: impl std::error::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn ignored_parts_match_anything_but_not_a_different_start() {
        assert!(matches("took 12 ms for 3 rows", "took <slt:ignore> for 3 rows"));
        assert!(matches("abc", "<slt:ignore>c"));
        assert!(!matches("foo bar", "bar<slt:ignore>"));
        assert!(!matches("took 12 ms", "took <slt:ignore> rows"));
    }
}
