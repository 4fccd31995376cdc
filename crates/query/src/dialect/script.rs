//! A script as a list of statements, each with its text and place.

use std::collections::BTreeSet;

use datafusion::sql::parser::{DFParser, DFParserBuilder, Statement as DFStatement};
use sqlparser::ast::Query;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::columns::quote_index_names;
use super::grammar::LakemillDialect;
use super::own::{OwnStatement, parse_own};
use super::places::place_paths;
use super::references::References;
use super::types::angle_bracket_structs;
use crate::error::{Error, Position, Result};
use crate::lineage::ObjectRef;
use crate::model::{self, ModelStatement};

/// Deeper nesting is refused: it would be a mistake or an attack on the stack.
const RECURSION_DEPTH_MAX: usize = 100;

/// What a statement is, as far as a caller needs to know to present it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// Gives rows and changes nothing: SELECT, SHOW, DESCRIBE, EXPLAIN ..
    Query,
    /// Makes, changes or drops a namespace, table or view without moving rows.
    Definition,
    /// Writes rows: CREATE TABLE AS, INSERT, UPDATE, DELETE, MERGE, TRUNCATE.
    Write,
    /// Writes files: COPY TO.
    Copy,
    /// Trains a model.
    Train,
    /// Makes, shows or drops a model without training.
    Model,
    /// Tends a table: OPTIMIZE, VACUUM, RESTORE.
    Maintenance,
    /// Changes the session alone: USE, SET, PREPARE ..
    Session,
}

/// A parsed statement.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// Its text, without the semicolon and the comments around it.
    pub text: String,
    /// The line of the script that it starts on, from 1.
    pub line: u64,
    /// The column of that line, in characters, from 1.
    pub column: u64,
    /// What it is.
    pub kind: StatementKind,
    /// The tables, models and files that it names as inputs. What views among them read is known only when it
    /// is executed.
    pub reads: BTreeSet<ObjectRef>,
    /// The tables, models and files that it makes, changes or drops.
    pub writes: BTreeSet<ObjectRef>,
    /// The comment lines right above it.
    pub comment: Option<String>,
    pub(crate) ast: Ast,
}

impl Parsed {
    /// Where the statement starts.
    pub fn position(&self) -> Position {
        Position { line: self.line, column: self.column }
    }

    /// Where, in [`Parsed::text`], the text in single quotes stands that follows a word such as LOCATION.
    pub(crate) fn literal_after(&self, word: &str) -> Option<Position> {
        let tokens = Tokenizer::new(&LakemillDialect, &self.text).tokenize_with_location().ok()?;
        let mut tokens = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).peekable();
        while let Some(token) = tokens.next() {
            if let (Token::Word(found), Some(next)) = (&token.token, tokens.peek())
                && found.value.eq_ignore_ascii_case(word)
                && matches!(next.token, Token::SingleQuotedString(_))
            {
                return Some(Position { line: next.span.start.line, column: next.span.start.column });
            }
        }
        None
    }

    /// The place in the script of a place in [`Parsed::text`].
    pub(crate) fn script_position(&self, inner: Position) -> Position {
        let column = if inner.line == 1 { self.column + inner.column - 1 } else { inner.column };
        Position { line: self.line + inner.line - 1, column }
    }
}

/// The parsed form of a statement, by whose grammar it is.
#[expect(clippy::large_enum_variant, reason = "one lives at a time; a box would cost more than it saves")]
#[derive(Clone, Debug)]
pub(crate) enum Ast {
    /// One that DataFusion's parser knows.
    Sql(Box<DFStatement>),
    /// The lake's own.
    Own(OwnStatement),
    /// About models.
    Model(Box<ModelStatement>),
}

/// Whose statements a session knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// The lake's own beside DataFusion's.
    Lake,
    /// DataFusion's alone, for tables that live in memory.
    DataFusion,
}

/// Parses a script. Unqualified names in `reads` and `writes` are taken to be in `namespace`.
pub(crate) fn parse_script(script: &str, namespace: &str, grammar: Grammar) -> Result<Vec<Parsed>> {
    parse_statements(script, namespace, grammar).map_err(|error| error.with_script(script))
}

fn parse_statements(script: &str, namespace: &str, grammar: Grammar) -> Result<Vec<Parsed>> {
    let offsets = LineOffsets::of(script);
    let tokens = Tokenizer::new(&LakemillDialect, script)
        .tokenize_with_location()
        .map_err(|error| parse_error(ParserError::from(error)))?;
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&LakemillDialect)
        .with_recursion_limit(RECURSION_DEPTH_MAX)
        .build()
        .map_err(Error::from)?;
    let mut namespace = namespace.to_owned();
    let mut statements = Vec::new();
    loop {
        while parser.parser.consume_token(&Token::SemiColon) {}
        let first = parser.parser.peek_token();
        if first.token == Token::EOF {
            return Ok(statements);
        }
        // Each statement is parsed from its own text, so that all places within it count from its start.
        let end = skip_statement(&mut parser.parser, &first);
        let text = offsets.slice(script, first.span.start, end);
        let position = Position { line: first.span.start.line, column: first.span.start.column };
        let mut parsed = parse_one(text, position, &namespace, grammar)?;
        parsed.comment = comment_above(script, offsets.offset(script, first.span.start));
        if let Ast::Own(OwnStatement::Use { namespace: used }) = &parsed.ast {
            namespace = super::references::normalized(used);
        }
        statements.push(parsed);
    }
}

/// Skips to the next semicolon or the end; gives the end of the last token before it.
fn skip_statement(parser: &mut Parser<'_>, first: &TokenWithSpan) -> Location {
    let mut end = first.span.end;
    loop {
        let token = parser.peek_token();
        if matches!(token.token, Token::SemiColon | Token::EOF) {
            return end;
        }
        end = token.span.end;
        parser.next_token();
    }
}

fn parse_one(text: &str, position: Position, namespace: &str, grammar: Grammar) -> Result<Parsed> {
    let mut parsed = Parsed {
        text: text.to_owned(),
        line: position.line,
        column: position.column,
        kind: StatementKind::Query,
        reads: BTreeSet::new(),
        writes: BTreeSet::new(),
        comment: None,
        ast: Ast::Own(OwnStatement::ShowNamespaces),
    };
    parsed.ast = parse_ast(text, grammar).map_err(|mut error| {
        error.shift(|inner| parsed.script_position(inner));
        error.at(position)
    })?;
    let references = References::of(&parsed.ast, namespace);
    parsed.kind = references.kind;
    parsed.reads = references.reads;
    parsed.writes = references.writes;
    Ok(parsed)
}

fn parse_ast(text: &str, grammar: Grammar) -> Result<Ast> {
    let tokens = tokens_of(text)?;
    let mut parser = df_parser(tokens.clone())?;
    let mut ast = if grammar == Grammar::DataFusion {
        Ast::Sql(Box::new(parser.parse_statement().map_err(Error::from)?))
    } else if let Some(statement) = model::parse_statement(&mut parser.parser) {
        Ast::Model(Box::new(statement.map_err(parse_error)?))
    } else if let Some(statement) = parse_own(&mut parser.parser) {
        Ast::Own(statement.map_err(parse_error)?)
    } else {
        Ast::Sql(Box::new(parser.parse_statement().map_err(Error::from)?))
    };
    let next = parser.parser.peek_token();
    if next.token != Token::EOF {
        return Err(unexpected(&next, "the end of the statement"));
    }
    place_paths(&mut ast, &tokens);
    Ok(ast)
}

/// Parses the text of a view or another stored query.
pub(crate) fn parse_query_text(text: &str) -> Result<Box<Query>> {
    let mut parser = df_parser(tokens_of(text)?)?;
    let query = parser.parser.parse_query().map_err(parse_error)?;
    let next = parser.parser.peek_token();
    if next.token != Token::EOF {
        return Err(unexpected(&next, "the end of the query"));
    }
    Ok(query)
}

/// A statement's tokens, as the parser takes them.
fn tokens_of(text: &str) -> Result<Vec<TokenWithSpan>> {
    let mut tokens = Tokenizer::new(&LakemillDialect, text)
        .tokenize_with_location()
        .map_err(|error| parse_error(ParserError::from(error)))?;
    angle_bracket_structs(&mut tokens);
    quote_index_names(&mut tokens);
    Ok(tokens)
}

fn df_parser(tokens: Vec<TokenWithSpan>) -> Result<DFParser<'static>> {
    static DIALECT: LakemillDialect = LakemillDialect;
    DFParserBuilder::new(tokens)
        .with_dialect(&DIALECT)
        .with_recursion_limit(RECURSION_DEPTH_MAX)
        .build()
        .map_err(Error::from)
}

fn unexpected(found: &TokenWithSpan, wanted: &str) -> Error {
    let word = match &found.token {
        Token::Word(word) if word.keyword != Keyword::NoKeyword => word.value.to_uppercase(),
        token => token.to_string(),
    };
    Error::invalid(format!("syntax error: found '{word}' where {wanted} should be"))
        .at(Position { line: found.span.start.line, column: found.span.start.column })
}

/// A parser's error with its place taken out of the text.
pub(crate) fn parse_error(error: ParserError) -> Error {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return Error::invalid(format!("the statement nests deeper than {RECURSION_DEPTH_MAX} levels"));
        }
    };
    let (message, position) = split_position(&text);
    let error = Error::invalid(format!("syntax error: {}", plain_syntax(message)));
    match position {
        Some(position) => error.at(position),
        None => error,
    }
}

/// `.. at Line: 3, Column: 5` into the text before it and the place.
fn split_position(text: &str) -> (&str, Option<Position>) {
    let Some((before, after)) = text.rsplit_once(" at Line: ") else { return (text, None) };
    let Some((line, column)) = after.split_once(", Column: ") else { return (text, None) };
    let column = column.trim_end_matches(|c: char| !c.is_ascii_digit());
    match (line.trim().parse(), column.trim().parse()) {
        (Ok(line), Ok(column)) if line > 0 => (before, Some(Position { line, column })),
        (Ok(_), Ok(_)) => (before, None),
        _ => (text, None),
    }
}

/// With a small first letter; `UPDATE ..` keeps its capitals.
pub(crate) fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

/// sqlparser's `Expected: x, found: y` as a sentence.
fn plain_syntax(message: &str) -> String {
    let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
    let Some((wanted, found)) = message.strip_prefix("Expected: ").and_then(|rest| rest.split_once(", found: ")) else {
        return uncapitalized(message.trim_end_matches('.'));
    };
    match found {
        "EOF" => format!("the statement ends where {wanted} should be"),
        _ => format!("found '{found}' where {wanted} should be"),
    }
}

/// The lines of comment that stand right above the statement at `start`.
fn comment_above(script: &str, start: usize) -> Option<String> {
    let mut lines: Vec<&str> = Vec::new();
    for line in script.get(..start)?.lines().rev() {
        match line.trim().strip_prefix("--") {
            Some(comment) => lines.push(comment.trim()),
            None if line.trim().is_empty() && lines.is_empty() && script[..start].ends_with(line) => {}
            None => break,
        }
    }
    lines.reverse();
    let text = lines.join("\n").trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Byte offsets of the starts of lines, to turn sqlparser's places into ranges of text.
struct LineOffsets(Vec<usize>);

impl LineOffsets {
    fn of(script: &str) -> Self {
        let starts = script.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(starts).collect())
    }

    fn offset(&self, script: &str, location: Location) -> usize {
        let line = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(start) = self.0.get(line).copied() else { return script.len() };
        let characters = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
        script[start..].char_indices().nth(characters).map_or(script.len(), |(at, _)| start + at)
    }

    fn slice<'a>(&self, script: &'a str, from: Location, to: Location) -> &'a str {
        &script[self.offset(script, from)..self.offset(script, to)]
    }
}
