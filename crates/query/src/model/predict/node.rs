//! PREDICT in a logical plan.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::model::loaded::ModelHandle;

/// What a prediction gives for each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub(crate) struct Outputs {
    /// The bits of a binary classifier's threshold, where one was given.
    threshold: Option<u64>,
    /// Leave out the column of probabilities.
    pub(crate) labels_only: bool,
}

impl Outputs {
    /// Label and probabilities.
    pub(crate) fn new(threshold: Option<f64>) -> Self {
        Self { threshold: threshold.map(f64::to_bits), labels_only: false }
    }

    /// Without the probabilities.
    pub(crate) fn labels_only(self) -> Self {
        Self { labels_only: true, ..self }
    }

    /// A binary classifier's threshold, where one was given.
    pub(crate) fn threshold(self) -> Option<f64> {
        self.threshold.map(f64::from_bits)
    }

    /// The columns that a model gives, as nullable fields.
    pub(crate) fn fields(self, handle: &ModelHandle) -> Vec<FieldRef> {
        let fields: Vec<Field> = handle.model.output_fields();
        let kept = if self.labels_only { 1 } else { fields.len() };
        fields.into_iter().take(kept).map(|field| Arc::new(field.with_nullable(true))).collect()
    }
}

/// See [`super`].
#[derive(Clone, Debug)]
pub(crate) struct PredictNode {
    input: LogicalPlan,
    handle: Arc<ModelHandle>,
    features: Vec<Expr>,
    outputs: Outputs,
    schema: DFSchemaRef,
}

impl PredictNode {
    /// A prediction by `handle` from `features`, which are expressions over `input`.
    ///
    /// # Errors
    /// A column of the input has the name of a predicted one.
    pub(crate) fn new(
        input: LogicalPlan,
        handle: Arc<ModelHandle>,
        features: Vec<Expr>,
        outputs: Outputs,
    ) -> Result<Self> {
        let mut fields: Vec<(Option<TableReference>, FieldRef)> =
            outputs.fields(&handle).into_iter().map(|field| (None, field)).collect();
        fields.extend(input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))));
        let schema = DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?;
        Ok(Self { input, handle, features, outputs, schema: Arc::new(schema) })
    }

    /// The rows that are predicted.
    pub(crate) fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// The model.
    pub(crate) fn handle(&self) -> &Arc<ModelHandle> {
        &self.handle
    }

    /// The features, in the model's order.
    pub(crate) fn features(&self) -> &[Expr] {
        &self.features
    }

    /// What is predicted.
    pub(crate) fn outputs(&self) -> Outputs {
        self.outputs
    }

    /// The names of the predicted columns.
    pub(crate) fn predicted(&self) -> Vec<&str> {
        self.schema.fields().iter().take(self.added()).map(|field| field.name().as_str()).collect()
    }

    fn added(&self) -> usize {
        self.schema.fields().len() - self.input.schema().fields().len()
    }

    fn key(&self) -> (&ModelHandle, &[Expr], Outputs, &LogicalPlan) {
        (&self.handle, &self.features, self.outputs, &self.input)
    }
}

impl PartialEq for PredictNode {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for PredictNode {}

impl Hash for PredictNode {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key().hash(hasher);
    }
}

impl PartialOrd for PredictNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self == other {
            return Some(Ordering::Equal);
        }
        let order = (&self.handle.name, self.handle.version).cmp(&(&other.handle.name, other.handle.version));
        (order != Ordering::Equal).then_some(order)
    }
}

impl UserDefinedLogicalNodeCore for PredictNode {
    fn name(&self) -> &str {
        "Predict"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.features.clone()
    }

    /// A filter on anything but the prediction may run before it.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.predicted().into_iter().map(ToString::to_string).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let features: Vec<String> = self.features.iter().map(ToString::to_string).collect();
        write!(f, "Predict: model={}, features=[{}]", self.handle, features.join(", "))?;
        match self.outputs.threshold() {
            Some(threshold) => write!(f, ", threshold={threshold}"),
            None => Ok(()),
        }
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
            return Err(DataFusionError::Internal("Predict has one input".into()));
        };
        Self::new(input, Arc::clone(&self.handle), exprs, self.outputs)
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let added = self.added();
        Some(vec![output_columns.iter().filter_map(|index| index.checked_sub(added)).collect()])
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}
