//! `CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name [TRANSFORM (..)] [OPTIONS (..)] [AS query]`.

use sqlparser::ast::{Ident, Query, SelectItem};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};

use super::option::{self, LocatedOption};
use super::{located, parse_name, skip};

/// CREATE MODEL as written.
#[derive(Clone, Debug)]
pub(crate) struct CreateModel {
    /// `[model]` or `[namespace, model]`.
    pub(crate) name: Vec<Ident>,
    /// Replace a model of that name by a new version.
    pub(crate) or_replace: bool,
    /// Do nothing if a model of that name exists.
    pub(crate) if_not_exists: bool,
    /// The TRANSFORM clause.
    pub(crate) transform: Option<TransformText>,
    /// The options in the order of the text.
    pub(crate) options: Vec<LocatedOption>,
    /// The query that gives the training rows.
    pub(crate) query: Option<Box<Query>>,
    /// The query as written, comments included.
    pub(crate) query_text: String,
}

/// A TRANSFORM clause: its select list as syntax and as text.
#[derive(Clone, Debug)]
pub(crate) struct TransformText {
    /// The select list.
    pub(crate) items: Vec<SelectItem>,
    /// The select list as written, without the parentheses.
    pub(crate) text: String,
    /// Where the clause begins.
    pub(crate) start: Location,
}

/// Reads the statement, whose first words were found to be CREATE [OR REPLACE] MODEL.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<CreateModel, ParserError> {
    skip(parser, 1);
    let or_replace = parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
    skip(parser, 1);
    let if_at = parser.peek_token_ref().span.start;
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    if or_replace && if_not_exists {
        return Err(located("OR REPLACE and IF NOT EXISTS exclude each other; keep one", if_at));
    }
    let name = parse_name(parser)?;
    let transform = if accept_word(parser, "TRANSFORM") { Some(parse_transform(parser)?) } else { None };
    for clause in ["INPUT", "OUTPUT"] {
        let at = parser.peek_token_ref().span.start;
        if accept_word(parser, clause) {
            return Err(located(
                &format!(
                    "{clause}(..) describes a remote or imported model, which is not supported; \
                     a model is trained with [TRANSFORM (..)] OPTIONS (model_type = '..') AS query"
                ),
                at,
            ));
        }
    }
    let options = option::parse_clause(parser)?.unwrap_or_default();
    let (query, query_text) = parse_query(parser)?;
    Ok(CreateModel { name, or_replace, if_not_exists, transform, options, query, query_text })
}

fn parse_query(parser: &mut Parser<'_>) -> Result<(Option<Box<Query>>, String), ParserError> {
    if parser.parse_keyword(Keyword::AS) {
        let (query, text) = with_text(parser, Parser::parse_query)?;
        return Ok((Some(query), text));
    }
    match &parser.peek_token_ref().token {
        Token::EOF | Token::SemiColon => Ok((None, String::new())),
        _ => {
            let found = parser.peek_token();
            parser.expected("TRANSFORM (..), OPTIONS (..) or AS query, in this order", found)
        }
    }
}

fn parse_transform(parser: &mut Parser<'_>) -> Result<TransformText, ParserError> {
    let start = parser.peek_token_ref().span.start;
    parser.expect_token(&Token::LParen)?;
    let (items, text) = with_text(parser, |parser| parser.parse_comma_separated(Parser::parse_select_item))?;
    parser.expect_token(&Token::RParen)?;
    Ok(TransformText { items, text, start })
}

/// Runs a part of the grammar and gives the text that it has read.
fn with_text<'a, T>(
    parser: &mut Parser<'a>,
    read: impl FnOnce(&mut Parser<'a>) -> Result<T, ParserError>,
) -> Result<(T, String), ParserError> {
    let first = parser.get_current_index() + 1;
    let value = read(parser)?;
    let last = parser.get_current_index();
    let text: String = (first..=last).map(|index| parser.token_at(index).to_string()).collect();
    Ok((value, text.trim().to_string()))
}

fn accept_word(parser: &mut Parser<'_>, word: &str) -> bool {
    let found = matches!(&parser.peek_token_ref().token,
        Token::Word(next) if next.quote_style.is_none() && next.value.eq_ignore_ascii_case(word));
    if found {
        parser.next_token();
    }
    found
}
