//! An optimizer rule: do not compute what nobody reads.
//!
//! The list of probabilities costs more than the label. Where no expression above a [`PredictNode`] names it, the
//! node leaves it out; where none names any predicted column, the node goes. So does a [`LanguageNode`] whose answers nobody
//! reads.
//!
//! Names alone are compared, so a column of the same name elsewhere keeps the probabilities: that is safe.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::PredictNode;
use crate::model::language::LanguageNode;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct PrunePredictions;

/// The names of columns that are read above a node; `None` when that is not known and all must stay.
type Needed = Option<HashSet<String>>;

impl OptimizerRule for PrunePredictions {
    fn name(&self) -> &'static str {
        "prune_predictions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        prune(plan, &None)
    }
}

fn prune(plan: LogicalPlan, needed: &Needed) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Extension(extension) = &plan
        && let Some(node) = extension.node.as_any().downcast_ref::<PredictNode>()
    {
        return prune_node(node, needed, &plan);
    }
    if let LogicalPlan::Extension(extension) = &plan
        && let Some(node) = extension.node.as_any().downcast_ref::<LanguageNode>()
    {
        return prune_language(node, needed, &plan);
    }
    let below = needed_below(&plan, needed);
    let inputs = plan.inputs();
    let mut changed = false;
    let mut children = Vec::with_capacity(inputs.len());
    for input in inputs {
        let child = prune(input.clone(), &below)?;
        changed |= child.transformed;
        children.push(child.data);
    }
    if !changed {
        return Ok(Transformed::no(plan));
    }
    Ok(Transformed::yes(plan.with_new_exprs(plan.expressions(), children)?))
}

fn prune_node(node: &PredictNode, needed: &Needed, plan: &LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let reads = |name: &&str| needed.as_ref().is_none_or(|needed| needed.contains(*name));
    let predicted = node.predicted();
    let input = prune(node.input().clone(), &inputs_of(node, needed))?;
    if !predicted.iter().any(reads) {
        return Ok(Transformed::yes(input.data));
    }
    let probabilities = predicted.get(1).is_some_and(reads);
    if !input.transformed && (probabilities || predicted.len() == 1) {
        return Ok(Transformed::no(plan.clone()));
    }
    let outputs = if probabilities { node.outputs() } else { node.outputs().labels_only() };
    let node = PredictNode::new(input.data, Arc::clone(node.handle()), node.features().to_vec(), outputs)?;
    Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
}

fn prune_language(node: &LanguageNode, needed: &Needed, plan: &LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let below = needed.clone().map(|mut needed| {
        needed.extend(names(std::slice::from_ref(node.prompt())));
        needed
    });
    let input = prune(node.input().clone(), &below)?;
    let reads = |name: &String| needed.as_ref().is_none_or(|needed| needed.contains(name));
    if !node.task().fields().iter().any(|field| reads(field.name())) {
        return Ok(Transformed::yes(input.data));
    }
    if !input.transformed {
        return Ok(Transformed::no(plan.clone()));
    }
    let (handle, task) = (Arc::clone(node.handle()), Arc::clone(node.task()));
    let node = LanguageNode::new(input.data, handle, task, node.prompt().clone())?;
    Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
}

fn inputs_of(node: &PredictNode, needed: &Needed) -> Needed {
    let mut needed = needed.clone()?;
    needed.extend(names(node.features()));
    Some(needed)
}

/// What a plan node reads of its inputs, given what is read of it.
fn needed_below(plan: &LogicalPlan, needed: &Needed) -> Needed {
    let has_subquery = plan.expressions().iter().any(|expr| {
        use datafusion::common::tree_node::TreeNode;
        expr.exists(|node| {
            Ok(matches!(node, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)))
        })
        .unwrap_or(true)
    });
    if has_subquery {
        return None;
    }
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => Some(names(&plan.expressions())),
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Join(_) => {
            let mut needed = needed.clone()?;
            needed.extend(names(&plan.expressions()));
            Some(needed)
        }
        _ => None,
    }
}

fn names(exprs: &[Expr]) -> HashSet<String> {
    exprs.iter().flat_map(|expr| expr.column_refs().into_iter().map(|column| column.name.clone())).collect()
}
