//! The commands of Lakemill's own development: `cargo xtask --help` lists them.
//!
//! Not here: anything of the product. This crate depends on none of the others, so that it builds in seconds.

#![expect(clippy::print_stdout, reason = "a command line tool of the repository, whose output is its purpose")]

mod arm;
mod bench;
mod ci;
mod console;
mod paths;
mod setup;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Lakemill's development commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs what the tests need (Python packages, PostgreSQL, an S3 server, a browser) where it is missing.
    Setup,
    /// Sets up what the tests need, then runs them all.
    Test(test::Arguments),
    /// Checks the house rules: lengths, module docs, crate edges, manifests, stray text.
    Tidy,
    /// Formatting, lints, tidy and all tests: what every change must pass.
    Ci,
    /// The kernels' tests as 64-bit Arm, in an emulator.
    Arm,
    /// Measures Lakemill against its peers; 'list' names the benchmarks.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup => setup::tests().and_then(|()| console::install()),
        Command::Test(arguments) => test::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::Ci => ci::run(),
        Command::Arm => arm::run(),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
