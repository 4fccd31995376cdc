//! A query's plan as the source of a statement that deltalake plans.
//!
//! The caller's session plans its own operators; deltalake then sees a table whose scan is that plan. The scan is one
//! opaque node, so that the second round of optimizer rules leaves the inside alone.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use deltalake::delta_datafusion::planner::DeltaPlanner;

use super::types::cast_plan;

/// The caller's session, set up for deltalake's operators.
pub(super) fn delta_session(session: &SessionState) -> SessionState {
    let mut config = session.config().clone();
    let options = config.options_mut();
    // deltalake writes expressions out as SQL and parses them again: names must survive that as they are.
    options.sql_parser.enable_ident_normalization = false;
    // Join keys of its file lists are dictionaries, which IN-list pushdown of dynamic filters cannot take.
    options.optimizer.hash_join_inlist_pushdown_max_size = 0;
    options.optimizer.hash_join_inlist_pushdown_max_distinct_values = 0;
    SessionStateBuilder::new_from_existing(session.clone())
        .with_config(config)
        .with_query_planner(DeltaPlanner::new())
        .build()
}

/// A table whose rows are those of a plan.
#[derive(Debug)]
pub(super) struct PlannedInput {
    plan: Arc<dyn ExecutionPlan>,
}

impl PlannedInput {
    pub(super) fn new(plan: Arc<dyn ExecutionPlan>) -> Self {
        Self { plan }
    }
}

#[async_trait]
impl TableProvider for PlannedInput {
    fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        // MERGE scans its source twice, and an operator that has run (a repartition) does not run again.
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        let plan = match projection {
            None => plan,
            Some(columns) => {
                let wanted = Arc::new(plan.schema().project(columns)?);
                cast_plan(plan, &wanted)?
            }
        };
        Ok(Arc::new(OpaqueExec::new(plan)))
    }
}

/// A plan without visible children.
#[derive(Debug)]
struct OpaqueExec {
    inner: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl OpaqueExec {
    fn new(inner: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(inner.schema()),
            inner.properties().partitioning.clone(),
            inner.properties().emission_type,
            inner.properties().boundedness,
        );
        Self { inner, properties: Arc::new(properties) }
    }
}

impl DisplayAs for OpaqueExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceExec: {}", self.inner.name())
    }
}

impl ExecutionPlan for OpaqueExec {
    fn name(&self) -> &'static str {
        "SourceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("SourceExec has no children") }
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        self.inner.execute(partition, context)
    }
}
