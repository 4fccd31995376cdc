//! `STRUCT(a INT, b TEXT)` as a type: what DuckDB and DataFusion write, turned into the `STRUCT<a INT, b TEXT>` that
//! sqlparser's generic grammar knows.
//!
//! Works on tokens, before parsing, because the grammar has no hook for types. `struct(..)` in an expression is a
//! function and stays one: only a place where a type stands is touched, and only if the text reads as fields there.

use sqlparser::dialect::DuckDbDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Words after which an expression begins, so that `STRUCT(` is a call.
const BEFORE_EXPRESSIONS: &[Keyword] = &[
    Keyword::ALL,
    Keyword::AND,
    Keyword::BETWEEN,
    Keyword::BY,
    Keyword::CASE,
    Keyword::DISTINCT,
    Keyword::ELSE,
    Keyword::ESCAPE,
    Keyword::FROM,
    Keyword::HAVING,
    Keyword::ILIKE,
    Keyword::IN,
    Keyword::IS,
    Keyword::LIKE,
    Keyword::LIMIT,
    Keyword::NOT,
    Keyword::OFFSET,
    Keyword::ON,
    Keyword::OR,
    Keyword::QUALIFY,
    Keyword::SELECT,
    Keyword::SET,
    Keyword::THEN,
    Keyword::VALUES,
    Keyword::WHEN,
    Keyword::WHERE,
];

/// Rewrites the brackets of struct types, nested ones too.
pub(super) fn angle_bracket_structs(tokens: &mut [TokenWithSpan]) {
    let mut at = 0;
    while at < tokens.len() {
        if is_struct_type(tokens, at) {
            let open = next_word(tokens, at + 1);
            if let Some(close) = closing(tokens, open) {
                tokens[open].token = Token::Lt;
                tokens[close].token = Token::Gt;
            }
        }
        at += 1;
    }
}

/// Whether the token is the STRUCT of a type in round brackets.
fn is_struct_type(tokens: &[TokenWithSpan], at: usize) -> bool {
    let is_struct = matches!(&tokens[at].token,
        Token::Word(word) if word.keyword == Keyword::STRUCT && word.quote_style.is_none());
    let open = next_word(tokens, at + 1);
    if !is_struct || tokens.get(open).is_none_or(|token| token.token != Token::LParen) {
        return false;
    }
    let before = tokens[..at].iter().rev().find(|token| !matches!(token.token, Token::Whitespace(_)));
    let after_type_place = match before.map(|token| &token.token) {
        Some(Token::DoubleColon | Token::Lt) => true,
        Some(Token::Word(word)) => word.quote_style.is_some() || !BEFORE_EXPRESSIONS.contains(&word.keyword),
        _ => false,
    };
    after_type_place && reads_as_type(&tokens[at..])
}

/// Tried with the dialect whose struct types have round brackets.
fn reads_as_type(tokens: &[TokenWithSpan]) -> bool {
    let open = next_word(tokens, 1);
    let Some(close) = closing(tokens, open) else { return false };
    let dialect = DuckDbDialect {};
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens[..=close].to_vec());
    parser.parse_data_type().is_ok() && parser.peek_token_ref().token == Token::EOF
}

/// The place of the next token that is no white space.
fn next_word(tokens: &[TokenWithSpan], from: usize) -> usize {
    let skipped = tokens.iter().skip(from).take_while(|token| matches!(token.token, Token::Whitespace(_)));
    from + skipped.count()
}

/// The place of the bracket that closes the one at `open`; inner ones may have been rewritten already.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use sqlparser::tokenizer::Tokenizer;

    use super::angle_bracket_structs;
    use crate::dialect::LakemillDialect;

    fn rewritten(text: &str) -> String {
        let mut tokens = Tokenizer::new(&LakemillDialect, text).tokenize_with_location().unwrap();
        angle_bracket_structs(&mut tokens);
        tokens.iter().map(|token| token.token.to_string()).collect()
    }

    #[test]
    fn types_change_and_calls_do_not() {
        for (given, expected) in [
            ("CREATE TABLE t (s STRUCT(a INT, b DECIMAL(3, 1)))", "CREATE TABLE t (s STRUCT<a INT, b DECIMAL(3, 1)>)"),
            ("SELECT x::struct(a struct (b int))", "SELECT x::struct<a struct <b int>>"),
            ("SELECT CAST(x AS STRUCT(a INT[]))", "SELECT CAST(x AS STRUCT<a INT[]>)"),
            ("SELECT struct(a, b), struct(not a)", "SELECT struct(a, b), struct(not a)"),
            ("SELECT struct(a AS b) FROM t WHERE struct(a) = x", "SELECT struct(a AS b) FROM t WHERE struct(a) = x"),
            ("CREATE TABLE t AS SELECT struct(1 AS a) AS struct", "CREATE TABLE t AS SELECT struct(1 AS a) AS struct"),
        ] {
            assert_eq!(rewritten(given), expected);
        }
    }
}
