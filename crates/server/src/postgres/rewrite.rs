//! What clients ask pg_catalog, written so that DataFusion can plan it.
//!
//! Only statements about pg_catalog come here: nothing of a client's own queries is changed.

use std::ops::ControlFlow;

use lakemill_base::text_literal;
use sqlparser::ast::{
    self, AccessExpr, CastKind, DataType, Expr, FunctionArguments, GroupByExpr, Join, JoinOperator, Query, SelectItem,
    SetExpr, Statement, TableFactor, Value,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// Relations that have nothing about a lake's tables: defaults, sequences, collations, members of roles, enumerations.
const EMPTY: [&str; 5] = ["pg_attrdef", "pg_sequence", "pg_collation", "pg_auth_members", "pg_enum"];

/// The statement's text, in words that DataFusion knows.
pub(super) fn plainly(mut statement: Statement) -> String {
    let _ = ast::visit_expressions_mut(&mut statement, |expr| {
        rewrite(expr);
        ControlFlow::<()>::Continue(())
    });
    statement.to_string()
}

fn rewrite(expr: &mut Expr) {
    match expr {
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            if let Some(ast::ValueWithSpan { value: Value::SingleQuotedString(escape), .. }) = escape_char.take() {
                backslashes(pattern, &escape);
            }
        }
        Expr::Subquery(query) if reads_nothing(query) => *expr = null(DataType::Text),
        Expr::Subquery(query) => at_most_one(query),
        Expr::Exists { subquery, negated } if reads_nothing(subquery) => {
            *expr = Expr::value(Value::Boolean(*negated));
        }
        Expr::Function(function) => match (&function.args, function.name.to_string().to_ascii_lowercase().as_str()) {
            // ARRAY(SELECT ..): options, privileges and members, of which there are none.
            (FunctionArguments::Subquery(_), "array") => *expr = null(DataType::Text),
            // It takes the columns of keys apart.
            (_, name) if name.ends_with("_pg_expandarray") => *expr = null(DataType::Int(None)),
            _ => {}
        },
        Expr::CompoundFieldAccess { root, access_chain }
            if matches!((root.as_ref(), access_chain.as_slice()), (Expr::Nested(_), [AccessExpr::Dot(_), ..])) =>
        {
            *expr = null(DataType::Int(None));
        }
        _ => {}
    }
}

/// DataFusion's LIKE escapes by backslashes and by nothing else.
fn backslashes(pattern: &mut Expr, escape: &str) {
    if escape == "\\" {
        return;
    }
    let text = format!("replace({pattern}, {}, '\\')", text_literal(escape));
    let replaced = Parser::new(&PostgreSqlDialect {}).try_with_sql(&text).and_then(|mut parser| parser.parse_expr());
    if let Ok(replaced) = replaced {
        *pattern = replaced;
    }
}

fn null(data_type: DataType) -> Expr {
    let expr = Box::new(Expr::value(Value::Null));
    Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None }
}

fn reads_nothing(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let Some(from) = select.from.first() else { return false };
    let inner = |join: &&Join| matches!(join.join_operator, JoinOperator::Join(_) | JoinOperator::Inner(_));
    let mut relations = [&from.relation].into_iter().chain(from.joins.iter().filter(inner).map(|join| &join.relation));
    relations.any(|relation| match relation {
        TableFactor::Table { name, .. } => {
            let name = name.0.last().map(ToString::to_string).unwrap_or_default().to_ascii_lowercase();
            EMPTY.contains(&name.as_str())
        }
        _ => false,
    })
}

/// A subquery that looks up one value by the outer row gives its greatest: DataFusion wants to see that it is one.
fn at_most_one(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    if grouped || select.selection.is_none() || select.distinct.is_some() {
        return;
    }
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] = select.projection.as_mut_slice()
    else {
        return;
    };
    if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::BinaryOp { .. }) {
        let greatest = format!("max({expr})");
        let greatest = Parser::new(&PostgreSqlDialect {}).try_with_sql(&greatest).and_then(|mut p| p.parse_expr());
        if let Ok(greatest) = greatest {
            *expr = greatest;
            query.limit_clause = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    use super::plainly;

    fn rewritten(text: &str) -> String {
        let [statement] = <[_; 1]>::try_from(Parser::parse_sql(&PostgreSqlDialect {}, text).unwrap()).unwrap();
        plainly(statement)
    }

    #[test]
    fn what_datafusion_does_not_know_is_said_otherwise() {
        assert_eq!(rewritten("SELECT a LIKE 'x/_' ESCAPE '/'"), r"SELECT a LIKE replace('x/_', '/', '\')");
        assert_eq!(
            rewritten("SELECT (SELECT t.typ FROM pg_type t WHERE t.oid = a.oid LIMIT 1) FROM a"),
            "SELECT (SELECT max(t.typ) FROM pg_type t WHERE t.oid = a.oid) FROM a"
        );
        assert_eq!(rewritten("SELECT (SELECT x FROM pg_catalog.pg_attrdef)"), "SELECT CAST(NULL AS TEXT)");
        assert_eq!(rewritten("SELECT ARRAY(SELECT 1)"), "SELECT CAST(NULL AS TEXT)");
        let enumerated = "SELECT EXISTS (SELECT 1 FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid)";
        assert_eq!(rewritten(enumerated), "SELECT false");
    }
}
