//! Manifests: versions and features stand in the workspace alone; every member takes its lints from there.

use anyhow::{Context, Result};
use toml::Table;

use super::{Findings, SourceFile};

pub(super) fn check(files: &[SourceFile], findings: &mut Findings) -> Result<()> {
    for file in files.iter().filter(|file| file.path.ends_with("/Cargo.toml") && is_member(&file.path)) {
        let manifest: Table = file.text.parse().with_context(|| file.path.clone())?;
        member(&file.path, &manifest, findings);
    }
    let root = files.iter().find(|file| file.path == "Cargo.toml").context("there is no Cargo.toml")?;
    let manifest: Table = root.text.parse().context("Cargo.toml")?;
    workspace(&manifest, findings);
    Ok(())
}

/// Members of the workspace; packages outside it (benchmarks' peers, the locator of test files) stand alone.
pub(super) fn is_member(path: &str) -> bool {
    path.starts_with("crates/") || path.starts_with("xtask/")
}

fn member(path: &str, manifest: &Table, findings: &mut Findings) {
    let inherited = |table: Option<&toml::Value>| {
        table.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
    };
    if !inherited(manifest.get("lints")) {
        findings.error(path, "its lints are not the workspace's; add '[lints]' with 'workspace = true'");
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
        for (name, dependency) in dependencies {
            if !inherited(Some(dependency)) {
                findings
                    .error(path, format_args!("'{name}' in {section} does not take its version from the workspace"));
            }
            if dependency.get("features").is_some() {
                findings.error(
                    path,
                    format_args!(
                        "'{name}' in {section} sets features; set them in the workspace, so that it is built once"
                    ),
                );
            }
        }
    }
}

fn workspace(manifest: &Table, findings: &mut Findings) {
    let dependencies =
        manifest.get("workspace").and_then(|workspace| workspace.get("dependencies")).and_then(toml::Value::as_table);
    for (name, dependency) in dependencies.into_iter().flatten() {
        if dependency.get("path").is_none()
            && dependency.get("default-features").and_then(toml::Value::as_bool) != Some(false)
        {
            findings.warn("Cargo.toml", format_args!("'{name}' does not say 'default-features = false'"));
        }
        if dependency.get("git").is_some() {
            findings.error("Cargo.toml", format_args!("'{name}' comes from git; depend on a published version"));
        }
    }
}
