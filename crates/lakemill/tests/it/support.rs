//! A folder with a lake in it, and the binary to use it with.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder of its own for one test.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The binary with the folder's lake, run in the folder.
    pub(crate) fn lakemill(&self, arguments: &[&str]) -> Command {
        let mut command = bare(self.folder.path());
        command.arg("--lake").arg(self.path("lake")).args(arguments);
        command
    }

    /// Runs SQL with further arguments.
    pub(crate) fn sql(&self, sql: &str, arguments: &[&str]) -> Finished {
        Finished::of(self.lakemill(&["sql", "-c", sql]).args(arguments))
    }

    /// The first cell of a query's CSV output.
    pub(crate) fn value(&self, sql: &str) -> String {
        let finished = self.sql(sql, &["--format", "csv"]).ok();
        finished.stdout.lines().nth(1).unwrap_or_default().to_owned()
    }
}

/// The binary without a lake, in a folder, with nothing of the caller's environment that it would listen to.
pub(crate) fn bare(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakemill"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LAKEMILL_") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).env("NO_COLOR", "1").env("LAKEMILL_HISTORY", "").env("TERM", "dumb");
    command.stdin(Stdio::null());
    command
}

/// What a process did.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Runs a command with `input` on its standard input.
    pub(crate) fn with_input(command: &mut Command, input: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Self::from(child.wait_with_output().unwrap())
    }

    /// Insists that it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Insists that it failed with `code` and said `text`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, text: &str) {
        assert!(self.code == Some(code) && self.stderr.contains(text), "wanted {code} and '{text}', got {self:#?}");
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
