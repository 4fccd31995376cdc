//! Tables in memory: DataFusion's own statements on its own catalog, for sessions that were opened so.

use datafusion::sql::parser::Statement as DFStatement;

use crate::error::Result;
use crate::outcome::Outcome;
use crate::session::StatementScope;

/// Plans and runs a statement as DataFusion does.
pub(super) async fn execute(scope: &StatementScope, statement: &DFStatement) -> Result<Outcome> {
    let plan = scope.plan(statement.clone()).await?;
    let context = scope.session().context();
    let frame = context.execute_logical_plan(plan).await.map_err(|error| scope.error(error))?;
    let rows = frame.execute_stream().await.map_err(|error| scope.error(error))?;
    Ok(Outcome::Rows(rows))
}
