//! `cargo xtask ci`: what every change must pass, cheapest first.

use anyhow::Result;

use crate::shell::{self, cargo};
use crate::{test, tidy};

/// Formatting, the house rules, lints, then all tests.
pub(crate) fn run() -> Result<()> {
    step(&["fmt", "--all", "--check"])?;
    tidy::run()?;
    // Lints run in the profile of the tests, so that build scripts and macros are built once.
    step(&["clippy", "--release", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"])?;
    test::run(&test::Arguments::default())
}

fn step(arguments: &[&str]) -> Result<()> {
    shell::run(cargo().args(arguments))
}
