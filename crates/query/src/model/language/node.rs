//! A language model over rows, in a logical plan.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::{LanguageHandle, Task};

/// One input, whose rows get the columns of a task after their own.
#[derive(Clone, Debug)]
pub(crate) struct LanguageNode {
    input: LogicalPlan,
    handle: Arc<LanguageHandle>,
    task: Arc<Task>,
    prompt: Expr,
    schema: DFSchemaRef,
}

impl LanguageNode {
    /// `task` for each row, whose prompt is an expression over `input`.
    ///
    /// # Errors
    /// A column of the input has the name of an added one.
    pub(crate) fn new(input: LogicalPlan, handle: Arc<LanguageHandle>, task: Arc<Task>, prompt: Expr) -> Result<Self> {
        let mut fields: Vec<(Option<TableReference>, FieldRef)> =
            input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        fields.extend(task.fields().into_iter().map(|field| (None, field)));
        let schema = DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?;
        Ok(Self { input, handle, task, prompt, schema: Arc::new(schema) })
    }

    /// The rows.
    pub(crate) fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// The model.
    pub(crate) fn handle(&self) -> &Arc<LanguageHandle> {
        &self.handle
    }

    /// What is asked.
    pub(crate) fn task(&self) -> &Arc<Task> {
        &self.task
    }

    /// The prompt.
    pub(crate) fn prompt(&self) -> &Expr {
        &self.prompt
    }

    fn key(&self) -> (&LanguageHandle, &Expr, String, &LogicalPlan) {
        (&self.handle, &self.prompt, format!("{:?}", self.task), &self.input)
    }
}

impl PartialEq for LanguageNode {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for LanguageNode {}

impl Hash for LanguageNode {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key().hash(hasher);
    }
}

impl PartialOrd for LanguageNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self == other {
            return Some(Ordering::Equal);
        }
        let name = |node: &Self| (node.handle.info.name.clone(), node.prompt.to_string());
        let order = name(self).cmp(&name(other));
        (order != Ordering::Equal).then_some(order)
    }
}

impl UserDefinedLogicalNodeCore for LanguageNode {
    fn name(&self) -> &str {
        "LanguageModel"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.prompt.clone()]
    }

    /// A filter on anything but the answers runs before it: rows that it drops cost nothing.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.task.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LanguageModel: {}, model={}, prompt={}", self.task.function(), self.handle, self.prompt)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), exprs.pop(), inputs.is_empty() && exprs.is_empty()) {
            (Some(input), Some(prompt), true) => {
                Self::new(input, Arc::clone(&self.handle), Arc::clone(&self.task), prompt)
            }
            _ => Err(DataFusionError::Internal("LanguageModel has one input and one prompt".into())),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let below = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|index| *index < below).collect()])
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}
