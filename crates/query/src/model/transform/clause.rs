//! The TRANSFORM clause as syntax: what it may hold, and its calls of `ML.*` functions taken out.
//!
//! **Invariant:** after [`Clause::new`], an item is an expression over columns of the input in which each `ML.*`
//! call is a plain function `__ml_<n>` of one argument; calls are numbered innermost first, so that call `n`
//! depends only on calls before it.

use std::ops::ControlFlow;

use lakemill_base::unknown;
use sqlparser::ast::{
    Expr, Ident, ReplaceSelectElement, SelectItem, Spanned, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use sqlparser::tokenizer::Location;

use super::call::{MlCall, position};
use crate::dialect::normalized as normalize;
use crate::{Error, Result};

/// An output column of the clause.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its name.
    pub(super) name: String,
    /// What it is.
    pub(super) expr: Expr,
    /// Where it stands.
    pub(super) at: Location,
}

/// A TRANSFORM clause, its stars expanded and its calls taken out.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    /// The output columns in order.
    pub(super) items: Vec<Item>,
    /// The calls, innermost first.
    pub(super) calls: Vec<MlCall>,
}

/// The name by which call `n` is known while the clause is planned.
pub(super) fn call_name(n: usize) -> String {
    format!("__ml_{n}")
}

impl Clause {
    /// Reads the select list over the columns `input`. The columns of `passthrough` (label, split and weight) are
    /// added where the list leaves them out.
    ///
    /// # Errors
    /// Something that TRANSFORM does not allow, with its place.
    pub(super) fn new(items: &[SelectItem], input: &[&str], passthrough: &[String]) -> Result<Self> {
        let mut clause = Self { items: Vec::new(), calls: Vec::new() };
        for item in items {
            clause.add(item, input)?;
        }
        for name in passthrough {
            clause.pass_through(name)?;
        }
        for (index, item) in clause.items.iter().enumerate() {
            if clause.items[..index].iter().any(|earlier| earlier.name == item.name) {
                let message = format!("TRANSFORM gives two columns the name '{}'; rename one with AS", item.name);
                return Err(Error::invalid(message).at(position(item.at)));
            }
        }
        Ok(clause)
    }

    fn add(&mut self, item: &SelectItem, input: &[&str]) -> Result<()> {
        match item {
            SelectItem::Wildcard(options) => self.add_wildcard(options, input),
            SelectItem::ExprWithAlias { expr, alias } => self.add_expr(normalize(alias), expr),
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => {
                self.add_expr(normalize(ident), &Expr::Identifier(ident.clone()))
            }
            SelectItem::UnnamedExpr(expr) => {
                // What the expression holds may be wrong in a way that matters more than its missing name.
                self.take_calls(expr.clone())?;
                Err(Error::invalid(format!("an expression of TRANSFORM needs a name: {expr} AS name"))
                    .at(position(expr.span().start)))
            }
            other => Err(Error::invalid(format!("TRANSFORM takes *, columns and named expressions, not '{other}'"))
                .at(position(other.span().start))),
        }
    }

    fn add_wildcard(&mut self, options: &WildcardAdditionalOptions, input: &[&str]) -> Result<()> {
        let at = options.wildcard_token.0.span.start;
        let mut except: Vec<&Ident> = Vec::new();
        if let Some(list) = &options.opt_except {
            except.push(&list.first_element);
            except.extend(&list.additional_elements);
        }
        if options.opt_exclude.is_some() || options.opt_rename.is_some() || options.opt_ilike.is_some() {
            let message = "TRANSFORM takes * EXCEPT (..) and * REPLACE (..), no other form of *";
            return Err(Error::invalid(message).at(position(at)));
        }
        let replace: &[Box<ReplaceSelectElement>] = options.opt_replace.as_ref().map_or(&[], |list| &list.items);
        for ident in except.iter().copied().chain(replace.iter().map(|element| &element.column_name)) {
            if !input.contains(&normalize(ident).as_str()) {
                let message = unknown("column", &ident.value, input.iter().copied());
                return Err(Error::not_found(message).at(position(ident.span.start)));
            }
        }
        for column in input {
            if except.iter().any(|ident| normalize(ident) == *column) {
                continue;
            }
            match replace.iter().find(|element| normalize(&element.column_name) == *column) {
                Some(element) => self.add_expr((*column).to_string(), &element.expr)?,
                None => self.items.push(Item { name: (*column).to_string(), expr: column_expr(column), at }),
            }
        }
        Ok(())
    }

    fn add_expr(&mut self, name: String, expr: &Expr) -> Result<()> {
        let at = expr.span().start;
        let expr = self.take_calls(expr.clone())?;
        self.items.push(Item { name, expr, at });
        Ok(())
    }

    fn pass_through(&mut self, name: &str) -> Result<()> {
        match self.items.iter().find(|item| item.name == name) {
            None => {
                self.items.push(Item { name: name.to_string(), expr: column_expr(name), at: Location::empty() });
                Ok(())
            }
            Some(item) if matches!(&item.expr, Expr::Identifier(ident) if normalize(ident) == name) => Ok(()),
            Some(item) => Err(Error::invalid(format!(
                "TRANSFORM must pass column '{name}' through as it is, since the options name it; \
                 call this expression something else"
            ))
            .at(position(item.at))),
        }
    }

    /// Replaces the `ML.*` calls of an expression and refuses what TRANSFORM does not allow.
    fn take_calls(&mut self, mut expr: Expr) -> Result<Expr> {
        struct Take<'a>(&'a mut Vec<MlCall>);
        impl VisitorMut for Take<'_> {
            type Break = Error;
            fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
                match replace_call(expr, self.0) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => ControlFlow::Break(error),
                }
            }
        }
        match expr.visit(&mut Take(&mut self.calls)) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(expr),
        }
    }
}

fn column_expr(name: &str) -> Expr {
    Expr::Identifier(Ident::with_quote('"', name))
}

fn replace_call(expr: &mut Expr, calls: &mut Vec<MlCall>) -> Result<()> {
    match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            let message = "TRANSFORM may not hold a subquery; join in the query after AS instead";
            Err(Error::invalid(message).at(position(expr.span().start)))
        }
        Expr::Function(function) => {
            let Some(call) = MlCall::from_syntax(function)? else {
                if function.over.is_some() {
                    let message = format!(
                        "TRANSFORM may not hold the analytic function {}; only ML.* functions take OVER () here",
                        function.name
                    );
                    return Err(Error::invalid(message).at(position(expr.span().start)));
                }
                return Ok(());
            };
            if !call.over && !call.is_stateless() {
                let message = format!("{0} takes its statistics over all rows: write {0}(..) OVER ()", call.function);
                return Err(Error::invalid(message).at(position(call.at)));
            }
            *expr = call.as_function(&call_name(calls.len()), None);
            calls.push(call);
            Ok(())
        }
        _ => Ok(()),
    }
}
