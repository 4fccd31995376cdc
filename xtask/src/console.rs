//! The console's own tools: Node.js, its packages, and the browser that its tests drive.
//!
//! The built page is committed, so that building Lakemill needs none of them. That it is what its sources build is checked
//! here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{self, command, works};
use crate::{paths, setup};

/// Installs what the console's tests need.
pub(crate) fn install() -> Result<()> {
    let recent = "process.exit(Number(process.versions.node.split('.')[0]) < 20 ? 1 : 0)";
    if !works(command("node").args(["-e", recent])) {
        bail!("Node.js 20 or newer, which the console's tests need, is missing; on Debian: apt-get install nodejs npm");
    }
    setup::debian("chromium", "chromium")?;
    let wanted = fs::read_to_string(folder().join("package-lock.json"))?;
    let stamp = folder().join("node_modules/installed.json");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    shell::run(npm().args(["ci", "--no-audit", "--no-fund", "--loglevel", "error"]))?;
    Ok(fs::write(stamp, wanted)?)
}

/// Checks the types, runs the unit tests, and compares the committed page with what the sources build.
pub(crate) fn check() -> Result<()> {
    install()?;
    shell::run(npm().args(["run", "--silent", "check"]))?;
    shell::run(npm().args(["test", "--silent"]))?;
    let built = paths::cache()?.join("console");
    shell::run(
        npm().args(["exec", "--", "vite", "build", "--logLevel", "warn", "--emptyOutDir", "--outDir"]).arg(&built),
    )?;
    if files(&built)? != files(&folder().join("dist"))? {
        bail!("console/dist is not what console/src builds; run 'npm run build' in console/ and commit what it makes");
    }
    Ok(())
}

fn folder() -> PathBuf {
    paths::repository().join("console")
}

fn npm() -> std::process::Command {
    let mut npm = command("npm");
    npm.current_dir(folder());
    npm
}

/// The files below a folder, by their paths.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).with_context(|| format!("cannot read {}", at.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(folder)?.to_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(found)
}
