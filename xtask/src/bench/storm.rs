//! A server with a language model under random load for minutes: nothing panics, nothing leaks, everything is answered.

use anyhow::Result;

use super::{Arguments, peers};
use crate::paths;
use crate::shell::{self, cargo, command};

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    shell::run(cargo().args(["build", "--release", "--workspace", "--bin", "lakemill"]))?;
    let (python, folder) = (paths::python("bench")?.join("python"), peers::folder()?);
    shell::run(command(&python).arg("bench/llm/prepare.py").arg(&folder))?;
    let mut storm = command(python);
    storm.arg("bench/llm/storm.py").arg(folder).arg(arguments.threads.to_string()).arg(paths::lakemill());
    shell::run(storm.arg(arguments.minutes.to_string()))
}
