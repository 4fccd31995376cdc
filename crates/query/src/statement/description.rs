//! What a statement takes and gives, found by planning it.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as DFStatement;
use lakemill_lake::TableName;
use sqlparser::ast::{DataType as SqlType, Ident, ObjectName, SetExpr, Statement};

use super::insert::filled_columns;
use super::outcome;
use super::permission::authorize;
use super::security::token_columns;
use crate::dialect::{Ast, OwnStatement, Parsed, RelationUse, SecurityStatement, StatementKind, parameter_number};
use crate::error::{Error, Result};
use crate::observer::NoObserver;
use crate::outcome::{Description, Outcome};
use crate::session::{Session, StatementScope};

/// See [`Session::describe`].
pub(crate) async fn describe(session: &Session, parsed: &Parsed) -> Result<Description> {
    let mut described = described(session, parsed).await?;
    if described.parameters.iter().any(Option::is_none) {
        for (number, data_type) in written(session, parsed).await? {
            if let Some(unknown) = described.parameters.get_mut(number - 1).filter(|known| known.is_none()) {
                *unknown = Some(data_type);
            }
        }
    }
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

/// The types that the text says of its parameters, as Arrow's: those of casts of NULL.
async fn written(session: &Session, parsed: &Parsed) -> Result<Vec<(usize, DataType)>> {
    let written = parsed.written_types();
    let cast = |(place, (_, data_type)): (usize, &(usize, SqlType))| format!("CAST(NULL AS {data_type}) AS c{place}");
    let casts: Vec<String> = written.iter().enumerate().map(cast).collect();
    let Some(query) = (!casts.is_empty()).then(|| format!("SELECT {}", casts.join(", "))) else {
        return Ok(Vec::new());
    };
    let statements = session.parse(&query)?;
    let Some(statement) = statements.first() else { return Ok(Vec::new()) };
    let columns = described(session, statement).await?.columns;
    let fields = columns.iter().flat_map(|columns| columns.fields().iter());
    Ok(written.iter().zip(fields).map(|((number, _), field)| (*number, field.data_type().clone())).collect())
}

async fn described(session: &Session, parsed: &Parsed) -> Result<Description> {
    let count = parsed.parameter_count()?;
    let scope = StatementScope::new(session, parsed, Arc::new(NoObserver));
    let described = async {
        authorize(&scope, &parsed.ast).await?;
        described_in(&scope, parsed, count).await
    };
    scope.audit(Box::pin(described).await).map_err(|error| error.at(parsed.position()))
}

async fn described_in(scope: &Arc<StatementScope>, parsed: &Parsed, count: usize) -> Result<Description> {
    match &parsed.ast {
        Ast::Sql(statement) if is_planned(statement) => planned(scope, statement, count).await,
        Ast::Sql(statement) if count > 0 && is_change(statement) => change(scope, statement, count).await,
        Ast::Own(OwnStatement::Security(SecurityStatement::CreateToken { .. })) => {
            Ok(Description { parameters: Vec::new(), columns: Some(token_columns()) })
        }
        // It reads little and changes nothing: its columns are those that it gives.
        _ if count == 0 && gives_rows(parsed) => rows(scope, parsed).await,
        _ => Ok(Description { parameters: vec![None; count], columns: None }),
    }
}

/// The columns of a relation; see [`Session::columns`].
pub(crate) async fn columns(session: &Session, name: &TableName) -> Result<SchemaRef> {
    let mut parsed = session.parse("SELECT 1")?;
    let Some(parsed) = parsed.pop() else { return Err(Error::internal("a query did not parse as one")) };
    let scope = StatementScope::new(session, &parsed, Arc::new(NoObserver));
    let quoted = |part: &str| Ident::with_quote('"', part);
    let name = ObjectName::from(vec![quoted(&name.namespace), quoted(&name.table)]);
    let relation = RelationUse { name, version: None, arguments: None };
    Ok(scope.relation(&relation, &session.namespace(), 0).await?.schema())
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
