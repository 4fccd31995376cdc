//! `ORDER BY ALL`: by every column of the select list, from left to right.
//!
//! DataFusion knows it for plain columns alone, and forgets it above a UNION. Here it becomes `ORDER BY 1, 2, ..`. How
//! many columns a `*` stands for is known only when the query is planned; for the outermost query that is asked.

use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as DFStatement;
use sqlparser::ast::{
    Expr, OrderBy, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, Statement, Value, VisitMut, VisitorMut,
};

/// Numbers the columns of every ORDER BY ALL whose select list has no star.
pub(super) fn number_columns(syntax: &mut impl VisitMut) {
    let _ = syntax.visit(&mut Numbering);
}

struct Numbering;

impl VisitorMut for Numbering {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(count) = listed_columns(&query.body) {
            number(query, count);
        }
        ControlFlow::Continue(())
    }
}

/// Numbers the columns of the outermost query's ORDER BY ALL where a star stands in its select list. If the query
/// cannot be planned, it stays as it is, and planning it will say why.
pub(super) async fn count_columns(state: &SessionState, statement: &mut DFStatement) {
    let Some(query) = outermost(statement) else { return };
    if !matches!(&query.order_by, Some(OrderBy { kind: OrderByKind::All(_), .. })) {
        return;
    }
    let mut unordered = query.clone();
    unordered.order_by = None;
    unordered.limit_clause = None;
    let unordered = DFStatement::Statement(Box::new(Statement::Query(Box::new(unordered))));
    if let Ok(plan) = Box::pin(state.statement_to_plan(unordered)).await {
        number(query, plan.schema().fields().len());
    }
}

fn outermost(statement: &mut DFStatement) -> Option<&mut Query> {
    match statement {
        DFStatement::Statement(statement) => match statement.as_mut() {
            Statement::Query(query) => Some(query),
            Statement::CreateTable(create) => create.query.as_deref_mut(),
            _ => None,
        },
        DFStatement::Explain(explain) => outermost(&mut explain.statement),
        _ => None,
    }
}

/// The columns of a select list without stars.
fn listed_columns(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => {
            let star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
            (!select.projection.iter().any(star)).then_some(select.projection.len()).filter(|count| *count > 0)
        }
        SetExpr::Query(query) => listed_columns(&query.body),
        SetExpr::SetOperation { left, .. } => listed_columns(left),
        SetExpr::Values(values) => values.rows.first().map(|row| row.len()),
        _ => None,
    }
}

fn number(query: &mut Query, count: usize) {
    let Some(OrderBy { kind, .. }) = &mut query.order_by else { return };
    let OrderByKind::All(options) = kind else { return };
    let options = *options;
    let column = |place: usize| OrderByExpr {
        expr: Expr::value(Value::Number(place.to_string(), false)),
        options,
        with_fill: None,
    };
    *kind = OrderByKind::Expressions((1..=count).map(column).collect());
}
