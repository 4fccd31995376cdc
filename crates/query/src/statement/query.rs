//! Queries: rows as they are polled.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser::{ExplainStatement, Statement as DFStatement};
use futures::TryStreamExt;
use sqlparser::ast::Statement;

use super::watch::{PlanProbe, observed};
use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::session::StatementScope;

/// Plans a query and starts it.
pub(super) async fn execute(scope: &StatementScope, statement: &Statement) -> Result<Outcome> {
    start(scope, DFStatement::Statement(Box::new(statement.clone()))).await
}

/// The physical plan of a query and the context that it runs in.
pub(super) async fn plan(
    scope: &StatementScope,
    statement: &DFStatement,
) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
    let plan = scope.plan(statement.clone()).await?;
    let physical = scope.state().create_physical_plan(&plan).await.map_err(|error| scope.error(error))?;
    Ok((physical, scope.state().task_ctx()))
}

/// `EXPLAIN [ANALYZE] ..`
pub(super) async fn explain(scope: &StatementScope, explain: &ExplainStatement) -> Result<Outcome> {
    let inner = explain.statement.as_ref();
    let is_query = match inner {
        DFStatement::Statement(statement) => matches!(statement.as_ref(), Statement::Query(_)),
        DFStatement::Explain(_) => false,
        _ => false,
    };
    if !is_query {
        return Err(Error::invalid("EXPLAIN takes a query; explain the query inside the statement instead"));
    }
    start(scope, DFStatement::Explain(explain.clone())).await
}

async fn start(scope: &StatementScope, statement: DFStatement) -> Result<Outcome> {
    let plan = scope.plan(statement).await?;
    Ok(Outcome::Rows(stream(scope, &plan).await?))
}

/// Starts a plan; the stream tells the statement's observer how far it is and stops when told to.
pub(crate) async fn stream(scope: &StatementScope, plan: &LogicalPlan) -> Result<SendableRecordBatchStream> {
    let physical = scope.state().create_physical_plan(plan).await.map_err(|error| scope.error(error))?;
    let probe = PlanProbe::of(Arc::clone(&physical));
    let rows = execute_stream(physical, scope.state().task_ctx()).map_err(|error| scope.error(error))?;
    Ok(observed(rows, probe, Arc::clone(scope.observer())))
}

/// Runs a plan and keeps all its rows.
pub(crate) async fn collect(scope: &StatementScope, plan: &LogicalPlan) -> Result<Vec<RecordBatch>> {
    let rows = stream(scope, plan).await?;
    rows.try_collect().await.map_err(|error| scope.error(error))
}
