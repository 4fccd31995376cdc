//! The prompt of `lakemill sql`.

mod complete;
mod helper;
mod keywords;
mod names;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use futures::FutureExt;
use rustyline::config::{BellStyle, CompletionType};
use rustyline::error::ReadlineError;
use rustyline::history::{FileHistory, History, SearchDirection};
use rustyline::{Config, Editor};

use crate::engine::Engine;
use crate::failure;
use crate::sql::command::Flow;
use crate::sql::runner::{Runner, Script};
use crate::sql::script::{Wanted, wanted};

use helper::Helper;
use names::LakeNames;

/// Statements remembered between sessions.
const HISTORY_ENTRIES_MAX: usize = 10_000;
/// Statements that `\history` shows.
const HISTORY_SHOWN_DEFAULT: usize = 20;
const PROMPT: &str = "lakemill";

type LineEditor<'e> = Editor<Helper<'e>, FileHistory>;

/// Reads and runs statements until the user leaves.
pub(crate) fn run(engine: &Engine, mut runner: Runner<'_>) -> Result<()> {
    let color = console::colors_enabled();
    let mut editor = editor(engine, color)?;
    let history = history_file("history");
    if let Some(path) = &history {
        // No history yet, or one that cannot be read: the prompt works without.
        let _ = editor.load_history(path);
    }
    greet(engine)?;
    let mut typed = String::new();
    loop {
        if let Some(helper) = editor.helper_mut() {
            helper.before.clone_from(&typed);
            helper.names.refresh(runner.changes);
        }
        let prompt = prompt(&typed);
        let styled = if color { format!("\x1b[1;36m{prompt}\x1b[0m") } else { prompt.clone() };
        match editor.readline(&(prompt, styled)) {
            Ok(line) => {
                typed.push_str(&line);
                if let Some(text) = complete_text(&mut typed) {
                    remember(&mut editor, &text, history.as_ref());
                    if run_text(engine, &mut runner, &mut editor, &text)? == Flow::Quit {
                        break;
                    }
                }
            }
            Err(ReadlineError::Interrupted) => typed.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error).context("cannot read the terminal"),
        }
    }
    runner.target.finish()
}

fn editor<'e>(engine: &'e Engine, color: bool) -> Result<LineEditor<'e>> {
    let config = Config::builder()
        .max_history_size(HISTORY_ENTRIES_MAX)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .bell_style(BellStyle::None)
        .build();
    let mut editor = LineEditor::with_config(config).context("cannot use the terminal")?;
    editor.set_helper(Some(Helper::new(LakeNames::new(engine), color)));
    Ok(editor)
}

fn greet(engine: &Engine) -> Result<()> {
    let lake = &engine.global().lake;
    let missing = if engine.lake_is_missing() { " (made by the first CREATE)" } else { "" };
    writeln!(io::stdout(), "lakemill {} on {lake}{missing}; \\? for help, \\q to leave", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}

/// The prompt, or what stands in its place on the later lines of a statement: it shows what is still open.
fn prompt(typed: &str) -> String {
    let open = match wanted(typed) {
        None => return format!("{PROMPT}> "),
        Some(Wanted::End) => '-',
        Some(Wanted::Quote(quote)) => quote,
        Some(Wanted::Comment) => '*',
        Some(Wanted::Parenthesis) => '(',
    };
    format!("{:>width$}> ", format!("{open}-"), width = PROMPT.len())
}

/// Takes what was typed if it can run; otherwise it stays, with a line break for the next line.
fn complete_text(typed: &mut String) -> Option<String> {
    let trimmed = typed.trim();
    let alone = matches!(trimmed.to_ascii_lowercase().as_str(), "quit" | "exit" | "help");
    if trimmed.is_empty() {
        typed.clear();
        return None;
    }
    if alone || wanted(typed).is_none() {
        return Some(std::mem::take(typed).trim().to_owned());
    }
    typed.push('\n');
    None
}

fn run_text(engine: &Engine, runner: &mut Runner<'_>, editor: &mut LineEditor<'_>, text: &str) -> Result<Flow> {
    let text = match text.to_ascii_lowercase().as_str() {
        "quit" | "exit" => "\\q",
        "help" => "\\?",
        _ => text,
    };
    if let Some(argument) = text.strip_prefix("\\history") {
        let shown = argument.trim().parse().unwrap_or(HISTORY_SHOWN_DEFAULT);
        show_history(editor.history(), shown)?;
        return Ok(Flow::Continue);
    }
    let flag = engine.interrupts().arm();
    match engine.block_on(runner.script(Script { name: None, text }, &flag).boxed_local()) {
        Ok(flow) => Ok(flow),
        Err(error) => {
            failure::report(&error);
            Ok(Flow::Continue)
        }
    }
}

fn show_history(history: &FileHistory, shown: usize) -> Result<()> {
    let mut out = io::stdout().lock();
    for index in history.len().saturating_sub(shown)..history.len() {
        if let Some(entry) = history.get(index, SearchDirection::Forward)? {
            writeln!(out, "{:>5}  {}", index + 1, entry.entry.replace('\n', "\n       "))?;
        }
    }
    Ok(())
}

/// Adds a statement to the history, and to its file at once: a crash loses none.
fn remember(editor: &mut LineEditor<'_>, text: &str, file: Option<&PathBuf>) {
    // CREATE USER .. PASSWORD: the file of the history is no place for it.
    if text.to_ascii_uppercase().contains("PASSWORD") {
        return;
    }
    let added = editor.add_history_entry(text).unwrap_or(false);
    if let Some(path) = file.filter(|_| added) {
        // A history that cannot be kept is no reason to stop working.
        let _ = editor.append_history(path);
    }
}

/// The file of a history, in the user's folder for state; its folder is made.
pub(crate) fn history_file(name: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LAKEMILL_HISTORY") {
        return Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
    }
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| folder("HOME").map(|home| home.join(".local").join("state")))?;
    let folder = state.join("lakemill");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_shows_what_is_open() {
        assert_eq!(prompt(""), "lakemill> ");
        assert_eq!(prompt("SELECT 1\n"), "      --> ");
        assert_eq!(prompt("SELECT 'a\n"), "      '-> ");
        assert_eq!(prompt("SELECT (\n"), "      (-> ");
    }

    #[test]
    fn waits_for_the_semicolon() {
        let mut typed = "SELECT 1".to_owned();
        assert_eq!(complete_text(&mut typed), None);
        typed.push_str("+ 1;");
        assert_eq!(complete_text(&mut typed).as_deref(), Some("SELECT 1\n+ 1;"));
        assert!(typed.is_empty());
        assert_eq!(complete_text(&mut "exit".to_owned()).as_deref(), Some("exit"));
    }
}
