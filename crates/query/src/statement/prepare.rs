//! `PREPARE name AS query`, `EXECUTE name (values)`, `DEALLOCATE name`.
//!
//! The text is kept, not the plan: each EXECUTE reads the newest versions of its tables.

use datafusion::common::ParamValues;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::sql::parser::Statement as DFStatement;
use sqlparser::ast::{DataType, Expr, Ident, ObjectName, Statement};

use super::query::stream;
use crate::dialect::{Ast, normalized};
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, position_of};

pub(super) async fn prepare(
    scope: &StatementScope,
    name: &Ident,
    data_types: &[DataType],
    statement: &Statement,
) -> Result<Outcome> {
    let Statement::Query(query) = statement else {
        return Err(Error::invalid("PREPARE takes a query"));
    };
    if !data_types.is_empty() {
        return Err(Error::invalid(
            "PREPARE takes no types: they follow from the query; write PREPARE name AS SELECT ..",
        ));
    }
    // Planning it once finds mistakes now rather than at the first EXECUTE.
    scope.plan_query(query).await?;
    let mut parsed = scope.statement().clone();
    parsed.ast = Ast::Sql(Box::new(DFStatement::Statement(Box::new(statement.clone()))));
    let name = normalized(name);
    scope.session().prepared().write().insert(name.clone(), parsed);
    Ok(Outcome::Done(Summary::new(format!("prepared {name}"))))
}

pub(super) async fn execute(scope: &StatementScope, name: &ObjectName, parameters: &[Expr]) -> Result<Outcome> {
    let known = name.0.last().and_then(|part| part.as_ident()).map(normalized).unwrap_or_default();
    let prepared = scope.session().prepared().read().get(&known).cloned();
    let Some(Ast::Sql(statement)) = prepared.map(|parsed| parsed.ast) else {
        let names: Vec<String> = scope.session().prepared().read().keys().cloned().collect();
        let message = lakemill_base::unknown("prepared statement", &known, names.iter().map(String::as_str));
        return Err(scope.locate(Error::not_found(message), position_of(name)));
    };
    let mut values = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        values.push(ScalarAndMetadata::from(scope.constant(parameter)?));
    }
    let plan = scope.plan(*statement).await.map_err(Error::without_position)?;
    let wanted = plan.get_parameter_names().map_err(|error| scope.error(error))?.len();
    if wanted != values.len() {
        return Err(Error::invalid(format!("'{known}' takes {wanted} values, but {} are given", values.len())));
    }
    let plan = plan.with_param_values(ParamValues::List(values)).map_err(|error| scope.error(error))?;
    Ok(Outcome::Rows(stream(scope, &plan).await?))
}

#[expect(clippy::unused_async, reason = "called as all other statements are")]
pub(super) async fn deallocate(scope: &StatementScope, name: &Ident) -> Result<Outcome> {
    let name = normalized(name);
    match scope.session().prepared().write().remove(&name) {
        Some(_) => Ok(Outcome::Done(Summary::new(format!("forgot {name}")))),
        None => Err(Error::not_found(format!("there is no prepared statement '{name}'"))),
    }
}
