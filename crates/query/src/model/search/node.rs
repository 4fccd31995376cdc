//! VECTOR_SEARCH in a logical plan.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::Search;

/// Two inputs, the query and the base; a row for each pair of rows that are near.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SearchNode {
    query: LogicalPlan,
    base: LogicalPlan,
    search: Search,
    schema: DFSchemaRef,
}

/// The columns: the query's row, the base's row, their distance.
pub(super) fn output(query: &Fields, base: &Fields) -> Schema {
    Schema::new(vec![
        Field::new("query", DataType::Struct(query.clone()), false),
        Field::new("base", DataType::Struct(base.clone()), false),
        Field::new("distance", DataType::Float64, false),
    ])
}

impl SearchNode {
    /// A search of `base` for the rows of `query`.
    pub(super) fn new(query: LogicalPlan, base: LogicalPlan, search: Search) -> Result<Self> {
        let schema = DFSchema::try_from(output(query.schema().fields(), base.schema().fields()))?;
        Ok(Self { query, base, search, schema: Arc::new(schema) })
    }

    /// The rows that are searched.
    pub(super) fn base(&self) -> &LogicalPlan {
        &self.base
    }

    /// What is searched.
    pub(crate) fn search(&self) -> &Search {
        &self.search
    }
}

impl PartialOrd for SearchNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "top_k={}, distance_type={}", self.top_k, self.distance.as_str())?;
        if self.brute_force {
            f.write_str(", use_brute_force")?;
        }
        Ok(())
    }
}

impl UserDefinedLogicalNodeCore for SearchNode {
    fn name(&self) -> &str {
        "VectorSearch"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.query, &self.base]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    /// A filter would change what is nearest.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VectorSearch: {}", self.search)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match <[LogicalPlan; 2]>::try_from(inputs) {
            Ok([query, base]) => Self::new(query, base, self.search.clone()),
            Err(_) => Err(DataFusionError::Internal("VectorSearch has two inputs".into())),
        }
    }
}
