//! The picture of the crates: edges go only downward, and the lower half never sees DataFusion.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Findings, SourceFile, manifests};

/// Each crate with the crates it may depend on.
const EDGES: [(&str, &[&str]); 13] = [
    ("lakemill-features", &[]),
    ("lakemill-base", &[]),
    ("lakemill-kernels", &["lakemill-base"]),
    ("lakemill-model", &["lakemill-base", "lakemill-kernels"]),
    ("lakemill-learn", &["lakemill-base", "lakemill-kernels"]),
    ("lakemill-llm", &["lakemill-base", "lakemill-kernels", "lakemill-model"]),
    ("lakemill-lake", &["lakemill-base", "lakemill-features"]),
    (
        "lakemill-query",
        &["lakemill-base", "lakemill-kernels", "lakemill-model", "lakemill-learn", "lakemill-lake", "lakemill-llm"],
    ),
    ("lakemill-pipeline", &["lakemill-base", "lakemill-learn", "lakemill-lake", "lakemill-query"]),
    ("lakemill-server", &["lakemill-base", "lakemill-model", "lakemill-lake", "lakemill-llm", "lakemill-query"]),
    (
        "lakemill",
        &[
            "lakemill-base",
            "lakemill-kernels",
            "lakemill-model",
            "lakemill-learn",
            "lakemill-lake",
            "lakemill-llm",
            "lakemill-query",
            "lakemill-pipeline",
            "lakemill-server",
        ],
    ),
    ("lakemill-testkit", &["lakemill-base", "lakemill-kernels", "lakemill-lake", "lakemill-query"]),
    ("xtask", &[]),
];
/// Crates that are edited and tested without compiling the query engine.
const WITHOUT_DATAFUSION: [&str; 5] =
    ["lakemill-base", "lakemill-kernels", "lakemill-model", "lakemill-learn", "lakemill-llm"];
const ENGINE: [&str; 4] = ["datafusion", "datafusion-proto", "deltalake", "sqlx"];
/// Only programs may be vague about their errors and parse command lines.
const PROGRAMS: [&str; 2] = ["lakemill", "xtask"];
/// Names every heavy crate, and holds no code that could be vague.
const FEATURES: &str = "lakemill-features";

pub(super) fn check(files: &[SourceFile], findings: &mut Findings) -> Result<()> {
    for file in files.iter().filter(|file| file.path.ends_with("/Cargo.toml") && manifests::is_member(&file.path)) {
        let manifest: Table = file.text.parse().with_context(|| file.path.clone())?;
        let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
        let name = name.with_context(|| format!("{} names no package", file.path))?;
        let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
            findings.error(
                &file.path,
                format_args!("'{name}' is not in the picture of the crates; add it to ARCHITECTURE.md and to tidy"),
            );
            continue;
        };
        let dependencies = manifest.get("dependencies").and_then(Value::as_table);
        for dependency in dependencies.into_iter().flat_map(Table::keys) {
            edge(&file.path, name, dependency, allowed, findings);
        }
    }
    Ok(())
}

fn edge(path: &str, name: &str, dependency: &str, allowed: &[&str], findings: &mut Findings) {
    if dependency.starts_with("lakemill") && !allowed.contains(&dependency) {
        findings.error(path, format_args!("'{name}' may not depend on '{dependency}': edges go only downward"));
    }
    if WITHOUT_DATAFUSION.contains(&name) && ENGINE.contains(&dependency) {
        findings.error(
            path,
            format_args!("'{name}' may not depend on '{dependency}': it is tested without the query engine"),
        );
    }
    if !PROGRAMS.contains(&name) && name != FEATURES && matches!(dependency, "anyhow" | "clap") {
        findings.error(path, format_args!("'{name}' may not depend on '{dependency}': only programs do"));
    }
}
