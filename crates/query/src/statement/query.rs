//! Queries: rows as they are polled.

use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement as DFStatement;

use crate::error::Result;
use crate::outcome::Outcome;
use crate::session::StatementScope;

/// Plans a statement and starts it.
pub(super) async fn execute(scope: &StatementScope, statement: &DFStatement) -> Result<Outcome> {
    let plan = scope.plan(statement.clone()).await?;
    let physical = scope.state().create_physical_plan(&plan).await.map_err(|error| scope.error(error))?;
    let rows = execute_stream(physical, scope.state().task_ctx()).map_err(|error| scope.error(error))?;
    Ok(Outcome::Rows(rows))
}
