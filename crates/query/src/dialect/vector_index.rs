//! The statements about indexes over vectors, as syntax; BigQuery's, but for SHOW.

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::own::parse_word;
use crate::model::{LocatedOption, parse_options};

/// A statement about indexes over vectors.
#[derive(Clone, Debug)]
pub(crate) enum VectorIndexStatement {
    /// `CREATE [OR REPLACE] VECTOR INDEX [IF NOT EXISTS] n ON t (c) OPTIONS (..)`
    Create(CreateVectorIndex),
    /// `ALTER VECTOR INDEX [IF EXISTS] n ON t REBUILD`
    Rebuild { name: Ident, table: ObjectName, if_exists: bool },
    /// `DROP VECTOR INDEX [IF EXISTS] n ON t`
    Drop { name: Ident, table: ObjectName, if_exists: bool },
    /// `SHOW VECTOR INDEXES`
    Show,
}

/// `CREATE VECTOR INDEX`
#[derive(Clone, Debug)]
pub(crate) struct CreateVectorIndex {
    pub(crate) name: Ident,
    pub(crate) table: ObjectName,
    pub(crate) column: Ident,
    pub(crate) options: Vec<LocatedOption>,
    pub(crate) or_replace: bool,
    pub(crate) if_not_exists: bool,
}

/// Parses such a statement; `None`, with nothing consumed, when the next words start none.
pub(super) fn parse_vector_index(parser: &mut Parser<'_>) -> Option<Result<VectorIndexStatement, ParserError>> {
    if starts_with(parser, &["CREATE", "VECTOR", "INDEX"])
        || starts_with(parser, &["CREATE", "OR", "REPLACE", "VECTOR", "INDEX"])
    {
        return Some(parse_create(parser).map(VectorIndexStatement::Create));
    }
    if starts_with(parser, &["ALTER", "VECTOR", "INDEX"]) {
        return Some(parse_rebuild(parser));
    }
    if starts_with(parser, &["DROP", "VECTOR", "INDEX"]) {
        let named = parse_named(parser);
        return Some(named.map(|(name, table, if_exists)| VectorIndexStatement::Drop { name, table, if_exists }));
    }
    if starts_with(parser, &["SHOW", "VECTOR", "INDEXES"]) {
        skip(parser, 3);
        return Some(Ok(VectorIndexStatement::Show));
    }
    None
}

fn starts_with(parser: &Parser<'_>, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(place, expected)| {
        matches!(&parser.peek_nth_token_ref(place).token,
            Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected))
    })
}

fn skip(parser: &mut Parser<'_>, words: usize) {
    for _ in 0..words {
        parser.next_token();
    }
}

fn parse_create(parser: &mut Parser<'_>) -> Result<CreateVectorIndex, ParserError> {
    skip(parser, 1);
    let or_replace = parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
    skip(parser, 2);
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = parser.parse_identifier()?;
    parser.expect_keyword_is(Keyword::ON)?;
    let table = parser.parse_object_name(false)?;
    parser.expect_token(&Token::LParen)?;
    let column = parser.parse_identifier()?;
    if parser.peek_token_ref().token != Token::RParen {
        return parser.expected("')', since an index is over one column", parser.peek_token());
    }
    parser.expect_token(&Token::RParen)?;
    let options = parse_options(parser)?.unwrap_or_default();
    Ok(CreateVectorIndex { name, table, column, options, or_replace, if_not_exists })
}

fn parse_rebuild(parser: &mut Parser<'_>) -> Result<VectorIndexStatement, ParserError> {
    let (name, table, if_exists) = parse_named(parser)?;
    match parse_word(parser, "REBUILD") {
        true => Ok(VectorIndexStatement::Rebuild { name, table, if_exists }),
        false => parser.expected("REBUILD", parser.peek_token()),
    }
}

/// `verb VECTOR INDEX [IF EXISTS] n ON t`
fn parse_named(parser: &mut Parser<'_>) -> Result<(Ident, ObjectName, bool), ParserError> {
    skip(parser, 3);
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let name = parser.parse_identifier()?;
    parser.expect_keyword_is(Keyword::ON)?;
    Ok((name, parser.parse_object_name(false)?, if_exists))
}
