//! The house rules that neither the compiler nor clippy checks.
//!
//! Each rule is a function from the tracked files to complaints; `file:line: what is wrong and what would be right`.

mod edges;
mod lengths;
mod manifests;
mod text;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::paths;
use crate::shell::{command, output};

/// A text file of the repository.
pub(super) struct SourceFile {
    /// Relative to the root, with forward slashes.
    pub(super) path: String,
    pub(super) text: String,
}

/// What a rule found.
#[derive(Default)]
pub(super) struct Findings {
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    pub(super) fn error(&mut self, place: impl std::fmt::Display, text: impl std::fmt::Display) {
        self.errors.push(format!("{place}: {text}"));
    }

    pub(super) fn warn(&mut self, place: impl std::fmt::Display, text: impl std::fmt::Display) {
        self.warnings.push(format!("{place}: {text}"));
    }
}

/// Checks every tracked or new file that git does not ignore.
pub(crate) fn run() -> Result<()> {
    let files = files()?;
    let mut findings = Findings::default();
    lengths::check(&files, &mut findings);
    text::check(&files, &mut findings);
    manifests::check(&files, &mut findings)?;
    edges::check(&files, &mut findings)?;
    for warning in &findings.warnings {
        println!("warning: {warning}");
    }
    for error in &findings.errors {
        println!("error: {error}");
    }
    if !findings.errors.is_empty() {
        bail!("tidy found {} errors", findings.errors.len());
    }
    println!("tidy: {} files, {} warnings", files.len(), findings.warnings.len());
    Ok(())
}

fn files() -> Result<Vec<SourceFile>> {
    let listed = output(command("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let root = paths::repository();
    let mut files = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let full: PathBuf = root.join(path);
        // Data files are not text; deleted ones are still listed until they are staged.
        let Ok(bytes) = fs::read(&full) else { continue };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(SourceFile { path: path.to_owned(), text });
        }
    }
    Ok(files)
}
