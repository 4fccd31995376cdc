//! DataFusion's own `.slt` files, run through our session as a regression check.
//!
//! The files come with the crate `datafusion-sqllogictest`, which `cargo xtask setup` fetches and nobody builds.
//! `tests/datafusion/left-out.txt` lists the files, and the single records, that are left out, grouped by reason;
//! a listed record that passes is reported, so that the list does not go stale.
//!
//! Deliberately not compared: the texts of errors, which are our own. That a statement fails is compared. Settings that
//! Lakemill chooses otherwise are DataFusion's own here, because the files hold plans that were made with those.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures::{StreamExt, stream};
use lakemill_lake::Lake;
use lakemill_query::SessionOptions;
use sqllogictest::{
    AsyncDB, ExpectedError, QueryExpect, Record, Runner, StatementExpect, parse_file, strict_column_validator,
};

use crate::format::Kind;
use crate::mode::{FreshLake, Mode};
use crate::slt::{Connection, Failure, normalize, run_records, validate};
use crate::{Result, repository};

/// Files that run at once.
const FILES_AT_ONCE: usize = 3;
/// The longest a file may take.
const FILE_SECONDS_MAX: u64 = 120;
/// DataFusion's files were written with plans of four partitions.
const PARTITIONS: usize = 4;
/// DataFusion's settings where ours differ.
const SETTINGS: [&str; 3] = [
    "SET datafusion.catalog.information_schema = false",
    "SET datafusion.execution.parquet.pushdown_filters = false",
    "SET datafusion.sql_parser.collect_spans = false",
];
const MANIFEST: &str = "tests/datafusion/Cargo.toml";
const LEFT_OUT: &str = "tests/datafusion/left-out.txt";
const CRATE: &str = "datafusion-sqllogictest";

/// What is left out: a file, a folder (`spark/`), or a file's records by line.
#[derive(Debug, Default)]
pub struct LeftOut {
    files: BTreeSet<String>,
    records: BTreeMap<String, BTreeSet<u32>>,
}

impl LeftOut {
    /// Reads the committed list.
    pub fn read() -> Result<Self> {
        Self::parse(&std::fs::read_to_string(repository().join(LEFT_OUT))?)
    }

    /// Lines are `# a comment`, `[a reason]`, `file.slt`, `folder/` or `file.slt: line line ..`.
    fn parse(text: &str) -> Result<Self> {
        let mut left_out = Self::default();
        let mut reason = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(text) = line.strip_prefix('[') {
                reason = Some(text.trim_end_matches(']'));
                continue;
            }
            reason.ok_or_else(|| format!("{LEFT_OUT}: '{line}' stands under no [reason]"))?;
            match line.split_once(": ") {
                None => {
                    left_out.files.insert(line.to_owned());
                }
                Some((file, lines)) => {
                    let lines: std::result::Result<Vec<u32>, _> = lines.split_whitespace().map(str::parse).collect();
                    left_out.records.entry(file.to_owned()).or_default().extend(lines?);
                }
            }
        }
        Ok(left_out)
    }

    fn has(&self, file: &str) -> bool {
        self.files.iter().any(|entry| entry == file || (entry.ends_with('/') && file.starts_with(entry.as_str())))
    }
}

/// What became of the files.
#[derive(Debug, Default)]
pub struct Report {
    /// Files run.
    pub files: usize,
    /// Records run.
    pub records: usize,
    /// Files that the list leaves out.
    pub left_out: usize,
    /// File, line and text of each failure.
    pub failures: Vec<(String, u32, String)>,
    /// File and line of each listed record that passes.
    pub stale: Vec<(String, u32)>,
}

/// Copies the crate's files below `folder`, as its repository lays them out, and makes that the current folder.
pub fn lay_out(folder: &Path) -> Result<()> {
    let home = folder.join("datafusion/sqllogictest");
    copy(&locate()?, &home)?;
    std::fs::create_dir_all(home.join("test_files/scratch"))?;
    Ok(std::env::set_current_dir(home)?)
}

/// The crate's folder in cargo's registry.
fn locate() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version=1", "--locked", "--offline", "--manifest-path", MANIFEST];
    let output = Command::new(cargo).args(arguments).current_dir(repository()).output()?;
    let text =
        crate::process::said("cargo metadata", output).map_err(|error| format!("run 'cargo xtask setup': {error}"))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let package = packages.iter().find(|package| package["name"] == CRATE);
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.ok_or_else(|| format!("{MANIFEST} does not depend on {CRATE}"))?;
    Ok(Path::new(manifest).parent().unwrap_or_else(|| Path::new("")).to_path_buf())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Runs all files below `test_files`, narrowed to those whose name contains `SLT`.
pub async fn run(left_out: &LeftOut) -> Result<Report> {
    let word = std::env::var("SLT").unwrap_or_default();
    let mut files = Vec::new();
    find(Path::new("test_files"), &mut files)?;
    files.retain(|file| file.contains(&word));
    files.sort();
    let all = files.len();
    files.retain(|file| !left_out.has(file));
    let mut report = Report { left_out: all - files.len(), files: files.len(), ..Report::default() };
    let none = BTreeSet::new();
    let mut outcomes = stream::iter(files)
        .map(|file| {
            let known = left_out.records.get(&file).unwrap_or(&none).clone();
            async move {
                let limit = Duration::from_secs(FILE_SECONDS_MAX);
                // A task of its own, so that a panic in one file does not end the others.
                let task = tokio::spawn(tokio::time::timeout(limit, run_file(file.clone(), known)));
                let outcome = match task.await {
                    Ok(Ok(outcome)) => outcome.map_err(|error| error.to_string()),
                    Ok(Err(_)) => Err(format!("took more than {FILE_SECONDS_MAX} seconds")),
                    Err(panic) => Err(panic.to_string()),
                };
                (file, outcome)
            }
        })
        .buffer_unordered(FILES_AT_ONCE);
    while let Some((file, outcome)) = outcomes.next().await {
        match outcome {
            Ok(outcome) => {
                report.records += outcome.records;
                report.failures.extend(outcome.failures.into_iter().map(|(line, text)| (file.clone(), line, text)));
                report.stale.extend(outcome.stale.into_iter().map(|line| (file.clone(), line)));
            }
            Err(text) => report.failures.push((file, 0, text)),
        }
    }
    report.failures.sort();
    report.stale.sort();
    Ok(report)
}

fn find(folder: &Path, files: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            files.push(path.strip_prefix("test_files")?.display().to_string());
        }
    }
    Ok(())
}

/// What became of one file: the records run, the failures, and the listed records that pass.
struct FileOutcome {
    records: usize,
    failures: Vec<(u32, String)>,
    stale: Vec<u32>,
}

async fn run_file(file: String, known: BTreeSet<u32>) -> Result<FileOutcome> {
    let path = Path::new("test_files").join(&file);
    let scratch = Path::new("test_files/scratch").join(path.file_stem().unwrap_or_default());
    std::fs::create_dir_all(scratch)?;
    let fresh = FreshLake::new(Mode::LOCAL_SQLITE)?;
    let lake = Lake::open(fresh.options.clone()).await?;
    let options =
        SessionOptions { create_tables_in_memory: true, threads: Some(PARTITIONS), ..SessionOptions::default() };
    let workspace = workspace()?;
    let connect = || {
        let connection = Connection::open(lake.clone(), options.clone());
        let workspace = workspace.clone();
        async move {
            let mut connection = connection.map_err(Failure::from)?.answering_as_datafusion(workspace);
            for setting in SETTINGS {
                connection.run(setting).await?;
            }
            Ok(connection)
        }
    };
    let mut runner = Runner::new(connect);
    runner.add_label("Datafusion");
    runner.with_column_validator(strict_column_validator);
    runner.with_normalizer(normalize);
    runner.with_validator(validate);
    let all: Vec<Record<Kind>> = parse_file(&path)?.into_iter().map(any_error_text).collect();
    let records = all.iter().filter(|record| matches!(record, Record::Statement { .. } | Record::Query { .. })).count();
    let mut failures = run_records(&mut runner, all).await;
    let failed: BTreeSet<u32> = failures.iter().map(|(line, _)| *line).collect();
    failures.retain(|(line, _)| !known.contains(line));
    Ok(FileOutcome { records, failures, stale: known.difference(&failed).copied().collect() })
}

/// The folder that stands for DataFusion's repository, as object stores write it: two above the current one.
fn workspace() -> Result<String> {
    let folder = std::env::current_dir()?;
    let root = folder.ancestors().nth(2).ok_or("the files are not laid out as in their repository")?;
    Ok(root.display().to_string().trim_start_matches('/').to_owned())
}

/// The record with any error text accepted where an error is expected.
fn any_error_text(mut record: Record<Kind>) -> Record<Kind> {
    match &mut record {
        Record::Statement { expected: StatementExpect::Error(text), .. }
        | Record::Query { expected: QueryExpect::Error(text), .. } => *text = ExpectedError::Empty,
        _ => {}
    }
    record
}

#[cfg(test)]
mod tests {
    use super::LeftOut;

    #[test]
    fn a_list_names_files_folders_and_records_under_reasons() {
        let list =
            LeftOut::parse("# all\n[no such functions]\nspark/\na.slt\n[our own limits]\nb.slt: 3 17\n").unwrap();
        assert!(list.has("spark/json.slt") && list.has("a.slt") && !list.has("b.slt"));
        assert!(list.records["b.slt"].contains(&17));
        assert!(LeftOut::parse("a.slt").is_err());
    }
}
