//! A measure of predictions in a logical plan.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::Measure;
use crate::Error;
use crate::model::loaded::ModelHandle;

/// See [`super`].
#[derive(Clone, Debug)]
pub(crate) struct EvaluateNode {
    input: LogicalPlan,
    handle: Arc<ModelHandle>,
    /// The features in the model's order, then the label.
    exprs: Vec<Expr>,
    measure: Measure,
    schema: DFSchemaRef,
}

impl EvaluateNode {
    /// Measures the predictions of `handle` on `input`; `exprs` are the features in the model's order, then the label.
    ///
    /// # Errors
    /// The measure is not defined for the model.
    pub(crate) fn new(
        input: LogicalPlan,
        handle: Arc<ModelHandle>,
        exprs: Vec<Expr>,
        measure: Measure,
    ) -> Result<Self, Error> {
        let schema = DFSchema::try_from(measure.schema(&handle.model)?)?;
        Ok(Self { input, handle, exprs, measure, schema: Arc::new(schema) })
    }

    /// The model.
    pub(crate) fn handle(&self) -> &Arc<ModelHandle> {
        &self.handle
    }

    /// The features in the model's order, then the label.
    pub(crate) fn exprs(&self) -> &[Expr] {
        &self.exprs
    }

    /// What is measured.
    pub(crate) fn measure(&self) -> &Measure {
        &self.measure
    }

    fn key(&self) -> (&ModelHandle, &[Expr], &Measure, &LogicalPlan) {
        (&self.handle, &self.exprs, &self.measure, &self.input)
    }
}

impl PartialEq for EvaluateNode {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for EvaluateNode {}

impl Hash for EvaluateNode {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key().hash(hasher);
    }
}

impl PartialOrd for EvaluateNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for EvaluateNode {
    fn name(&self) -> &str {
        "Evaluate"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.exprs.clone()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exprs: Vec<String> = self.exprs.iter().map(ToString::to_string).collect();
        write!(f, "Evaluate: {}, model={}, columns=[{}]", self.measure, self.handle, exprs.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
            return Err(DataFusionError::Internal("Evaluate has one input".into()));
        };
        Self::new(input, Arc::clone(&self.handle), exprs, self.measure.clone())
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// Of the input, only the features and the label are read, and those are this node's expressions.
    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![Vec::new()])
    }
}
