//! A child process that cannot outlive this one.
//!
//! A small shell holds the server and reads from a pipe that only this process keeps open. However this process
//! ends (return, panic, SIGKILL), the pipe closes, and the shell stops the server and removes its folder.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Result;

/// `$1` is the folder to remove at the end, `$2` the signal that stops the server, the rest its command.
const SHELL: &str = r#"
folder=$1; signal=$2; shift 2
"$@" </dev/null & server=$!
cat >/dev/null
kill -"$signal" "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$folder"
"#;

/// A running server; dropping it stops the server.
#[derive(Debug)]
pub(super) struct Guarded {
    shell: Child,
}

impl Guarded {
    /// Starts `command` with its output in `log`; `folder` is removed when it ends.
    pub(super) fn start<S: AsRef<OsStr>>(folder: &Path, signal: &str, log: &Path, command: &[S]) -> Result<Self> {
        let log = File::create(log)?;
        let shell = Command::new("sh")
            .args(["-c", SHELL, "guard"])
            .arg(folder)
            .arg(signal)
            .args(command)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { shell })
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().ok();
    }
}
