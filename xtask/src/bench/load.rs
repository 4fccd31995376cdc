//! A server under a thousand connections for minutes: nothing fails, memory comes to rest.

use anyhow::Result;

use super::Arguments;
use crate::paths;
use crate::shell::{self, cargo, command};

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    shell::run(cargo().args(["build", "--release", "--workspace", "--bin", "lakemill"]))?;
    let mut load = command(paths::python("bench")?.join("python"));
    load.arg("bench/serve/load.py").arg(paths::lakemill()).arg(paths::cache()?.join("bench/load"));
    shell::run(load.args([(60.0 * arguments.minutes).to_string(), arguments.connections.to_string()]))
}
