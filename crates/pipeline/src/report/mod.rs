//! The report: one self-contained HTML file on what a pipeline made.
//!
//! [`write`] collects values from the catalog, the lake and the models (`collect`), draws them (`page`, `models`,
//! `svg`) and puts the file in place in one move.
//!
//! **Architecture invariant:** drawing knows no session, and nothing reaches the page unescaped.

mod collect;
mod data;
mod html;
mod models;
mod page;
mod svg;
mod values;

use std::path::{Path, PathBuf};

use lakemill_base::ErrorKind;
use lakemill_lake::ModelName;
use lakemill_query::{ObjectKind, Session, StatementKind};

use crate::definition::Pipeline;
use crate::error::{Error, Result};
use crate::fingerprint;
use crate::graph::Graph;
use crate::summary::ModelMetrics;

/// Where a pipeline's report lies unless told otherwise: `reports/NAME.html` in the lake's folder, or in the
/// current folder for a lake in an object store.
pub fn default_path(session: &Session, pipeline: &Pipeline) -> PathBuf {
    let root = session.lake().root_url().to_file_path().unwrap_or_default();
    root.join("reports").join(format!("{}.html", pipeline.name))
}

/// Writes the report of a pipeline's last run; gives the file's absolute path.
///
/// A part that cannot be made, such as a chart whose query fails, is named in the report.
///
/// # Errors
/// If a step cannot be parsed, the catalog does not answer, or the file cannot be written.
pub async fn write(session: &Session, pipeline: &Pipeline, path: &Path) -> Result<PathBuf> {
    let data = collect::collect(session, pipeline).await?;
    let html = page::render(&data);
    let path = std::path::absolute(path).map_err(|error| Error::io("write", path, error))?;
    let target = path.clone();
    let task = tokio::task::spawn_blocking(move || replace(&target, &html));
    task.await.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))??;
    Ok(path)
}

/// Writes beside the target, then moves: a reader sees the old or the new report, never half of one.
fn replace(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Error::io("make the folder", folder, error))?;
    }
    let mut name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|error| {
        // Nothing more can be done about a leftover that cannot be removed either.
        let _ = std::fs::remove_file(&part);
        Error::io("write", path, error)
    })
}

/// The models that the report compares: those that it names, else those that the steps train.
pub(crate) fn models_of(pipeline: &Pipeline, graph: &Graph) -> Vec<String> {
    if !pipeline.report.models.is_empty() {
        return pipeline.report.models.clone();
    }
    let mut names: Vec<String> = Vec::new();
    for node in graph.nodes.iter().filter(|node| node.parsed.kind == StatementKind::Train) {
        for object in node.writes.iter().filter(|object| object.kind == ObjectKind::Model) {
            if !names.contains(&object.name) {
                names.push(object.name.clone());
            }
        }
    }
    names
}

/// The held-out metrics of the models that are there, as the catalog has them: no model is loaded.
pub(crate) async fn model_metrics(session: &Session, names: &[String]) -> Result<Vec<ModelMetrics>> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let (namespace, model) = fingerprint::split(name);
        let entry = match session.lake().model(&ModelName::new(namespace, model), None).await {
            Ok(entry) => entry,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let metrics = entry.summary["metrics"].as_object().map(|metrics| {
            metrics.iter().filter_map(|(metric, value)| Some((metric.clone(), value.as_f64()?))).collect()
        });
        found.push(ModelMetrics {
            model: short_name(name).to_owned(),
            version: entry.version.version,
            model_type: entry.model_type,
            metrics: metrics.unwrap_or_default(),
        });
    }
    Ok(found)
}

/// A name without the default namespace.
fn short_name(name: &str) -> &str {
    name.strip_prefix(lakemill_lake::DEFAULT_NAMESPACE).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
}
