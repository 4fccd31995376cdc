//! `MODEL name` and `TABLE name` as arguments of a table function.
//!
//! The dialect's `parse_prefix` hook turns `MODEL ns.m@3` (or `MODEL m VERSION AS OF 3`) into a prefixed
//! expression and `TABLE t` into a subquery, so that everything which walks the syntax tree (lineage, views,
//! the planner) meets only expressions that it knows, and the text of the tree reads back as the same tree.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Ident, ObjectName, Query, Spanned, Value, Visit, Visitor};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token};

use crate::Position;
use crate::dialect::normalized;

/// The prefix that marks a model in an expression.
const MODEL: &str = "MODEL";

/// A model as it is named in a statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModelReference {
    /// The parts of the name: `[model]` or `[namespace, model]`.
    pub(crate) parts: Vec<String>,
    /// The version, where one is asked for; else the newest.
    pub(crate) version: Option<u64>,
    /// Where the name stands in the text, 1-based; zeros where it is not known.
    pub(crate) line: u64,
    /// See `line`.
    pub(crate) column: u64,
}

/// Reads `MODEL ..` and `TABLE ..` where an expression is expected; `None` leaves the parser where it was.
pub(crate) fn parse_prefix(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let Token::Word(word) = &parser.peek_token_ref().token else { return None };
    if word.quote_style.is_some() {
        return None;
    }
    let follows_name =
        matches!(&parser.peek_nth_token_ref(1).token, Token::Word(next) if starts_name(next.keyword, next.quote_style));
    if !follows_name {
        return None;
    }
    // A column may be called `model`: only as the first argument of a call, followed by a name, is it our keyword.
    if word.value.eq_ignore_ascii_case(MODEL) && parser.get_current_token().token == Token::LParen {
        return Some(parse_model(parser));
    }
    if word.keyword == Keyword::TABLE {
        parser.next_token();
        return Some(parse_table(parser));
    }
    None
}

/// Whether a word can begin a name here. `model IS NULL`, `model AS x` and the like speak of a column `model`.
fn starts_name(keyword: Keyword, quoted: Option<char>) -> bool {
    const OPERATORS: [Keyword; 28] = [
        Keyword::IS,
        Keyword::AS,
        Keyword::IN,
        Keyword::NOT,
        Keyword::AND,
        Keyword::OR,
        Keyword::LIKE,
        Keyword::ILIKE,
        Keyword::BETWEEN,
        Keyword::FROM,
        Keyword::WHERE,
        Keyword::GROUP,
        Keyword::ORDER,
        Keyword::ASC,
        Keyword::DESC,
        Keyword::NULLS,
        Keyword::THEN,
        Keyword::WHEN,
        Keyword::ELSE,
        Keyword::END,
        Keyword::LIMIT,
        Keyword::HAVING,
        Keyword::UNION,
        Keyword::COLLATE,
        Keyword::SIMILAR,
        Keyword::AT,
        Keyword::OVER,
        Keyword::FOR,
    ];
    quoted.is_some() || !OPERATORS.contains(&keyword) && keyword != Keyword::SELECT
}

/// `MODEL name[@version]`, with the keyword still to be read.
pub(crate) fn parse_model(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    parser.next_token();
    let prefix = Ident::new(MODEL);
    let mut parts = parser.parse_object_name(false)?.0;
    let mut version = None;
    // A dialect may take `@` as a part of an identifier: `m@3` is then one word.
    if let Some(last) = parts.last_mut().and_then(as_ident_mut)
        && last.quote_style.is_none()
        && let Some((name, number)) = last.value.clone().split_once('@')
    {
        version = Some(parse_version(number, last.span.start)?);
        last.value = name.to_string();
    } else if let Some((number, at)) = at_word(parser) {
        // Behind a quoted name it is a word of its own.
        parser.next_token();
        version = Some(parse_version(&number, at)?);
    } else if parser.consume_token(&Token::AtSign)
        || parser.parse_keywords(&[Keyword::VERSION, Keyword::AS, Keyword::OF])
    {
        let token = parser.next_token();
        let Token::Number(number, _) = &token.token else { return parser.expected("a model version such as 3", token) };
        version = Some(parse_version(number, token.span.start)?);
    }
    let idents: Vec<Ident> = parts.iter().filter_map(|part| part.as_ident().cloned()).collect();
    let name = match <[Ident; 1]>::try_from(idents) {
        Ok([one]) => Expr::Identifier(one),
        Err(idents) => Expr::CompoundIdentifier(idents),
    };
    let value = match version {
        None => name,
        Some(version) => Expr::BinaryOp {
            left: Box::new(name),
            op: BinaryOperator::Custom("@".to_string()),
            right: Box::new(Expr::value(Value::Number(version.to_string(), false))),
        },
    };
    Ok(Expr::Prefixed { prefix, value: Box::new(value) })
}

/// `@3`, where the dialect takes it for one word.
fn at_word(parser: &Parser<'_>) -> Option<(String, Location)> {
    let next = parser.peek_token();
    match &next.token {
        Token::Word(word) if word.quote_style.is_none() => {
            Some((word.value.strip_prefix('@')?.to_owned(), next.span.start))
        }
        _ => None,
    }
}

fn as_ident_mut(part: &mut sqlparser::ast::ObjectNamePart) -> Option<&mut Ident> {
    match part {
        sqlparser::ast::ObjectNamePart::Identifier(ident) => Some(ident),
        sqlparser::ast::ObjectNamePart::Function(_) => None,
    }
}

fn parse_version(text: &str, at: Location) -> Result<u64, ParserError> {
    text.parse()
        .map_err(|_| ParserError::ParserError(format!("a model version is a whole number such as 3, not '{text}'{at}")))
}

/// `TABLE t` with whatever a table in FROM may carry (a version, a time), as the query `SELECT * FROM t`.
fn parse_table(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let relation = parser.parse_table_factor()?;
    let query = crate::model::parse::select_all_from(relation);
    Ok(Expr::Subquery(Box::new(query)))
}

impl ModelReference {
    /// The name as written, each part quoted.
    pub(crate) fn object_name(&self) -> ObjectName {
        let start = Location::new(self.line, self.column);
        let span = Span::new(start, start);
        let part = |part: &String| Ident { value: part.clone(), quote_style: Some('"'), span };
        ObjectName::from(self.parts.iter().map(part).collect::<Vec<_>>())
    }

    /// Where the name stands in the text, where that is known.
    pub(crate) fn position(&self) -> Option<Position> {
        (self.line > 0).then_some(Position { line: self.line, column: self.column })
    }

    /// The model that an argument names, or `None` when the argument is something else.
    pub(crate) fn from_expr(expr: &Expr, normalize: impl Fn(&Ident) -> String) -> Option<Self> {
        let Expr::Prefixed { prefix, value } = expr else { return None };
        if !prefix.value.eq_ignore_ascii_case(MODEL) {
            return None;
        }
        let (name, version) = match value.as_ref() {
            Expr::BinaryOp { left, right, .. } => (left.as_ref(), number(right)),
            name => (name, None),
        };
        let idents: &[Ident] = match name {
            Expr::Identifier(ident) => std::slice::from_ref(ident),
            Expr::CompoundIdentifier(idents) => idents,
            _ => return None,
        };
        let start = name.span().start;
        let parts = idents.iter().map(normalize).collect();
        Some(Self { parts, version, line: start.line, column: start.column })
    }
}

fn number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Every model that a piece of syntax names, in the order of the text.
pub(crate) fn referenced_models<T: Visit>(syntax: &T) -> Vec<ModelReference> {
    struct Collect(Vec<ModelReference>);
    impl Visitor for Collect {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Some(reference) = ModelReference::from_expr(expr, normalized) {
                self.0.push(reference);
            }
            ControlFlow::Continue(())
        }
    }
    let mut collect = Collect(Vec::new());
    let _ = syntax.visit(&mut collect);
    collect.0
}

/// The query of an argument `(SELECT ..)` or `TABLE t`.
#[expect(clippy::result_large_err, reason = "the error is the argument, handed back")]
pub(crate) fn query_of(expr: Expr) -> Result<Box<Query>, Expr> {
    match expr {
        Expr::Subquery(query) => Ok(query),
        Expr::Nested(inner) => query_of(*inner),
        other => Err(other),
    }
}
