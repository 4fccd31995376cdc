//! Rules that DataFusion's optimizer lacks.

mod interrupt;
mod join_order;
mod selective_scans;

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::ensure_coop::EnsureCooperative;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use interrupt::InterruptibleJoins;
use join_order::JoinOrder;
use selective_scans::SelectiveScans;

pub(crate) use interrupt::Interrupt;

/// Sets DataFusion's rules with ours between them; with `plain_scans`, scans are planned as DataFusion does, whose own
/// tests compare plans.
pub(crate) fn extend(builder: SessionStateBuilder, plain_scans: bool) -> SessionStateBuilder {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Optimizer::new().rules;
    // Filters have reached their tables then, and no projection stands between two joins yet.
    let place = rules.iter().position(|rule| rule.name() == "push_down_filter").map_or(rules.len(), |place| place + 1);
    rules.insert(place, Arc::new(JoinOrder));
    builder.with_optimizer_rules(rules).with_physical_optimizer_rules(physical_rules(plain_scans))
}

fn physical_rules(plain_scans: bool) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    if !plain_scans {
        let is_pushdown =
            |rule: &Arc<dyn PhysicalOptimizerRule + Send + Sync>| rule.name() == FilterPushdown::new().name();
        let place = rules.iter().position(is_pushdown).unwrap_or_default();
        rules.insert(place, Arc::new(SelectiveScans));
    }
    // The rules after it tie operators to each other, and no operator may be replaced then.
    let is_place = |rule: &Arc<dyn PhysicalOptimizerRule + Send + Sync>| rule.name() == EnsureCooperative::new().name();
    let place = rules.iter().position(is_place).map_or(rules.len(), |place| place + 1);
    rules.insert(place, Arc::new(InterruptibleJoins));
    rules
}
