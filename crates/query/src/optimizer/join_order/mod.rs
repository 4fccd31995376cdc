//! An optimizer rule: the order of inner joins, by the statistics of the tables.
//!
//! A query names its tables in any order, and DataFusion joins them in that order. This rule takes the inner joins that
//! stand together, estimates how many rows each way of joining them makes, and takes the cheapest:
//!
//! - `graph`: the relations that are joined and the conditions between them;
//! - `estimate`: how many rows a plan makes and how many values a column has;
//! - `search`: the cheapest tree, by dynamic programming over sets of relations, or greedily where there are many.
//!
//! Where the size of a relation is unknown (a raw file, a stream), the order stays as written. So it does where the
//! gain is small, which keeps plans stable while a table grows.
//!
//! Invariant: the rewritten plan has the columns of the old one in the same order, and applies every condition.

mod estimate;
mod graph;
mod search;
mod shares;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use graph::Graph;
use search::Search;

/// What a new order must save of the estimated cost to be taken.
const GAIN_MIN: f64 = 0.1;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct JoinOrder;

impl OptimizerRule for JoinOrder {
    fn name(&self) -> &'static str {
        "join_order"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        reorder(plan)
    }
}

fn reorder(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let Some(mut graph) = Graph::of(&plan) else { return plan.map_children(reorder) };
    let mut changed = false;
    for relation in graph.plans_mut() {
        let below = reorder(std::mem::take(relation))?;
        changed |= below.transformed;
        *relation = below.data;
    }
    let cheapest = graph.estimates().and_then(|estimates| {
        let search = Search::new(&graph, &estimates);
        let best = search.best()?;
        (best.cost < search.cost(graph.written())? * (1.0 - GAIN_MIN)).then_some(best.tree)
    });
    let Some(tree) = cheapest else {
        if !changed {
            return Ok(Transformed::no(plan));
        }
        let tree = graph.written().clone();
        return Ok(Transformed::yes(graph.into_plan(&tree)?));
    };
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let joined = graph.into_plan(&tree)?;
    Ok(Transformed::yes(LogicalPlanBuilder::from(joined).project(columns)?.build()?))
}
