//! Installs what the tests and benchmarks need, once, outside the repository.
//!
//! Python packages go into environments in the user's cache folder, DataFusion's own `.slt` files into cargo's
//! registry, PostgreSQL comes from Debian's package where we may install it. What cannot be installed is an error
//! that says how to: nothing is skipped in silence.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell::{self, command, works};
use crate::{paths, shell::cargo};

/// The pinned test runner.
const NEXTEST_VERSION: &str = "0.9.143";
/// The package that locates DataFusion's own `.slt` files.
pub(crate) const UPSTREAM_MANIFEST: &str = "tests/datafusion/Cargo.toml";

/// Everything the tests need.
pub(crate) fn tests() -> Result<()> {
    nextest()?;
    shell::run(cargo().args(["fetch", "--quiet", "--locked", "--manifest-path", UPSTREAM_MANIFEST]))?;
    python("tests", "tests/python/requirements.txt")?;
    // It wants older versions of what others want.
    python("dbt", "tests/dbt/requirements.txt")?;
    postgres()?;
    jdbc()
}

/// Makes or refreshes the Python environment `name` from a requirements file with pinned versions.
pub(crate) fn python(name: &str, requirements: &str) -> Result<()> {
    let bin = paths::python(name)?;
    let folder = bin.parent().context("a Python environment has a folder")?;
    let wanted = fs::read_to_string(paths::repository().join(requirements))?;
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("installing the Python packages of {requirements} (a few hundred megabytes, once)");
    if !works(command(bin.join("python")).args(["-m", "pip", "--version"])) {
        make_environment(folder)?;
    }
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "-r"];
    shell::run(command(bin.join("python")).args(pip).arg(requirements))?;
    shell::run(command(bin.join("python")).args(["-m", "pip", "check", "--quiet"]))?;
    fs::write(stamp, wanted)?;
    Ok(())
}

fn make_environment(folder: &Path) -> Result<()> {
    let supported = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    if !works(command("python3").args(["-c", supported])) {
        bail!("Python 3.11 or newer with its venv module is missing; on Debian: apt-get install python3 python3-venv");
    }
    fs::create_dir_all(folder)?;
    shell::run(command("python3").args(["-m", "venv", "--clear"]).arg(folder))
}

/// The test runner: cargo builds it where it is missing.
fn nextest() -> Result<()> {
    if works(cargo().args(["nextest", "--version"])) {
        return Ok(());
    }
    println!("cargo-nextest, the test runner, is missing: building it (some minutes, once)");
    let built = shell::run(cargo().args(["install", "--locked", "--version", NEXTEST_VERSION, "cargo-nextest"]));
    built.context("install the test runner by hand: cargo install --locked cargo-nextest")
}

/// PostgreSQL's server programs: root on Debian installs the package.
pub(crate) fn postgres() -> Result<()> {
    // The package would start a cluster of its own; whoever needs one makes it.
    if has_postgres() || (install("postgresql")? && has_postgres()) {
        return Ok(());
    }
    bail!(
        "PostgreSQL's server programs (initdb, postgres) are missing; on Debian: apt-get install postgresql; \
         elsewhere install PostgreSQL 15 or newer and set LAKEMILL_POSTGRES_BIN to the folder of its programs"
    );
}

/// Java and PostgreSQL's driver for it.
fn jdbc() -> Result<()> {
    debian("java", "default-jdk-headless")?;
    debian_file("/usr/share/java/postgresql.jar", "libpostgresql-jdbc-java")
}

/// A file of a Debian package that is no program.
pub(crate) fn debian_file(file: &str, package: &str) -> Result<()> {
    let has = || Path::new(file).is_file();
    if has() || (install(package)? && has()) {
        return Ok(());
    }
    bail!("{file} is missing; on Debian: apt-get install {package}; elsewhere put it there")
}

/// A program of a Debian package.
pub(crate) fn debian(program: &str, package: &str) -> Result<()> {
    let has = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    if has() || (install(package)? && has()) {
        return Ok(());
    }
    bail!("'{program}' is missing; on Debian: apt-get install {package}")
}

/// Installs a package if we are root on Debian; says whether we are.
fn install(package: &str) -> Result<bool> {
    let root = shell::output(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root || !works(command("apt-get").arg("--version")) {
        return Ok(false);
    }
    shell::run(command("apt-get").args(["update", "-qq"]))?;
    let quiet = ["install", "-y", "-qq", "--no-install-recommends", package];
    shell::run(command("apt-get").args(quiet).env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(true)
}

fn has_postgres() -> bool {
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("LAKEMILL_POSTGRES_BIN").map(std::path::PathBuf::from);
    let mut folders = debian.chain(std::env::split_paths(&path)).chain(named);
    let programs = ["initdb", "postgres", "pg_isready", "psql"];
    folders.any(|folder| programs.iter().all(|program| folder.join(program).is_file()))
}
