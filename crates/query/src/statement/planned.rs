//! Expressions of UPDATE, DELETE and MERGE: planned as the columns of a query, so that names, types and errors
//! are those of SELECT.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Exists, InList, InSubquery};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::Statement as DFStatement;
use sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use sqlparser::ast::{
    self, ColumnDef, ColumnOption, Ident, ObjectName, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins,
};

use super::query::collect;
use crate::dialect::parse_query_text;
use crate::error::{Error, Result};
use crate::session::StatementScope;

/// A subquery of a predicate that gives more values than this belongs into MERGE.
const SUBQUERY_VALUES_MAX: usize = 100_000;

/// Plans `SELECT exprs FROM from`; gives the expressions, subqueries replaced by their values.
pub(super) async fn expressions(
    scope: &StatementScope,
    from: Vec<TableFactor>,
    exprs: Vec<ast::Expr>,
) -> Result<Vec<Expr>> {
    if exprs.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = parse_query_text("SELECT 1 FROM t")?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(Error::internal("a SELECT did not parse as one"));
    };
    let name = |index: usize| Ident::with_quote('"', format!("expression {index}"));
    let items =
        exprs.into_iter().enumerate().map(|(index, expr)| SelectItem::ExprWithAlias { expr, alias: name(index) });
    select.projection = items.collect();
    select.from = from.into_iter().map(|relation| TableWithJoins { relation, joins: Vec::new() }).collect();
    let LogicalPlan::Projection(projection) = scope.plan_query(&query).await? else {
        return Err(Error::invalid("aggregates and window functions cannot stand here; use a subquery"));
    };
    if !matches!(
        projection.input.as_ref(),
        LogicalPlan::TableScan(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Join(_)
    ) {
        return Err(Error::invalid("aggregates and window functions cannot stand here; use a subquery"));
    }
    let schema = Arc::clone(projection.input.schema());
    let context = SimplifyContext::builder().with_schema(Arc::clone(&schema)).with_current_time().build();
    let simplifier = ExprSimplifier::new(context);
    let mut planned = Vec::with_capacity(projection.expr.len());
    for expr in projection.expr {
        let expr = without_subqueries(scope, expr.unalias()).await?;
        // Files are skipped by comparing their bounds with constants, which are of the column's type after this.
        let plain = simplifier.coerce(expr, &schema).and_then(|expr| simplifier.simplify(expr));
        planned.push(plain.map_err(|error| scope.error(error))?);
    }
    Ok(planned)
}

/// The expressions with the qualifiers of columns taken off, for changes of one table.
pub(super) fn unqualified(expr: Expr) -> Result<Expr> {
    let stripped = expr.transform(|expr| {
        Ok(match expr {
            Expr::Column(Column { name, .. }) => Transformed::yes(Expr::Column(Column::new_unqualified(name))),
            expr => Transformed::no(expr),
        })
    })?;
    Ok(stripped.data)
}

/// Runs the subqueries of an expression and puts their values in their places.
async fn without_subqueries(scope: &StatementScope, expr: Expr) -> Result<Expr> {
    let mut plans = Vec::new();
    expr.apply(|expr| {
        if let Expr::ScalarSubquery(subquery)
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::Exists(Exists { subquery, .. }) = expr
        {
            plans.push(subquery.clone());
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })?;
    let mut values = Vec::with_capacity(plans.len());
    for subquery in plans {
        values.push((values_of(scope, &subquery).await?, subquery));
    }
    let value_of = |wanted: &Subquery| {
        values.iter().find(|(_, subquery)| subquery == wanted).map(|(values, _)| values.clone()).unwrap_or_default()
    };
    let replaced = expr.transform(|expr| {
        Ok(match expr {
            Expr::ScalarSubquery(subquery) => {
                let found = value_of(&subquery);
                let [field] = subquery.subquery.schema().fields().iter().collect::<Vec<_>>()[..] else {
                    return Err(DataFusionError::Plan("a scalar subquery must give one column".to_owned()));
                };
                let value = match found.as_slice() {
                    [] => ScalarValue::try_from(field.data_type())?,
                    [value] => value.clone(),
                    _ => return Err(DataFusionError::Plan("a scalar subquery gave more than one row".to_owned())),
                };
                Transformed::yes(Expr::Literal(value, None))
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let list: Vec<Expr> = value_of(&subquery).into_iter().map(|value| Expr::Literal(value, None)).collect();
                Transformed::yes(match list.is_empty() {
                    true => lit(negated),
                    false => Expr::InList(InList::new(expr, list, negated)),
                })
            }
            Expr::Exists(Exists { subquery, negated }) => {
                Transformed::yes(lit(value_of(&subquery).is_empty() == negated))
            }
            expr => Transformed::no(expr),
        })
    });
    replaced.map(|replaced| replaced.data).map_err(|error| scope.error(error))
}

async fn values_of(scope: &StatementScope, subquery: &Subquery) -> Result<Vec<ScalarValue>> {
    if !subquery.outer_ref_columns.is_empty() {
        return Err(Error::invalid(
            "a subquery that refers to the changed table is not supported here; write MERGE INTO instead",
        ));
    }
    let mut values = Vec::new();
    for batch in collect(scope, &subquery.subquery).await? {
        if values.len() + batch.num_rows() > SUBQUERY_VALUES_MAX {
            return Err(Error::invalid(format!(
                "the subquery gives more than {SUBQUERY_VALUES_MAX} values; write MERGE INTO with it as the source"
            )));
        }
        for row in 0..batch.num_rows() {
            values.push(ScalarValue::try_from_array(batch.column(0), row)?);
        }
    }
    Ok(values)
}

/// The Arrow schema of column definitions. NOT NULL is kept; all other options are the caller's.
pub(super) async fn columns_schema(scope: &StatementScope, columns: &[ColumnDef]) -> Result<SchemaRef> {
    let columns = columns
        .iter()
        .map(|column| {
            let mut column = column.clone();
            column.options.retain(|option| matches!(option.option, ColumnOption::NotNull | ColumnOption::Null));
            column
        })
        .collect();
    let create = CreateTableBuilder::new(ObjectName::from(vec![Ident::new("t")])).columns(columns).build();
    let statement = DFStatement::Statement(Box::new(Statement::CreateTable(create)));
    let plan = scope.plan(statement).await?;
    match plan {
        LogicalPlan::Ddl(datafusion::logical_expr::DdlStatement::CreateMemoryTable(create)) => {
            Ok(Arc::clone(create.input.schema().inner()))
        }
        _ => Err(Error::internal("column definitions did not plan as a table")),
    }
}

/// The name that an assignment sets.
pub(super) fn assigned_column(target: &ast::AssignmentTarget) -> Result<String> {
    match target {
        ast::AssignmentTarget::ColumnName(name) => {
            let last = name.0.last().and_then(|part| part.as_ident());
            last.map(crate::dialect::normalized).ok_or_else(|| Error::invalid(format!("'{name}' is not a column")))
        }
        ast::AssignmentTarget::Tuple(_) => {
            Err(Error::invalid("setting several columns at once is not supported; write SET a = .., b = .."))
        }
    }
}

/// Checks that a table has a column of this name and gives its type.
pub(super) fn column_type(schema: &SchemaRef, column: &str) -> Result<DataType> {
    schema.field_with_name(column).map(|field| field.data_type().clone()).map_err(|_| {
        let known = schema.fields().iter().map(|field| field.name().as_str());
        Error::not_found(lakemill_base::unknown("column", column, known))
    })
}
