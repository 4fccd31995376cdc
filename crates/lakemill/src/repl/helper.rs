//! What the line editor asks while a line is typed: completions and colours.

use std::borrow::Cow;

use rustyline::Context;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::Validator;

use clap::ValueEnum;

use super::complete::complete;
use super::keywords::is_keyword;
use super::names::LakeNames;
use crate::output::Format;
use crate::sql::command::COMMANDS;
use crate::sql::lex::{self, TokenKind};

/// Completes and colours for the line editor.
pub(super) struct Helper<'e> {
    pub(super) names: LakeNames<'e>,
    /// The earlier lines of the statement being typed.
    pub(super) before: String,
    files: FilenameCompleter,
    color: bool,
}

impl<'e> Helper<'e> {
    pub(super) fn new(names: LakeNames<'e>, color: bool) -> Self {
        Self { names, before: String::new(), files: FilenameCompleter::new(), color }
    }

    fn command(&self, line: &str, at: usize, context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[..at];
        let Some((name, argument)) = typed.split_once(' ') else {
            let names = COMMANDS.iter().flat_map(|(names, ..)| names.iter()).filter(|name| name.starts_with(typed));
            return Ok((0, names.map(|name| pair(name)).collect()));
        };
        let start = at - argument.len();
        let among = |candidates: Vec<String>| {
            let found = candidates.into_iter().filter(|c| c.starts_with(argument)).map(|c| pair(&c)).collect();
            Ok((start, found))
        };
        match name {
            "\\i" | "\\o" => self.files.complete(line, at, context),
            "\\d" => {
                use super::complete::Names;
                among([self.names.relations(), self.names.models()].concat())
            }
            "\\format" => among(Format::value_variants().iter().map(|f| f.as_str().to_owned()).collect()),
            "\\timing" => among(vec!["on".into(), "off".into()]),
            _ => Ok((at, Vec::new())),
        }
    }
}

fn pair(text: &str) -> Pair {
    Pair { display: text.to_owned(), replacement: text.to_owned() }
}

impl rustyline::Helper for Helper<'_> {}

impl Completer for Helper<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        if self.before.is_empty() && line.starts_with('\\') {
            return self.command(line, at, context);
        }
        let (start, found) = complete(&self.before, line, at, &self.names);
        Ok((start, found.iter().map(|text| pair(text)).collect()))
    }
}

impl Highlighter for Helper<'_> {
    fn highlight<'l>(&self, line: &'l str, _at: usize) -> Cow<'l, str> {
        if self.color { Cow::Owned(colored(&self.before, line)) } else { Cow::Borrowed(line) }
    }

    fn highlight_char(&self, _line: &str, _at: usize, kind: CmdKind) -> bool {
        self.color && kind != CmdKind::MoveCursor
    }
}

impl Hinter for Helper<'_> {
    type Hint = String;
}

impl Validator for Helper<'_> {}

/// `line` with colours; `before` tells whether it begins within a string or a comment.
fn colored(before: &str, line: &str) -> String {
    let text = format!("{before}{line}");
    let mut out = String::with_capacity(line.len() * 2);
    for token in lex::tokens(&text) {
        if token.range.end <= before.len() {
            continue;
        }
        let piece = &text[token.range.start.max(before.len())..token.range.end];
        let code = match token.kind {
            TokenKind::Word if is_keyword(piece) => "1;34",
            TokenKind::Text => "32",
            TokenKind::Number => "36",
            TokenKind::Comment => "2",
            _ => {
                out.push_str(piece);
                continue;
            }
        };
        out.push_str(&format!("\x1b[{code}m{piece}\x1b[0m"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::colored;

    #[test]
    fn colours_change_no_text() {
        let line = "SELECT 'a' AS x, 1.5 FROM t -- end";
        let painted = colored("", line);
        assert!(painted.starts_with("\x1b[1;34mSELECT\x1b[0m "));
        assert_eq!(console::strip_ansi_codes(&painted), line);
        assert_eq!(colored("SELECT '", "FROM'"), "\x1b[32mFROM'\x1b[0m");
    }
}
