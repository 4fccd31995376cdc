//! A forgiving SQL lexer: enough to find where a statement ends, what to complete and what to colour.
//!
//! Not here: parsing. Text that does not lex (an unclosed quote) is a token too, marked as open.

use std::ops::Range;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Spaces and line breaks.
    Space,
    /// `-- to the end of the line` and `/* nested */`.
    Comment,
    /// A keyword or a bare name.
    Word,
    /// `1`, `2.5e3`.
    Number,
    /// `'text'` or `$tag$text$tag$`.
    Text,
    /// `"name"` or `` `name` ``.
    QuotedName,
    /// Anything else, one character at a time.
    Symbol,
}

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    /// Its bytes in the text.
    pub(crate) range: Range<usize>,
    /// Whether the text ended before the token did.
    pub(crate) open: bool,
}

/// Cuts `text` into tokens; together they cover all of it.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(token) = next(text, at) {
        at = token.range.end;
        tokens.push(token);
    }
    tokens
}

/// The token that begins at byte `at`.
pub(crate) fn next(text: &str, at: usize) -> Option<Token> {
    let rest = &text[at..];
    let first = rest.chars().next()?;
    let second = rest[first.len_utf8()..].chars().next();
    let (kind, end) = match (first, second) {
        (c, _) if c.is_whitespace() => (TokenKind::Space, run(rest, char::is_whitespace)),
        ('-', Some('-')) => (TokenKind::Comment, Some(rest.find('\n').unwrap_or(rest.len()))),
        ('/', Some('*')) => (TokenKind::Comment, block_comment(rest)),
        ('\'', _) => (TokenKind::Text, quoted(rest, '\'')),
        ('"' | '`', _) => (TokenKind::QuotedName, quoted(rest, first)),
        ('$', _) if dollar_tag(rest).is_some() => (TokenKind::Text, dollar_quoted(rest)),
        (c, _) if is_word_start(c) => (TokenKind::Word, run(rest, is_word)),
        (c, _) if c.is_ascii_digit() => (TokenKind::Number, run(rest, |c| is_word(c) || c == '.')),
        (c, _) => (TokenKind::Symbol, Some(c.len_utf8())),
    };
    let open = end.is_none();
    Some(Token { kind, range: at..at + end.unwrap_or(rest.len()), open })
}

/// Whether a bare name may begin with this character.
pub(crate) fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The end of the characters that belong together; such a run is never open.
fn run(rest: &str, belongs: impl Fn(char) -> bool) -> Option<usize> {
    Some(rest.find(|c| !belongs(c)).unwrap_or(rest.len()))
}

/// The end of a quoted piece, in which the doubled quote stands for itself.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
            } else {
                return Some(at + 1);
            }
        }
    }
    None
}

fn block_comment(rest: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// The opening `$$` or `$tag$`.
fn dollar_tag(rest: &str) -> Option<&str> {
    let end = rest[1..].find('$')? + 2;
    let tag = &rest[1..end - 1];
    let named = tag.chars().all(|c| c.is_alphanumeric() || c == '_') && !tag.starts_with(|c: char| c.is_ascii_digit());
    named.then_some(&rest[..end])
}

fn dollar_quoted(rest: &str) -> Option<usize> {
    let tag = dollar_tag(rest)?;
    Some(rest[tag.len()..].find(tag)? + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(TokenKind, &str)> {
        tokens(text).into_iter().filter(|t| t.kind != TokenKind::Space).map(|t| (t.kind, &text[t.range])).collect()
    }

    #[test]
    fn cuts_sql() {
        use TokenKind::{Comment, Number, QuotedName, Symbol, Text, Word};
        assert_eq!(
            kinds("SELECT 'it''s; ok', \"a\"\"b\", 1.5e3 -- ;\n/* ; /* nested */ */ FROM t;"),
            [
                (Word, "SELECT"),
                (Text, "'it''s; ok'"),
                (Symbol, ","),
                (QuotedName, "\"a\"\"b\""),
                (Symbol, ","),
                (Number, "1.5e3"),
                (Comment, "-- ;"),
                (Comment, "/* ; /* nested */ */"),
                (Word, "FROM"),
                (Word, "t"),
                (Symbol, ";"),
            ]
        );
    }

    #[test]
    fn knows_dollar_quotes_from_parameters() {
        assert_eq!(kinds("$$a;b$$"), [(TokenKind::Text, "$$a;b$$")]);
        assert_eq!(kinds("$x$ ' $x$"), [(TokenKind::Text, "$x$ ' $x$")]);
        assert_eq!(kinds("$1, $2")[0], (TokenKind::Symbol, "$"));
    }

    #[test]
    fn marks_what_is_open() {
        for text in ["'abc", "\"abc", "/* abc", "$$ abc", "'it''"] {
            assert!(tokens(text).last().unwrap().open, "{text}");
        }
        assert!(!tokens("'abc' -- rest").last().unwrap().open);
    }
}
