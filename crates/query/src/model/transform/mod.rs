//! TRANSFORM: preprocessing that is fitted once and stored with the model.
//!
//! The clause is checked ([`TransformPlan::new`]) before any row is read; then its `ML.*` functions are fitted,
//! innermost first, on the training rows ([`TransformPlan::fit`]); the result, a [`Transform`], is a list of plain
//! expressions. A model keeps the clause as text and the statistics as JSON, and reading them back gives the same
//! expressions.
//!
//! **Architecture invariant:** training, evaluation and prediction evaluate the same expressions over columns of
//! the same types, so a feature at prediction equals the feature at training bit for bit.

mod call;
mod clause;
mod function;
mod store;
mod udf;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{Expr, ScalarUDF, Volatility};
use datafusion::physical_expr::PhysicalExpr;
use lakemill_learn::{Driver, FittedTransform, TransformFit};
use rayon::prelude::*;
use sqlparser::ast::{Expr as SqlExpr, ExprWithAlias};
use sqlparser::tokenizer::Location;

use clause::{Clause, call_name};
use udf::UnfittedFunction;

use crate::model::parse::TransformText;
use crate::{Error, Result};

pub use call::RELATIONS;
pub(crate) use call::{MlCall, position};
pub(crate) use function::{rewrite_calls, scalar_functions};
pub(crate) use store::{schema_from_ipc, schema_to_ipc};
pub(crate) use udf::FittedFunction;

/// A TRANSFORM clause that was checked against the columns it reads.
#[derive(Debug)]
pub(crate) struct TransformPlan {
    text: String,
    clause: Clause,
    input: SchemaRef,
    output: SchemaRef,
}

/// A fitted TRANSFORM clause.
#[derive(Clone, Debug)]
pub(crate) struct Transform {
    text: String,
    input: SchemaRef,
    outputs: Vec<(String, Expr)>,
    functions: Vec<FittedTransform>,
}

impl TransformPlan {
    /// Checks a clause over rows of the schema `input`.
    ///
    /// # Errors
    /// What the clause may not hold, an unknown column, or an argument of the wrong type, with its place.
    pub(crate) fn new(
        text: &TransformText,
        input: SchemaRef,
        passthrough: &[String],
        state: &SessionState,
    ) -> Result<Self> {
        let names: Vec<&str> = input.fields().iter().map(|field| field.name().as_str()).collect();
        let clause = Clause::new(&text.items, &names, passthrough)?;
        let mut planner = Planner::new(state, &input)?;
        for (n, call) in clause.calls.iter().enumerate() {
            let argument = planner.physical(&call.input, call.at)?;
            let from = argument.data_type(&input)?;
            let fit = plan_call(call, &argument, &input)?;
            planner.register(UnfittedFunction::udf(call.function, from, fit.output_type(), call_name(n)))?;
        }
        let mut fields = Vec::with_capacity(clause.items.len());
        for item in &clause.items {
            let expr = planner.physical(&item.expr, item.at)?;
            fields.push(Field::new(&item.name, expr.data_type(&input)?, true));
        }
        Ok(Self { text: text.text.clone(), clause, input, output: Arc::new(Schema::new(fields)) })
    }

    /// The columns that the clause gives.
    pub(crate) fn output(&self) -> &SchemaRef {
        &self.output
    }

    /// The columns of the input that the clause reads.
    pub(crate) fn used_columns(&self, state: &SessionState) -> Result<BTreeSet<String>> {
        let mut planner = Planner::new(state, &self.input)?;
        let mut used = BTreeSet::new();
        for (n, call) in self.clause.calls.iter().enumerate() {
            let argument = planner.physical(&call.input, call.at)?;
            used.extend(columns_of(&planner.logical(&call.input, call.at)?));
            let fit = plan_call(call, &argument, &self.input)?;
            let from = argument.data_type(&self.input)?;
            planner.register(UnfittedFunction::udf(call.function, from, fit.output_type(), call_name(n)))?;
        }
        for item in &self.clause.items {
            used.extend(columns_of(&planner.logical(&item.expr, item.at)?));
        }
        Ok(used)
    }

    /// Fits the functions of the clause on `rows`, whose columns are those of the input that the clause reads.
    ///
    /// # Errors
    /// A function's statistics cannot be computed from the rows, with the function's place.
    pub(crate) fn fit(self, rows: &[RecordBatch], driver: &Driver, state: &SessionState) -> Result<Transform> {
        let schema = rows.first().map_or_else(|| Arc::clone(&self.input), RecordBatch::schema);
        let mut planner = Planner::new(state, &schema)?;
        let mut functions = Vec::with_capacity(self.clause.calls.len());
        for (n, call) in self.clause.calls.iter().enumerate() {
            let argument = planner.physical(&call.input, call.at)?;
            let from = argument.data_type(&schema)?;
            let columns = evaluate(&[(call.function.to_string(), Arc::clone(&argument))], rows, driver)?;
            let fitted = plan_call(call, &argument, &schema)?
                .fit(&columns, driver)
                .map_err(|error| Error::from(error).at(position(call.at)))?;
            planner.register(FittedFunction::new(fitted.clone(), from, Some(call_name(n))).into_udf())?;
            functions.push(fitted);
        }
        let outputs = planner.outputs(&self.clause)?;
        Ok(Transform { text: self.text, input: self.input, outputs, functions })
    }
}

impl Transform {
    /// The clause's select list as written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The columns of the training query.
    pub(crate) fn input(&self) -> &SchemaRef {
        &self.input
    }

    /// The output columns: expressions over unqualified columns of the input.
    pub(crate) fn outputs(&self) -> &[(String, Expr)] {
        &self.outputs
    }

    /// Applies the clause to rows.
    ///
    /// # Errors
    /// An expression fails on a value.
    pub(crate) fn apply(
        &self,
        rows: &[RecordBatch],
        driver: &Driver,
        state: &SessionState,
    ) -> Result<Vec<RecordBatch>> {
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let schema = DFSchema::try_from(first.schema())?;
        let exprs = self
            .outputs
            .iter()
            .map(|(name, expr)| Ok((name.clone(), state.create_physical_expr(expr.clone(), &schema)?)))
            .collect::<Result<Vec<_>>>()?;
        evaluate(&exprs, rows, driver)
    }
}

/// The names of the columns that an expression reads.
pub(crate) fn columns_of(expr: &Expr) -> BTreeSet<String> {
    expr.column_refs().into_iter().map(|column| column.name.clone()).collect()
}

fn plan_call(call: &MlCall, argument: &Arc<dyn PhysicalExpr>, input: &Schema) -> Result<Box<dyn TransformFit>> {
    let from = argument.data_type(input)?;
    lakemill_learn::transform::plan_transform(call.function, &[from], &call.constants)
        .map_err(|error| Error::from(error).at(position(call.at)))
}

/// Evaluates named expressions on every batch, batches in parallel.
fn evaluate(
    exprs: &[(String, Arc<dyn PhysicalExpr>)],
    rows: &[RecordBatch],
    driver: &Driver,
) -> Result<Vec<RecordBatch>> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let schema = first.schema();
    let fields = exprs
        .iter()
        .map(|(name, expr)| Ok(Field::new(name, expr.data_type(&schema)?, true)))
        .collect::<Result<Vec<_>>>()?;
    let output = Arc::new(Schema::new(fields));
    let one = |batch: &RecordBatch| -> Result<RecordBatch> {
        let columns = exprs
            .iter()
            .map(|(_, expr)| Ok(expr.evaluate(batch)?.into_array(batch.num_rows())?))
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&output), columns).map_err(datafusion::error::DataFusionError::from)?)
    };
    driver.pool().install(|| rows.par_iter().map(one).collect())
}

/// Turns the clause's syntax into expressions, with a growing set of functions.
struct Planner {
    state: SessionState,
    schema: DFSchema,
}

impl Planner {
    fn new(state: &SessionState, input: &SchemaRef) -> Result<Self> {
        Ok(Self { state: state.clone(), schema: DFSchema::try_from(Arc::clone(input))? })
    }

    fn register(&mut self, udf: Arc<ScalarUDF>) -> Result<()> {
        self.state.register_udf(udf)?;
        Ok(())
    }

    fn logical(&self, expr: &SqlExpr, at: Location) -> Result<Expr> {
        let with_alias = ExprWithAlias { expr: expr.clone(), alias: None };
        let expr = self
            .state
            .create_logical_expr_from_sql_expr(with_alias, &self.schema)
            .map_err(|error| Error::from(error).at(position(at)))?;
        check_allowed(&expr).map_err(|error| error.at(position(at)))?;
        Ok(expr)
    }

    fn physical(&self, expr: &SqlExpr, at: Location) -> Result<Arc<dyn PhysicalExpr>> {
        let logical = self.logical(expr, at)?;
        self.state.create_physical_expr(logical, &self.schema).map_err(|error| Error::from(error).at(position(at)))
    }

    fn outputs(&self, clause: &Clause) -> Result<Vec<(String, Expr)>> {
        clause.items.iter().map(|item| Ok((item.name.clone(), self.logical(&item.expr, item.at)?))).collect()
    }
}

/// A feature must be a function of its row alone, the same today and tomorrow.
fn check_allowed(expr: &Expr) -> Result<()> {
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    let mut found = None;
    expr.apply(|node| {
        found = match node {
            Expr::AggregateFunction(call) => Some(format!(
                "TRANSFORM may not hold the aggregate {}; compute it in the query after AS",
                call.func.name()
            )),
            Expr::WindowFunction(call) => {
                Some(format!("TRANSFORM may not hold the analytic function {}", call.fun.name()))
            }
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => Some(format!(
                "TRANSFORM may not hold {}, whose value is not the same each time; \
                 compute it in the query after AS",
                call.func.name()
            )),
            _ => None,
        };
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    match found {
        Some(message) => Err(Error::invalid(message)),
        None => Ok(()),
    }
}
