//! The places of paths in FROM, which sqlparser does not keep: it does for names, but not for texts in single quotes.

use std::ops::ControlFlow;

use sqlparser::ast::{ObjectNamePart, TableFactor, VisitorMut};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::paths::visit_queries;
use super::script::Ast;

/// Gives each path in FROM the place of its literal among the statement's tokens.
pub(super) fn place_paths(ast: &mut Ast, tokens: &[TokenWithSpan]) {
    let literals = tokens.iter().filter_map(|token| match &token.token {
        Token::SingleQuotedString(text) => Some((text.as_str(), token.span)),
        _ => None,
    });
    let mut places = Places { literals: literals.collect() };
    match ast {
        Ast::Sql(statement) => visit_queries(statement, &mut places),
        Ast::Model(statement) => statement.visit_query(&mut places),
        Ast::Own(_) => {}
    }
}

/// The literals that are not yet given to a path.
struct Places<'a> {
    literals: Vec<(&'a str, Span)>,
}

impl VisitorMut for Places<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: None, .. } = factor
            && let [ObjectNamePart::Identifier(path)] = name.0.as_mut_slice()
            && path.quote_style == Some('\'')
            && let Some(at) = self.literals.iter().position(|(text, _)| *text == path.value)
        {
            path.span = self.literals.remove(at).1;
        }
        ControlFlow::Continue(())
    }
}
