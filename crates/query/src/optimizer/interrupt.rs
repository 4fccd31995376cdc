//! Joins that can be stopped.
//!
//! A join may make far more rows than it reads, and none that its filter keeps. DataFusion's operators give way to others
//! where they read: between two reads of its input a join of a million rows with a million others keeps its thread for
//! hours, and whoever would stop it is not asked. Here joins without keys give way by the batches that they make, and the
//! filters of all joins ask whether the statement should go on.
//!
//! Not here: joins by equal keys that have no filter. `CooperativeExec` hands the filters that other joins find at run time
//! down by the columns' names, which are not unique above such a join: it would filter the wrong side.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};

use crate::error::Error;
use crate::observer::Observer;

/// Who is asked whether a statement should go on: part of the settings that its plans are made with.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(pub(crate) Arc<dyn Observer>);

impl ConfigExtension for Interrupt {
    const PREFIX: &'static str = "interrupt";
}

impl ExtensionOptions for Interrupt {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        Err(DataFusionError::Configuration(format!("unknown setting '{}.{key}'", Self::PREFIX)))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

/// Makes the joins of a statement that has an [`Interrupt`] give way and ask.
#[derive(Debug)]
pub(super) struct InterruptibleJoins;

impl PhysicalOptimizerRule for InterruptibleJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(interrupt) = config.extensions.get::<Interrupt>() else { return Ok(plan) };
        plan.transform_up(|plan| match interruptible(&plan, &interrupt.0)? {
            Some(join) => Ok(Transformed::yes(join)),
            None => Ok(Transformed::no(plan)),
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &'static str {
        "interruptible_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A join that gives way, with a filter that asks; `None` if the operator is none of those.
fn interruptible(
    plan: &Arc<dyn ExecutionPlan>,
    observer: &Arc<dyn Observer>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let asking = |filter: &JoinFilter| {
        let filter_expr = Arc::new(Asking { inner: Arc::clone(filter.expression()), observer: Arc::clone(observer) });
        JoinFilter::new(filter_expr, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    };
    let yielding = |join| Some(Arc::new(CooperativeExec::new(join)) as Arc<dyn ExecutionPlan>);
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = join.filter()
    {
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(asking(filter))).build()?;
        return Ok(yielding(Arc::new(join)));
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        return join.builder().with_filter(Some(asking(filter))).build_exec().map(Some);
    }
    match plan.is::<NestedLoopJoinExec>() || plan.is::<CrossJoinExec>() {
        true => Ok(yielding(Arc::clone(plan))),
        false => Ok(None),
    }
}

/// An expression that fails once the statement should stop.
#[derive(Debug)]
struct Asking {
    inner: Arc<dyn PhysicalExpr>,
    observer: Arc<dyn Observer>,
}

impl PhysicalExpr for Asking {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.observer.is_cancelled() {
            return Err(DataFusionError::External(Box::new(Error::cancelled())));
        }
        self.inner.evaluate(batch)
    }

    fn return_field(&self, input_schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(input_schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [inner] = <[_; 1]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("a filter has one expression".to_owned()))?;
        Ok(Arc::new(Self { inner, observer: Arc::clone(&self.observer) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Asking {}

impl Hash for Asking {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}
