//! The statements about models, as syntax: CREATE, DROP, SHOW, DESCRIBE and EXPORT MODEL.
//!
//! Every option keeps its place in the text, so that an error about it can name line and column. Nothing is
//! resolved here: names, options and TRANSFORM are checked when the statement runs.

mod create;
mod option;
mod reference;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    Expr, GroupByExpr, Ident, ObjectName, Query, Select, SelectFlavor, SelectItem, SetExpr, TableFactor,
    TableWithJoins, WildcardAdditionalOptions,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};

use crate::dialect::LakemillDialect;

pub(crate) use create::{CreateModel, TransformText};
pub(crate) use option::place;
pub(crate) use option::{LocatedOption, option_value, parse_clause};
use reference::parse_model;
pub(crate) use reference::{ModelReference, parse_prefix, query_of, referenced_models};

/// A statement about models.
#[derive(Clone, Debug)]
pub(crate) enum ModelStatement {
    /// `CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name ..`
    Create(Box<CreateModel>),
    /// `DROP MODEL [IF EXISTS] name`
    Drop { name: Vec<Ident>, if_exists: bool },
    /// `SHOW MODELS`
    Show,
    /// `DESCRIBE MODEL name`
    Describe { model: Expr },
    /// `EXPORT MODEL name OPTIONS (uri = '..')`
    Export { model: Expr, options: Vec<LocatedOption> },
}

/// Reads a statement about models. `None`, and the parser where it was, when the text is about something else.
pub(crate) fn parse_statement(parser: &mut Parser<'_>) -> Result<Option<ModelStatement>, ParserError> {
    let words: Vec<String> = (0..6).map_while(|n| word(&parser.peek_nth_token_ref(n).token)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["CREATE", "MODEL", ..] | ["CREATE", "OR", "REPLACE", "MODEL", ..] => {
            create::parse(parser).map(|create| Some(ModelStatement::Create(Box::new(create))))
        }
        ["DROP", "MODEL", ..] => {
            skip(parser, 2);
            let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
            Ok(Some(ModelStatement::Drop { name: parse_name(parser)?, if_exists }))
        }
        ["SHOW", "MODELS", ..] => {
            skip(parser, 2);
            Ok(Some(ModelStatement::Show))
        }
        // A table may be called `model`.
        ["DESCRIBE" | "DESC", "MODEL", ..] if matches!(parser.peek_nth_token_ref(2).token, Token::Word(_)) => {
            skip(parser, 1);
            Ok(Some(ModelStatement::Describe { model: parse_model(parser)? }))
        }
        ["EXPORT", "MODEL", ..] => {
            skip(parser, 1);
            let model = parse_model(parser)?;
            let options = parse_clause(parser)?;
            Ok(Some(ModelStatement::Export { model, options: options.unwrap_or_default() }))
        }
        _ => Ok(None),
    }
}

/// `name` or `namespace.name`.
pub(super) fn parse_name(parser: &mut Parser<'_>) -> Result<Vec<Ident>, ParserError> {
    let start = parser.peek_token_ref().span.start;
    let ObjectName(parts) = parser.parse_object_name(false)?;
    let idents: Vec<Ident> = parts.iter().filter_map(|part| part.as_ident().cloned()).collect();
    if idents.len() != parts.len() || idents.len() > 2 {
        return Err(located("a model is named 'model' or 'namespace.model'", start));
    }
    Ok(idents)
}

pub(super) fn skip(parser: &mut Parser<'_>, tokens: usize) {
    for _ in 0..tokens {
        parser.next_token();
    }
}

/// An unquoted word in upper case.
fn word(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    }
}

/// A syntax error with its place, in the words that sqlparser uses for its own.
pub(super) fn located(message: &str, at: Location) -> ParserError {
    ParserError::ParserError(format!("{message}{at}"))
}

/// `SELECT * FROM relation`.
pub(crate) fn select_all_from(relation: TableFactor) -> Query {
    select(vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())], relation)
}

/// `SELECT items FROM relation`.
pub(crate) fn select(projection: Vec<SelectItem>, relation: TableFactor) -> Query {
    let select = Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from: vec![TableWithJoins { relation, joins: Vec::new() }],
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        window_before_qualify: false,
        qualify: None,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    };
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// The select list that a model keeps as text.
pub(crate) fn parse_select_list(text: &str) -> Result<Vec<SelectItem>, ParserError> {
    parse_list(text, |parser| parser.parse_select_item())
}

/// A list of expressions that a plan keeps as text.
pub(crate) fn parse_expressions(text: &str) -> Result<Vec<Expr>, ParserError> {
    parse_list(text, |parser| parser.parse_expr())
}

fn parse_list<T>(
    text: &str,
    item: impl FnMut(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<Vec<T>, ParserError> {
    let mut parser = Parser::new(&LakemillDialect).try_with_sql(text)?;
    let items = parser.parse_comma_separated(item)?;
    match parser.peek_token_ref().token {
        Token::EOF => Ok(items),
        _ => {
            let found = parser.peek_token();
            parser.expected("the end of the list", found)
        }
    }
}
