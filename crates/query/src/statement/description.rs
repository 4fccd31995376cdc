//! What a statement takes and gives, found by planning it.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as DFStatement;
use sqlparser::ast::{SetExpr, Statement};

use super::insert::filled_columns;
use super::outcome;
use crate::dialect::{Ast, Parsed, StatementKind, parameter_number};
use crate::error::Result;
use crate::observer::NoObserver;
use crate::outcome::{Description, Outcome};
use crate::session::{Session, StatementScope};

/// See [`Session::describe`].
pub(crate) async fn describe(session: &Session, parsed: &Parsed) -> Result<Description> {
    let mut described = described(session, parsed).await?;
    if described.columns.is_some() && described.parameters.iter().any(Option::is_none) {
        // What nothing tells is taken for a text, as PostgreSQL does; columns made of it follow.
        let text = |known: &Option<DataType>| known.is_none().then_some(DataType::Utf8);
        let texts: Vec<_> = described.parameters.iter().map(text).collect();
        if let Ok(Description { columns: Some(columns), .. }) = self::described(session, &parsed.typed(&texts)?).await {
            described.columns = Some(columns);
        }
    }
    Ok(described)
}

async fn described(session: &Session, parsed: &Parsed) -> Result<Description> {
    let count = parsed.parameter_count()?;
    let scope = StatementScope::new(session, parsed, Arc::new(NoObserver));
    let described = match &parsed.ast {
        Ast::Sql(statement) if is_planned(statement) => planned(&scope, statement, count).await,
        Ast::Sql(statement) if count > 0 && is_change(statement) => change(&scope, statement, count).await,
        // It reads little and changes nothing: its columns are those that it gives.
        _ if count == 0 && gives_rows(parsed) => rows(&scope, parsed).await,
        _ => Ok(Description { parameters: vec![None; count], columns: None }),
    };
    described.map_err(|error| error.at(parsed.position()))
}

fn is_planned(statement: &DFStatement) -> bool {
    match statement {
        DFStatement::Statement(statement) => match statement.as_ref() {
            Statement::Query(query) => super::data_change(query).is_none(),
            _ => false,
        },
        // EXPLAIN ANALYZE would run its query.
        DFStatement::Explain(_) => true,
        _ => false,
    }
}

fn is_change(statement: &DFStatement) -> bool {
    let DFStatement::Statement(statement) = statement else { return false };
    matches!(statement.as_ref(), Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_))
}

fn gives_rows(parsed: &Parsed) -> bool {
    let is_execute = matches!(&parsed.ast, Ast::Sql(statement)
        if matches!(statement.as_ref(), DFStatement::Statement(statement) if matches!(statement.as_ref(), Statement::Execute { .. })));
    parsed.kind == StatementKind::Query || is_execute
}

async fn planned(scope: &StatementScope, statement: &DFStatement, count: usize) -> Result<Description> {
    let plan = scope.plan(statement.clone()).await?;
    let columns: SchemaRef = Arc::clone(plan.schema().inner());
    Ok(Description { parameters: parameters(scope, &plan, count)?, columns: Some(columns) })
}

/// Values that are inserted have the types of their columns. For other values DataFusion is asked; where it cannot plan
/// the change, their types stay open.
async fn change(scope: &StatementScope, statement: &DFStatement, count: usize) -> Result<Description> {
    if let DFStatement::Statement(statement) = statement
        && let Statement::Insert(insert) = statement.as_ref()
        && let Some(SetExpr::Values(values)) = insert.source.as_ref().map(|source| source.body.as_ref())
    {
        let columns = filled_columns(scope, insert).await?;
        let mut parameters = vec![None; count];
        let cells = values.rows.iter().flat_map(|row| row.iter().zip(columns.fields()));
        for (cell, column) in cells {
            if let Some(parameter) = parameter_number(cell).and_then(|number| parameters.get_mut(number - 1)) {
                *parameter = Some(column.data_type().clone());
            }
        }
        return Ok(Description { parameters, columns: None });
    }
    let parameters = match scope.plan(statement.clone()).await {
        Ok(plan) => parameters(scope, &plan, count)?,
        Err(error) if error.kind() == lakemill_base::ErrorKind::NotFound => return Err(error),
        Err(error) => {
            tracing::debug!(%error, "a change's parameters are taken as they come");
            vec![None; count]
        }
    };
    Ok(Description { parameters, columns: None })
}

async fn rows(scope: &Arc<StatementScope>, parsed: &Parsed) -> Result<Description> {
    let columns = match outcome(scope, &parsed.ast).await? {
        Outcome::Rows(rows) => Some(rows.schema()),
        Outcome::Done(_) => None,
    };
    Ok(Description { parameters: Vec::new(), columns })
}

fn parameters(scope: &StatementScope, plan: &LogicalPlan, count: usize) -> Result<Vec<Option<DataType>>> {
    let known = plan.get_parameter_types().map_err(|error| scope.error(error))?;
    Ok((1..=count).map(|number| known.get(&format!("${number}")).cloned().flatten()).collect())
}
