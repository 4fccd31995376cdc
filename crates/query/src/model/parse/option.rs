//! `OPTIONS (name = value, ..)`, each with its place in the text.

use lakemill_learn::OptionValue;
use sqlparser::ast::{Expr, Spanned, UnaryOperator, Value};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};

use super::located;

/// An option with the places of its name and of its value.
#[derive(Clone, Debug)]
pub(crate) struct LocatedOption {
    /// The name in lower case.
    pub(crate) name: String,
    /// Where the name stands.
    pub(crate) at: Location,
    /// The value.
    pub(crate) value: OptionValue,
}

/// Reads the clause if it is there.
pub(crate) fn parse_clause(parser: &mut Parser<'_>) -> Result<Option<Vec<LocatedOption>>, ParserError> {
    if !parser.parse_keyword(Keyword::OPTIONS) {
        return Ok(None);
    }
    parser.expect_token(&Token::LParen)?;
    let mut options: Vec<LocatedOption> = Vec::new();
    while parser.peek_token_ref().token != Token::RParen {
        let option = parse_option(parser)?;
        if options.iter().any(|earlier| earlier.name == option.name) {
            return Err(located(&format!("option '{}' is given twice", option.name), option.at));
        }
        options.push(option);
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    parser.expect_token(&Token::RParen)?;
    Ok(Some(options))
}

fn parse_option(parser: &mut Parser<'_>) -> Result<LocatedOption, ParserError> {
    let token = parser.next_token();
    let at = token.span.start;
    let Token::Word(word) = &token.token else { return parser.expected("an option such as model_type = '..'", token) };
    let name = word.value.to_lowercase();
    parser.expect_token(&Token::Eq)?;
    let value_at = parser.peek_token_ref().span.start;
    let expr = parser.parse_expr()?;
    let value = option_value(&expr).map_err(|message| located(&format!("option '{name}': {message}"), value_at))?;
    Ok(LocatedOption { name, at, value })
}

/// The value of a constant: a literal, a signed number, an array or a STRUCT of them.
///
/// # Errors
/// Says what the expression is instead.
pub(crate) fn option_value(expr: &Expr) -> Result<OptionValue, String> {
    match expr {
        Expr::Value(value) => literal(&value.value),
        Expr::Nested(inner) => option_value(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match option_value(expr)? {
            OptionValue::Int(value) => Ok(OptionValue::Int(-value)),
            OptionValue::Float(value) => Ok(OptionValue::Float(-value)),
            other => Err(format!("a minus sign needs a number after it, not {}", other.type_name())),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => option_value(expr),
        Expr::Array(array) => array.elem.iter().map(option_value).collect::<Result<_, _>>().map(OptionValue::Array),
        Expr::Tuple(values) => values.iter().map(field).collect::<Result<_, _>>().map(OptionValue::Struct),
        Expr::Struct { values, .. } => values.iter().map(field).collect::<Result<_, _>>().map(OptionValue::Struct),
        Expr::Function(function) => Err(match function.name.to_string().to_uppercase().as_str() {
            name @ ("HPARAM_RANGE" | "HPARAM_CANDIDATES") => {
                format!("{name} (hyperparameter tuning) is not supported; give one value")
            }
            name => format!("a value must be constant, and {name}(..) is a call"),
        }),
        Expr::Identifier(ident) => {
            Err(format!("a value must be constant; if '{0}' is a text, write it in quotes: '{0}'", ident.value))
        }
        other => Err(format!("a value must be constant, and '{other}' is not")),
    }
}

fn field(expr: &Expr) -> Result<(String, OptionValue), String> {
    match expr {
        Expr::Named { expr, name } => Ok((name.value.to_lowercase(), option_value(expr)?)),
        expr => Ok((String::new(), option_value(expr)?)),
    }
}

fn literal(value: &Value) -> Result<OptionValue, String> {
    match value {
        Value::Boolean(value) => Ok(OptionValue::Bool(*value)),
        Value::Number(text, _) => match text.parse::<i64>() {
            Ok(value) => Ok(OptionValue::Int(value)),
            Err(_) => text.parse().map(OptionValue::Float).map_err(|_| format!("'{text}' is not a number")),
        },
        Value::SingleQuotedString(text)
        | Value::DoubleQuotedString(text)
        | Value::EscapedStringLiteral(text)
        | Value::SingleQuotedRawStringLiteral(text) => Ok(OptionValue::String(text.clone())),
        Value::DollarQuotedString(text) => Ok(OptionValue::String(text.value.clone())),
        other => Err(format!("a value must be a number, a text, TRUE or FALSE, or an array of them, not {other}")),
    }
}

/// Where an expression stands, for errors about it.
pub(crate) fn place(expr: &Expr) -> Location {
    expr.span().start
}
