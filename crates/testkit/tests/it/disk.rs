//! A disk that is full and a folder that may not be written: a clear error, and the lake as it was.
//!
//! Both are made in a mount namespace of the test's own (`unshare`), so that they bind root too and go with it.

use std::process::{Command, Output};

use lakemill_testkit::{Result, process};
use tempfile::TempDir;

/// Runs a shell script in its own mount namespace, with the binary as `$LAKEMILL` and a folder as its current one.
fn in_namespace(folder: &TempDir, script: &str) -> Result<Output> {
    let root = Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0";
    let mut command = Command::new("unshare");
    command.args(if root { ["--mount", "--"].as_slice() } else { ["--mount", "--map-root-user", "--"].as_slice() });
    command.args(["sh", "-euc", script]).current_dir(folder.path()).env("LAKEMILL", process::lakemill()?);
    Ok(command.output()?)
}

#[test]
fn a_full_disk_is_an_exhausted_error_and_loses_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = r#"
        mkdir disk && mount -t tmpfs -o size=12m none disk
        "$LAKEMILL" --lake disk/lake sql -q -c 'CREATE TABLE kept AS SELECT value FROM generate_series(1, 1000)'
        set +e
        "$LAKEMILL" --lake disk/lake sql -q -c 'CREATE TABLE large AS SELECT value, sin(value) AS s, random() AS r FROM generate_series(1, 4000000)'
        echo "code $?"
        "$LAKEMILL" --lake disk/lake sql -q -c 'INSERT INTO kept SELECT value * 1000003 + cast(random() * 1e15 AS BIGINT) FROM generate_series(1, 4000000)'
        echo "code $?"
        set -e
        find disk/lake/tables -name '*.parquet*' | wc -l
        "$LAKEMILL" --lake disk/lake sql --format csv -c 'SELECT count(*) AS n FROM kept'
        "$LAKEMILL" --lake disk/lake sql -q -c 'INSERT INTO kept SELECT value FROM generate_series(1, 10)'
        "$LAKEMILL" --lake disk/lake sql --format csv -c 'SELECT count(*) AS n FROM kept'
    "#;
    let output = in_namespace(&folder, script)?;
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["code 5", "code 5", "1", "n", "1000", "n", "1010"], "{said}\n{errors}");
    assert!(errors.contains("space") || errors.contains("full"), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    Ok(())
}

#[test]
fn a_read_only_folder_is_read_and_refuses_changes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = r#"
        "$LAKEMILL" --lake lake sql -q -c 'CREATE TABLE kept AS SELECT value FROM generate_series(1, 1000)'
        mount --bind lake lake && mount -o remount,bind,ro lake
        "$LAKEMILL" --lake lake sql --format csv -c 'SELECT count(*) AS n FROM kept'
        set +e
        "$LAKEMILL" --lake lake sql -q -c 'INSERT INTO kept VALUES (1)'
        echo "code $?"
    "#;
    let output = in_namespace(&folder, script)?;
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.first_chunk(), Some(&["n", "1000"]), "{said}\n{errors}");
    assert!(
        lines.last().is_some_and(|line| line.starts_with("code") && *line != "code 0" && *line != "code 70"),
        "{said}\n{errors}"
    );
    assert!(errors.to_lowercase().contains("read-only"), "{errors}");
    Ok(())
}
