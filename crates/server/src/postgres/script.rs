//! A text taken apart: which statements are PostgreSQL's alone, and which the engine's.
//!
//! The text is split at semicolons before anything is parsed, since clients send statements in one text that only one
//! of the two grammars knows (`BEGIN; CREATE MODEL ..; COMMIT`).

use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use lakemill_query::{Parsed, Position, Session};
use pgwire::error::PgWireResult;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::answer::placed;
use super::copy::Copy;
use super::own::Own;
use super::rewrite;
use crate::error::{Error, Result};

/// One statement of a text.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Its text.
    pub(super) text: String,
    /// Where it begins, in characters from 0.
    pub(super) offset: usize,
    /// What runs is written otherwise, so that its places are none of the text.
    pub(super) rewritten: bool,
    pub(super) statement: Statement,
}

/// What a statement is.
#[derive(Clone, Debug)]
pub(super) enum Statement {
    /// PostgreSQL's alone.
    Own(Own),
    /// `COPY .. TO STDOUT` or `FROM STDIN`.
    Copy(Copy),
    /// The engine's.
    Engine(Box<Parsed>),
}

impl Piece {
    /// The place of an error, in characters from 1 of the whole text, as PostgreSQL counts.
    pub(super) fn place(&self, position: Position) -> Option<usize> {
        (!self.rewritten).then(|| place_in(&self.text, self.offset, position))
    }
}

fn place_in(text: &str, offset: usize, position: Position) -> usize {
    let before = usize::try_from(position.line).unwrap_or(1).saturating_sub(1);
    let lines: usize = text.split('\n').take(before).map(|line| line.chars().count() + 1).sum();
    offset + lines + usize::try_from(position.column).unwrap_or(1)
}

/// The statements of a text.
///
/// # Errors
/// What neither grammar allows.
pub(super) fn take_apart(
    session: &Session,
    compatibility: &PostgresCompatibilityParser,
    text: &str,
) -> PgWireResult<Vec<Piece>> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().map_err(|error| {
        let place = offset_of(text, error.location) + 1;
        placed(&Error::invalid(format!("syntax error: {}", error.message)), Some(place))
    })?;
    let mut pieces = Vec::new();
    for tokens in tokens.split(|token| token.token == Token::SemiColon) {
        let words: Vec<&TokenWithSpan> =
            tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect();
        let (Some(first), Some(last)) = (words.first(), words.last()) else { continue };
        let (offset, end) = (offset_of(text, first.span.start), offset_of(text, last.span.end));
        let piece: String = text.chars().skip(offset).take(end - offset).collect();
        let kinds: Vec<&Token> = words.iter().map(|word| &word.token).collect();
        let statement = match (Own::recognize(&kinds), Copy::recognize(&kinds)) {
            (Some(own), _) => own.map(Statement::Own),
            (None, Some(copy)) => copy.map(Statement::Copy),
            (None, None) => {
                engine(session, compatibility, &piece, &kinds).map(|parsed| Statement::Engine(Box::new(parsed)))
            }
        };
        let statement = statement
            .map_err(|error| placed(&error, error.position().map(|position| place_in(&piece, offset, position))))?;
        let rewritten = matches!(&statement, Statement::Engine(parsed) if parsed.text != piece);
        pieces.push(Piece { text: piece, offset, rewritten, statement });
    }
    Ok(pieces)
}

/// Parses one of the engine's statements.
fn engine(
    session: &Session,
    compatibility: &PostgresCompatibilityParser,
    text: &str,
    tokens: &[&Token],
) -> Result<Parsed> {
    // What clients ask pg_catalog is written for PostgreSQL's operators, casts and visibility rules.
    let rewritten = match asks_catalog(tokens) {
        true => compatibility.parse(text).ok().map(|statements| {
            let texts: Vec<String> = statements.into_iter().map(rewrite::plainly).collect();
            texts.join("; ")
        }),
        false => None,
    };
    let parsed = session.parse(rewritten.as_deref().unwrap_or(text))?;
    match <[Parsed; 1]>::try_from(parsed) {
        Ok([parsed]) => Ok(parsed),
        Err(_) => Err(Error::invalid("syntax error: this is not one statement")),
    }
}

/// Whether a statement names something of pg_catalog's.
fn asks_catalog(tokens: &[&Token]) -> bool {
    const FUNCTIONS: [&str; 8] = [
        "current_database",
        "current_schema",
        "current_schemas",
        "current_user",
        "session_user",
        "version",
        "has_table_privilege",
        "has_schema_privilege",
    ];
    tokens.iter().any(|token| {
        let Token::Word(word) = token else { return false };
        let name = word.value.to_ascii_lowercase();
        name.starts_with("pg_") || name.starts_with("reg") || FUNCTIONS.contains(&name.as_str())
    })
}

/// The characters before a place.
fn offset_of(text: &str, place: Location) -> usize {
    let line = usize::try_from(place.line).unwrap_or(1).saturating_sub(1);
    let before: usize = text.split('\n').take(line).map(|line| line.chars().count() + 1).sum();
    before + usize::try_from(place.column).unwrap_or(1).saturating_sub(1)
}
