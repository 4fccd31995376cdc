//! The backslash commands: what they are called, what they do, and `\?`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use futures::FutureExt;

use super::runner::{Runner, Script};
use crate::failure::Problem;
use crate::interrupt::CancelFlag;
use crate::output::{Format, OutputFile, Target};

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    Quit,
}

/// Every command: its names, its argument, what it does.
pub(crate) const COMMANDS: &[(&[&str], &str, &str)] = &[
    (&["\\?", "\\help", "\\h"], "", "this list"),
    (&["\\d"], "[NAME]", "describe a table, view or model; without a name, list tables and models"),
    (&["\\dt"], "", "list tables and views"),
    (&["\\dm"], "", "list models"),
    (&["\\dn"], "", "list namespaces"),
    (&["\\format"], "[FORMAT]", "print rows as table, vertical, csv, json, jsonl, markdown or parquet"),
    (&["\\x"], "", "switch between the format and one line per column"),
    (&["\\rows"], "[N]", "the most rows that a table shows; 0 shows all"),
    (&["\\timing"], "[on|off]", "show how long statements take"),
    (&["\\o"], "[FILE]", "print rows to a file; without a file, here again"),
    (&["\\i"], "FILE", "run the SQL in a file"),
    (&["\\history"], "[N]", "show the last statements"),
    (&["\\q", "\\quit", "\\exit"], "", "leave"),
];

/// Runs one command. `\history` belongs to the prompt, which sees it first.
pub(crate) async fn run(runner: &mut Runner<'_>, text: &str, flag: &CancelFlag) -> Result<Flow> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let (name, argument) = text.split_once(char::is_whitespace).map_or((text, ""), |(n, a)| (n, a.trim()));
    match name {
        "\\q" | "\\quit" | "\\exit" => return Ok(Flow::Quit),
        "\\?" | "\\h" | "\\help" => io::stdout().write_all(help().as_bytes())?,
        "\\d" if argument.is_empty() => {
            sql(runner, "SHOW TABLES", flag).await?;
            sql(runner, "SHOW MODELS", flag).await?;
        }
        "\\d" => describe(runner, argument, flag).await?,
        "\\dt" => sql(runner, "SHOW TABLES", flag).await?,
        "\\dm" => sql(runner, "SHOW MODELS", flag).await?,
        "\\dn" => sql(runner, "SHOW NAMESPACES", flag).await?,
        "\\format" => set_format(runner, argument)?,
        "\\x" => {
            runner.settings.expanded = !runner.settings.expanded;
            say(runner, &format!("one line per column: {}", on_off(runner.settings.expanded)))?;
        }
        "\\rows" => set_rows(runner, argument)?,
        "\\timing" => {
            runner.settings.timing = switched(argument, runner.settings.timing)?;
            say(runner, &format!("timing: {}", on_off(runner.settings.timing)))?;
        }
        "\\o" => set_output(runner, argument)?,
        "\\i" if argument.is_empty() => return Err(Problem::invalid("\\i wants the name of a file").into()),
        "\\i" => return runner.file(Path::new(unquoted(argument)), flag).boxed_local().await,
        "\\history" => return Err(Problem::invalid("\\history works at the prompt alone").into()),
        other => {
            let known = COMMANDS.iter().flat_map(|(names, ..)| names.iter().copied());
            return Err(Problem::invalid(lakemill_base::unknown("command", other, known)).into());
        }
    }
    Ok(Flow::Continue)
}

async fn sql(runner: &mut Runner<'_>, text: &str, flag: &CancelFlag) -> Result<()> {
    runner.script(Script { name: None, text }, flag).boxed_local().await.map(|_| ())
}

/// Describes a model where there is no table of the name.
async fn describe(runner: &mut Runner<'_>, name: &str, flag: &CancelFlag) -> Result<()> {
    use lakemill_base::ErrorKind;

    let session = runner.engine.session().await?;
    let model = format!("DESCRIBE MODEL {name}");
    let table = format!("DESCRIBE {name}");
    let is_relation = match session.sql(&table).await {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::NotFound || session.sql(&model).await.is_err(),
    };
    sql(runner, if is_relation { &table } else { &model }, flag).await
}

fn set_format(runner: &mut Runner<'_>, argument: &str) -> Result<()> {
    if !argument.is_empty() {
        let names = Format::value_variants().iter().map(|f| f.as_str());
        runner.settings.format = Format::from_str(argument, true)
            .map_err(|_| Problem::invalid(lakemill_base::unknown("format", argument, names)))?;
        runner.settings.expanded = false;
    }
    say(runner, &format!("format: {}", runner.settings.format.as_str()))
}

fn set_rows(runner: &mut Runner<'_>, argument: &str) -> Result<()> {
    if !argument.is_empty() {
        runner.settings.rows_max =
            argument.parse().map_err(|_| Problem::invalid(format!("'{argument}' is not a number of rows")))?;
    }
    say(runner, &format!("rows shown: {}", runner.settings.rows_max))
}

fn set_output(runner: &mut Runner<'_>, argument: &str) -> Result<()> {
    let next = if argument.is_empty() {
        Target::Stdout
    } else {
        Target::File(OutputFile::create(Path::new(unquoted(argument)))?)
    };
    std::mem::replace(&mut runner.target, next).finish().context("cannot finish the output")
}

fn say(runner: &Runner<'_>, text: &str) -> Result<()> {
    if !runner.settings.quiet {
        writeln!(io::stderr(), "{text}")?;
    }
    Ok(())
}

fn switched(argument: &str, now: bool) -> Result<bool> {
    match argument.to_ascii_lowercase().as_str() {
        "" => Ok(!now),
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        other => Err(Problem::invalid(format!("'{other}' is neither on nor off")).into()),
    }
}

const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn unquoted(argument: &str) -> &str {
    argument.strip_prefix('\'').and_then(|a| a.strip_suffix('\'')).unwrap_or(argument)
}

fn help() -> String {
    let mut text = String::from("SQL ends with a semicolon and may take several lines. Backslash commands:\n");
    for (names, argument, what) in COMMANDS {
        let call = format!("{} {argument}", names.join(", "));
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {call:<26} {what}");
    }
    text.push_str("Tab completes, Ctrl-C cancels a statement or clears the line, Ctrl-R searches, Ctrl-D leaves.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches() {
        assert!(switched("", false).unwrap());
        assert!(!switched("off", true).unwrap());
        assert!(switched("maybe", true).is_err());
    }

    #[test]
    fn help_names_every_command() {
        let help = help();
        assert!(COMMANDS.iter().flat_map(|(names, ..)| names.iter()).all(|name| help.contains(name)));
    }
}
