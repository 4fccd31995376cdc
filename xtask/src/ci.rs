//! `cargo xtask ci`: what every change must pass, cheapest first. The long tests (`cargo xtask test` runs them) are for
//! releases and for changes to the lake.

use anyhow::Result;

use crate::shell::{self, cargo};
use crate::{test, tidy};

/// Formatting, the house rules, lints, then the everyday tests.
pub(crate) fn run() -> Result<()> {
    step(&["fmt", "--all", "--check"])?;
    tidy::run()?;
    // Lints run in the profile of the tests, so that build scripts and macros are built once.
    step(&["clippy", "--release", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"])?;
    test::run(&test::Arguments { quick: true, ..test::Arguments::default() })
}

fn step(arguments: &[&str]) -> Result<()> {
    shell::run(cargo().args(arguments))
}
