//! `lakemill`: the command line over the engine.
//!
//! Not here: anything that another program could want; the crates below are the library.

mod chat;
mod cli;
mod command;
mod cpu;
mod engine;
mod failure;
mod interrupt;
mod memory;
mod output;
mod progress;
mod repl;
mod sql;
mod version;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use lakemill_base::ErrorKind;
use lakemill_kernels::allocator::{MiMalloc, give_back_lazily};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    if let Some(missing) = cpu::missing_features() {
        // Nothing else can be done where standard error is closed too.
        let _ = writeln!(std::io::stderr(), "error: {missing}");
        return ExitCode::from(ErrorKind::Invalid.exit_code());
    }
    give_back_lazily();
    let cli = cli::Cli::parse();
    failure::hush_caught_panics();
    // A panic has printed what it is about. It is a bug, and has the exit code of one.
    let outcome = std::panic::catch_unwind(|| command::run(&cli)).unwrap_or_else(|_| {
        Err(failure::Problem::new(ErrorKind::Internal, "the engine has stopped unexpectedly").into())
    });
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            failure::report(&error);
            ExitCode::from(failure::exit_code(&error))
        }
    }
}
