//! From logical to physical plans: DataFusion's planner with ours for models.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};

use crate::model;

/// Plans every operator that DataFusion knows, and those of `model`.
#[derive(Debug, Default)]
pub(super) struct LakemillPlanner;

#[async_trait]
impl QueryPlanner for LakemillPlanner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(model::extension_planners());
        planner.create_physical_plan(plan, session).await
    }
}
