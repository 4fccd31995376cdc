//! `lakemill sql`.

use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::Result;
use futures::FutureExt;

use crate::cli::{GlobalArgs, ScriptArg, SqlArgs};
use crate::engine::Engine;
use crate::failure;
use crate::interrupt::CancelFlag;
use crate::output::{Format, OutputFile, Target};
use crate::repl;
use crate::sql::command::Flow;
use crate::sql::runner::{Runner, Script, Settings};

/// Runs what -c and -f say, or a pipe, or the prompt.
pub(super) fn run(global: &GlobalArgs, args: &SqlArgs) -> Result<u8> {
    let engine = Engine::start(global)?;
    let prompt = args.scripts.0.is_empty() && io::stdin().is_terminal();
    let by_name = args.output.as_deref().and_then(Path::to_str).and_then(Format::of_file_name);
    let settings = Settings {
        format: args.format.or(by_name).unwrap_or(Format::Table),
        expanded: false,
        rows_max: args.max_rows,
        timing: io::stderr().is_terminal() && !args.quiet,
        quiet: args.quiet,
        keep_going: args.keep_going,
    };
    let target = match &args.output {
        Some(path) => Target::File(OutputFile::create(path)?),
        None => Target::Stdout,
    };
    let mut runner = Runner::new(&engine, settings, target);
    if prompt {
        repl::run(&engine, runner)?;
        return Ok(0);
    }
    let flag = engine.interrupts().arm();
    engine.block_on(scripts(&mut runner, args, &flag).boxed_local())?;
    let first_error = runner.take_first_error();
    runner.target.finish()?;
    Ok(first_error.map_or(0, |error| failure::exit_code(&error)))
}

/// Runs what -c and -f say, in their order; with neither, standard input.
async fn scripts(runner: &mut Runner<'_>, args: &SqlArgs, flag: &CancelFlag) -> Result<()> {
    if args.scripts.0.is_empty() {
        runner.file(Path::new("-"), flag).await?;
    }
    for script in &args.scripts.0 {
        let flow = match script {
            ScriptArg::Command(text) => runner.script(Script { name: None, text }, flag).await?,
            ScriptArg::File(path) => runner.file(path, flag).await?,
        };
        if flow == Flow::Quit {
            break;
        }
    }
    Ok(())
}
