//! A pipeline as it lies on disk: a folder with numbered `.sql` files and, if wanted, a `pipeline.toml`.

use std::path::{Path, PathBuf};

use lakemill_base::{check_identifier, did_you_mean};
use serde::Deserialize;

use crate::error::{Error, Result};

/// The file that names and describes a pipeline; a folder of numbered `.sql` files does without it.
const DEFINITION_FILE: &str = "pipeline.toml";

/// Scripts larger than this are taken for a mistake: a step is text that people read.
const SCRIPT_BYTES_MAX: u64 = 4 << 20;

/// A folder of SQL steps.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The key of its state in the catalog: equal names share their state.
    pub name: String,
    /// The heading of its report.
    pub title: String,
    /// A sentence or two below the heading.
    pub description: String,
    /// The folder. Relative paths in its SQL start here.
    pub dir: PathBuf,
    /// The steps, in the order in which they run.
    pub steps: Vec<Step>,
    /// What the report shows.
    pub report: ReportSpec,
}

/// One `.sql` file.
#[derive(Clone, Debug)]
pub struct Step {
    /// The file's name without its extension: `01_acquire`.
    pub id: String,
    /// For people: `Acquire`.
    pub title: String,
    /// A sentence on what it does.
    pub about: String,
    /// The file.
    pub path: PathBuf,
    /// The SQL.
    pub text: String,
}

/// What the report shows beyond what every report has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportSpec {
    /// The models to compare, best known first; by default those that the pipeline trains.
    pub models: Vec<String>,
    /// A query for the rows that models are judged on: label and features. It gives calibration curves and the
    /// distribution of scores.
    pub evaluation: Option<String>,
    /// The table of data-quality findings: columns `relation`, `finding`, `rows`, `of_rows`, `treatment`.
    pub quality: Option<String>,
    /// Pictures of query results.
    #[serde(rename = "chart")]
    pub charts: Vec<ChartSpec>,
}

/// A picture of a query's result.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChartSpec {
    /// The heading.
    pub title: String,
    /// A sentence below the picture.
    #[serde(default)]
    pub note: String,
    /// The form.
    pub kind: ChartKind,
    /// The rows: the first column is the category or x, the others are numbers, one series each.
    pub query: String,
    /// What x is, with its unit.
    #[serde(default)]
    pub x: String,
    /// What y is, with its unit.
    #[serde(default)]
    pub y: String,
    /// Numbers are shares, shown in percent.
    #[serde(default)]
    pub percent: bool,
}

/// The form of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChartKind {
    /// Horizontal bars, one for each row.
    Bar,
    /// Upright columns, one for each row.
    Column,
    /// A line for each series.
    Line,
    /// The rows as they are.
    Table,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Definition {
    name: Option<String>,
    title: Option<String>,
    description: String,
    #[serde(rename = "step")]
    steps: Vec<StepDefinition>,
    report: ReportSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepDefinition {
    file: String,
    title: Option<String>,
    #[serde(default)]
    about: String,
}

impl Pipeline {
    /// Loads the pipeline in a folder.
    ///
    /// # Errors
    /// If the folder holds no pipeline, or `pipeline.toml` says something that it may not.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = absolute(dir.as_ref())?;
        let definition = read_definition(&dir)?;
        let found = numbered_scripts(&dir)?;
        let steps = match &definition {
            Some(definition) if !definition.steps.is_empty() => listed_steps(&dir, &definition.steps, &found)?,
            _ => found.iter().map(|file| read_step(&dir, file, None, "")).collect::<Result<_>>()?,
        };
        if steps.is_empty() {
            return Err(Error::new(
                lakemill_base::ErrorKind::NotFound,
                format!("'{}' holds no pipeline; its steps would be files such as '01_load.sql'", dir.display()),
            ));
        }
        let definition = definition.unwrap_or_default();
        let folder = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = definition.name.unwrap_or(folder);
        check_identifier("pipeline", &name).map_err(Error::invalid)?;
        let title = definition.title.unwrap_or_else(|| title_of(&name));
        Ok(Self { title, description: definition.description, report: definition.report, name, dir, steps })
    }
}

fn absolute(dir: &Path) -> Result<PathBuf> {
    let canonical = std::fs::canonicalize(dir).map_err(|error| Error::io("open the pipeline folder", dir, error))?;
    if !canonical.is_dir() {
        return Err(Error::invalid(format!("'{}' is a file; a pipeline is a folder of .sql files", dir.display())));
    }
    Ok(canonical)
}

fn read_definition(dir: &Path) -> Result<Option<Definition>> {
    let path = dir.join(DEFINITION_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", &path, error)),
    };
    let definition = toml::from_str(&text)
        .map_err(|error| Error::invalid(format!("{}: {}", path.display(), error.to_string().trim_end())))?;
    Ok(Some(definition))
}

/// The names of the files that begin with a digit and end in `.sql`, in order.
fn numbered_scripts(dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir).map_err(|error| Error::io("read", dir, error))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io("read", dir, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(|c: char| c.is_ascii_digit()) && name.ends_with(".sql") {
            names.push(name);
        }
    }
    names.sort_by_key(|name| (leading_number(name), name.clone()));
    Ok(names)
}

/// `10_x` comes after `9_x`.
fn leading_number(name: &str) -> u64 {
    let digits = name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    name[..digits].parse().unwrap_or(u64::MAX)
}

fn listed_steps(dir: &Path, listed: &[StepDefinition], found: &[String]) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::with_capacity(listed.len());
    for definition in listed {
        let file = &definition.file;
        let inside = Path::new(file).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside || !file.ends_with(".sql") {
            return Err(Error::invalid(format!("step file '{file}' must be a .sql file in the pipeline's folder")));
        }
        if !dir.join(file).is_file() {
            let near = did_you_mean(file, found.iter().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
            return Err(Error::new(
                lakemill_base::ErrorKind::NotFound,
                format!("{DEFINITION_FILE} lists the step file '{file}', which does not exist{hint}"),
            ));
        }
        let step = read_step(dir, file, definition.title.as_deref(), &definition.about)?;
        if steps.iter().any(|other| other.id == step.id) {
            return Err(Error::invalid(format!("{DEFINITION_FILE} lists the step '{}' twice", step.id)));
        }
        steps.push(step);
    }
    Ok(steps)
}

fn read_step(dir: &Path, file: &str, title: Option<&str>, about: &str) -> Result<Step> {
    let path = dir.join(file);
    let size = std::fs::metadata(&path).map_err(|error| Error::io("read", &path, error))?.len();
    if size > SCRIPT_BYTES_MAX {
        return Err(Error::invalid(format!(
            "'{}' has {size} bytes; a step may have at most {SCRIPT_BYTES_MAX}",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io("read", &path, error))?;
    let id = file.trim_end_matches(".sql").to_owned();
    let title = title.map_or_else(|| title_of(&id), str::to_owned);
    Ok(Step { id, title, about: about.to_owned(), path, text })
}

/// `01_late_flights` is `Late flights`.
fn title_of(id: &str) -> String {
    let words = id.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '-');
    let words = if words.is_empty() { id } else { words };
    let text = words.replace(['_', '-'], " ");
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Pipeline, leading_number, title_of};

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::Builder::new().prefix("pipeline-").tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn orders_steps_by_number() {
        let dir = folder(&[("10_late.sql", ""), ("9_early.sql", ""), ("notes.sql", ""), ("readme.md", "")]);
        let pipeline = Pipeline::load(dir.path()).unwrap();
        let ids: Vec<&str> = pipeline.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(ids, ["9_early", "10_late"]);
        assert_eq!(pipeline.steps[0].title, "Early");
    }

    #[test]
    fn names_what_is_wrong() {
        let error = |files: &[(&str, &str)]| {
            let dir = folder(files);
            let text = Pipeline::load(dir.path()).unwrap_err().to_string();
            text.replace(&std::fs::canonicalize(dir.path()).unwrap().display().to_string(), "DIR")
        };
        expect_test::expect!["'DIR' holds no pipeline; its steps would be files such as '01_load.sql'"]
            .assert_eq(&error(&[("a.txt", "")]));
        expect_test::expect![
            "pipeline.toml lists the step file '01_lod.sql', which does not exist; did you mean '01_load.sql'?"
        ]
        .assert_eq(&error(&[("01_load.sql", ""), ("pipeline.toml", "[[step]]\nfile = '01_lod.sql'")]));
        expect_test::expect!["step file '../x.sql' must be a .sql file in the pipeline's folder"]
            .assert_eq(&error(&[("pipeline.toml", "[[step]]\nfile = '../x.sql'")]));
        assert!(error(&[("1.sql", ""), ("pipeline.toml", "titel = 'x'")]).contains("unknown field `titel`"));
    }

    #[test]
    fn titles_and_numbers() {
        assert_eq!(title_of("01_late_flights"), "Late flights");
        assert_eq!(title_of("01"), "01");
        assert_eq!(leading_number("9_early"), 9);
    }
}
