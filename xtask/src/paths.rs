//! Where things lie: the repository, the user's cache, the build products.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository that cargo runs this in: checkouts may share one folder of build products, so the one
/// that this was compiled in may be another.
pub(crate) fn repository() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.parent().unwrap_or(here).to_path_buf()
}

/// Lakemill's folder in the user's cache folder.
pub(crate) fn cache() -> Result<PathBuf> {
    if let Some(cache) = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(cache).join("lakemill"));
    }
    let home = std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cache/lakemill"))
}

/// The programs of the Python environment `name` (`tests` or `bench`).
pub(crate) fn python(name: &str) -> Result<PathBuf> {
    Ok(cache()?.join("python").join(name).join("bin"))
}

/// The folder of cargo's build products.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// The binary that a release build makes.
pub(crate) fn lakemill() -> PathBuf {
    program("lakemill")
}

/// A program that a release build makes.
pub(crate) fn program(name: &str) -> PathBuf {
    target().join("release").join(name)
}
