//! Other programs as processes: the `lakemill` binary and Python with the packages of `tests/python`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::{Result, repository};

/// The `lakemill` binary: `LAKEMILL_BIN`, or the one that was built beside this test.
pub fn lakemill() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("LAKEMILL_BIN") {
        return Ok(PathBuf::from(path));
    }
    let test = std::env::current_exe()?;
    let beside = test.ancestors().nth(2).map(|folder| folder.join("lakemill")).filter(|path| path.is_file());
    beside.ok_or_else(|| "the lakemill binary is not built; run 'cargo build --release'".into())
}

/// The folder of the programs that `cargo xtask setup` installed for the tests (`python`, `weed`).
pub fn python_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("LAKEMILL_TEST_PYTHON") {
        return Ok(PathBuf::from(folder));
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let folder = cache.ok_or("neither XDG_CACHE_HOME nor HOME is set")?.join("lakemill/python/tests/bin");
    if folder.join("python").exists() {
        Ok(folder)
    } else {
        Err(format!("the tests' Python is not at {}; run 'cargo xtask setup'", folder.display()).into())
    }
}

/// Runs a script of the repository and gives what it printed; a failure is an error with all it said.
pub fn python(script: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let mut command = Command::new(python_folder()?.join("python"));
    command.arg(repository().join(script)).args(arguments).envs(environment.iter().copied());
    command.current_dir(repository());
    said(script, command.output()?)
}

/// Runs `command` with `input` on its standard input and gives what it printed.
pub fn piped(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    said("the command", child.wait_with_output()?)
}

/// Standard output as text, or an error with both streams.
pub fn said(what: &str, output: Output) -> Result<String> {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{what} failed ({})\n{stdout}{stderr}", output.status).into())
}
