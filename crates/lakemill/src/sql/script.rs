//! Cuts a script into statements and backslash commands, and remembers where each began.

use super::lex::{self, TokenKind};

/// A place in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// The place of byte `at` in `text`.
    pub(crate) fn of(text: &str, at: usize) -> Self {
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }

    /// The place in the whole text of a `place` in a piece that begins here.
    pub(crate) const fn shifted(self, place: Self) -> Self {
        if place.line == 1 {
            Self { line: self.line, column: self.column + place.column - 1 }
        } else {
            Self { line: self.line + place.line - 1, column: place.column }
        }
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A statement without its semicolon.
    Statement {
        text: &'a str,
        place: Place,
        /// Whether a semicolon ended it.
        ended: bool,
    },
    /// A line that begins with a backslash.
    Command { text: &'a str, place: Place },
}

/// Cuts a script. Empty statements are left out.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start: Option<usize> = None;
    let mut end = 0;
    let mut at = 0;
    while let Some(token) = lex::next(text, at) {
        at = token.range.end;
        let symbol = (token.kind == TokenKind::Symbol).then(|| &text[token.range.clone()]);
        match (token.kind, symbol, start) {
            (TokenKind::Space | TokenKind::Comment, ..) => {}
            (_, Some(";"), None) => {}
            (_, Some(";"), Some(from)) => {
                pieces.push(Piece::Statement { text: &text[from..end], place: Place::of(text, from), ended: true });
                start = None;
            }
            (_, Some("\\"), None) => {
                let from = token.range.start;
                at = text[from..].find('\n').map_or(text.len(), |i| from + i);
                pieces.push(Piece::Command { text: text[from..at].trim_end(), place: Place::of(text, from) });
            }
            (.., None) => {
                start = Some(token.range.start);
                end = token.range.end;
            }
            (.., Some(_)) => end = token.range.end,
        }
    }
    if let Some(from) = start {
        pieces.push(Piece::Statement { text: &text[from..end], place: Place::of(text, from), ended: false });
    }
    pieces
}

/// Why more lines are wanted before the text can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A semicolon.
    End,
    /// The closing quote.
    Quote(char),
    /// The end of a comment.
    Comment,
    /// A closing parenthesis.
    Parenthesis,
}

/// What `text`, typed so far, still needs; `None` when it can run.
pub(crate) fn wanted(text: &str) -> Option<Wanted> {
    let tokens = lex::tokens(text);
    if let Some(last) = tokens.last().filter(|t| t.open) {
        return Some(match last.kind {
            TokenKind::Comment => Wanted::Comment,
            _ => Wanted::Quote(text[last.range.clone()].chars().next().unwrap_or('\'')),
        });
    }
    match pieces(text).last() {
        Some(Piece::Statement { text: statement, ended: false, .. }) => {
            let depth = lex::tokens(statement).iter().fold(0i64, |depth, t| match &statement[t.range.clone()] {
                "(" => depth + 1,
                ")" => depth - 1,
                _ => depth,
            });
            Some(if depth > 0 { Wanted::Parenthesis } else { Wanted::End })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_semicolons_outside_quotes() {
        let script = "-- start\nSELECT ';' ;\n\n;; \\timing on\n  SELECT\n 2 -- end";
        assert_eq!(
            pieces(script),
            [
                Piece::Statement { text: "SELECT ';'", place: Place { line: 2, column: 1 }, ended: true },
                Piece::Command { text: "\\timing on", place: Place { line: 4, column: 4 } },
                Piece::Statement { text: "SELECT\n 2", place: Place { line: 5, column: 3 }, ended: false },
            ]
        );
    }

    #[test]
    fn shifts_places() {
        let start = Place { line: 4, column: 3 };
        assert_eq!(start.shifted(Place { line: 1, column: 8 }), Place { line: 4, column: 10 });
        assert_eq!(start.shifted(Place { line: 3, column: 8 }), Place { line: 6, column: 8 });
    }

    #[test]
    fn knows_what_is_missing() {
        assert_eq!(wanted("SELECT 1;"), None);
        assert_eq!(wanted("  "), None);
        assert_eq!(wanted("\\dt"), None);
        assert_eq!(wanted("SELECT 1; -- done"), None);
        assert_eq!(wanted("SELECT 1"), Some(Wanted::End));
        assert_eq!(wanted("SELECT (1"), Some(Wanted::Parenthesis));
        assert_eq!(wanted("SELECT '1;"), Some(Wanted::Quote('\'')));
        assert_eq!(wanted("SELECT \"a"), Some(Wanted::Quote('"')));
        assert_eq!(wanted("SELECT 1; /* "), Some(Wanted::Comment));
    }
}
