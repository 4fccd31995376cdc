//! Rules that DataFusion's optimizer lacks.

mod join_order;

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::optimizer::{Optimizer, OptimizerRule};

use join_order::JoinOrder;

/// Sets DataFusion's rules with ours between them.
pub(crate) fn extend(builder: SessionStateBuilder) -> SessionStateBuilder {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Optimizer::new().rules;
    // Filters have reached their tables then, and no projection stands between two joins yet.
    let place = rules.iter().position(|rule| rule.name() == "push_down_filter").map_or(rules.len(), |place| place + 1);
    rules.insert(place, Arc::new(JoinOrder));
    builder.with_optimizer_rules(rules)
}
