//! One file per subcommand.

mod chat;
mod completions;
mod language;
mod listing;
mod models;
mod report;
mod run;
mod serve;
mod sql;
mod tables;
mod users;

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{Cli, ColorChoice, Command, GlobalArgs};
use crate::failure::Problem;

/// Runs the command that was asked for; gives the process's exit code.
pub(crate) fn run(cli: &Cli) -> Result<u8> {
    set_colors(cli.global.color);
    start_log(&cli.global)?;
    match &cli.command {
        Command::Run(args) => run::run(&cli.global, args),
        Command::Sql(args) => sql::run(&cli.global, args),
        Command::Tables(args) => tables::run(&cli.global, args),
        Command::Models(args) => models::run(&cli.global, args),
        Command::Chat(args) => chat::run(&cli.global, args),
        Command::Report(args) => report::run(&cli.global, args),
        Command::Serve(args) => serve::run(&cli.global, args),
        Command::Users(args) => users::run(&cli.global, args),
        Command::Completions(args) => completions::run(args),
    }
}

fn set_colors(choice: ColorChoice) {
    match choice {
        // The console crate looks at the terminal and at NO_COLOR by itself.
        ColorChoice::Auto => {}
        ColorChoice::Always | ColorChoice::Never => {
            let on = choice == ColorChoice::Always;
            console::set_colors_enabled(on);
            console::set_colors_enabled_stderr(on);
        }
    }
}

/// Logs to standard error what `--log` asks for; without it nothing, and nothing is set up.
fn start_log(global: &GlobalArgs) -> Result<()> {
    let Some(filter) = global.log.as_deref().map(str::trim).filter(|f| !f.is_empty() && *f != "off") else {
        return Ok(());
    };
    let wrong = || {
        Problem::invalid(format!(
            "'{filter}' is no log filter; write a level like info, or lakemill=debug,deltalake=info"
        ))
    };
    // A word alone would be taken for a target, and a misspelt level would log nothing.
    if !filter.contains('=') {
        filter.parse::<LevelFilter>().map_err(|_| wrong())?;
    }
    let targets: Targets = filter.parse().map_err(|_| wrong())?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && console::colors_enabled_stderr());
    tracing_subscriber::registry().with(layer).with(targets).try_init().context("cannot start the log")
}
