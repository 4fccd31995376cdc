//! From our logical nodes to our physical operators.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::future::BoxFuture;

use super::evaluate::{EvaluateExec, EvaluateNode};
use super::language::{LanguageExec, LanguageNode};
use super::predict::{PredictExec, PredictNode, Predictor};
use super::search::{SearchExec, SearchNode};

/// Plans [`PredictNode`], [`EvaluateNode`], [`LanguageNode`] and [`SearchNode`].
#[derive(Debug, Default)]
pub(super) struct ModelPlanner;

#[async_trait]
impl ExtensionPlanner for ModelPlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical: &[&LogicalPlan],
        physical: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let (Some(search), [query, base]) = (node.as_any().downcast_ref::<SearchNode>(), physical) {
            return search_exec(search, query, base, session).await.map(Some);
        }
        plan(planner, node, logical, physical, (session, context))
    }
}

/// Boxed: whether an index is used is asked of the lake.
fn search_exec<'a>(
    node: &'a SearchNode,
    query: &'a Arc<dyn ExecutionPlan>,
    base: &'a Arc<dyn ExecutionPlan>,
    session: &'a dyn Session,
) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
    Box::pin(async move { Ok(Arc::new(SearchExec::plan(node, query, base, session).await?) as Arc<dyn ExecutionPlan>) })
}

fn plan(
    planner: &dyn PhysicalPlanner,
    node: &dyn UserDefinedLogicalNode,
    logical: &[&LogicalPlan],
    physical: &[Arc<dyn ExecutionPlan>],
    (session, context): (&dyn Session, &PhysicalPlanningContext),
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let ([rows], [input]) = (logical, physical) else { return Ok(None) };
    let exprs = |exprs: &[Expr]| -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        exprs.iter().map(|expr| planner.create_physical_expr(expr, rows.schema(), session, context)).collect()
    };
    if let Some(predict) = node.as_any().downcast_ref::<PredictNode>() {
        let predictor = Predictor::new(Arc::clone(predict.handle()), exprs(predict.features())?);
        let node = PredictExec::try_new(Arc::clone(input), predictor, predict.outputs())?;
        return Ok(Some(Arc::new(node)));
    }
    if let Some(language) = node.as_any().downcast_ref::<LanguageNode>() {
        let prompt = planner.create_physical_expr(language.prompt(), rows.schema(), session, context)?;
        let (handle, task) = (Arc::clone(language.handle()), Arc::clone(language.task()));
        let node = LanguageExec::try_new(Arc::clone(input), handle, task, prompt)?;
        return Ok(Some(Arc::new(node)));
    }
    if let Some(evaluate) = node.as_any().downcast_ref::<EvaluateNode>() {
        let mut features = exprs(evaluate.exprs())?;
        let label = features.pop().ok_or_else(|| DataFusionError::Internal("Evaluate has a label".into()))?;
        let predictor = Predictor::new(Arc::clone(evaluate.handle()), features);
        let node = EvaluateExec::try_new(Arc::clone(input), predictor, label, evaluate.measure().clone())?;
        return Ok(Some(Arc::new(node)));
    }
    Ok(None)
}
