//! The preprocessing functions as values in any SELECT.
//!
//! `ML.BUCKETIZE`, `ML.HASH_BUCKETIZE`, `ML.FEATURE_CROSS`, `ML.POLYNOMIAL_EXPAND` and `ML.NORMALIZER` need no
//! statistics: they are scalar functions of one value. Their constants travel as one text (`'[1, 2], TRUE'`), which
//! [`rewrite_calls`] writes into the syntax tree, since a plan has no literal for BigQuery's arrays and STRUCTs.
//! The others need the statistics of all rows and belong into TRANSFORM.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{DataFusionError, Result as DataFusionResult, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr as PlanExpr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use lakemill_learn::transform::{plan_transform, transform_names};
use lakemill_learn::{Driver, FittedTransform, OptionValue};
use sqlparser::ast::{Expr, VisitMut, VisitorMut};

use super::call::{MlCall, STATELESS, position};
use super::udf::FittedFunction;
use crate::model::parse::{option_value, parse_expressions};
use crate::{Error, Result};

/// Rewrites the `ML.*` calls of a query into the form that [`scalar_functions`] understand.
///
/// # Errors
/// There is no such function, or it belongs into TRANSFORM; with its place.
pub(crate) fn rewrite_calls<T: VisitMut>(syntax: &mut T) -> Result<()> {
    struct Rewrite;
    impl VisitorMut for Rewrite {
        type Break = Error;
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
            match rewrite(expr) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        }
    }
    match syntax.visit(&mut Rewrite) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn rewrite(expr: &mut Expr) -> Result<()> {
    let Expr::Function(function) = &*expr else { return Ok(()) };
    let Some(call) = MlCall::from_syntax(function)? else { return Ok(()) };
    if !call.is_stateless() {
        let message = format!(
            "{} takes its statistics from the training rows, so it stands in the TRANSFORM clause of CREATE MODEL; \
             anywhere in a query: {}",
            call.function,
            STATELESS.join(", ")
        );
        return Err(Error::invalid(message).at(position(call.at)));
    }
    let constants: Vec<String> = call.constants.iter().map(ToString::to_string).collect();
    *expr = call.as_function(call.function, Some(constants.join(", ")));
    Ok(())
}

/// The functions, to be registered with a session.
pub(crate) fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let stateless = transform_names().iter().filter(|name| STATELESS.contains(name));
    stateless.map(|name| Arc::new(ScalarUDF::new_from_impl(RowFunction::new(name)))).collect()
}

/// A function of one value and a text of constants.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowFunction {
    name: &'static str,
    signature: Signature,
}

impl RowFunction {
    fn new(name: &'static str) -> Self {
        Self { name, signature: Signature::any(2, Volatility::Immutable) }
    }

    fn constants<'a>(&self, value: Option<&'a ScalarValue>) -> DataFusionResult<&'a str> {
        value.and_then(ScalarValue::try_as_str).flatten().ok_or_else(|| wrong_arguments(self.name))
    }
}

fn constants_from_text(text: &str) -> Result<Vec<OptionValue>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    parse_expressions(text)?.iter().map(|expr| option_value(expr).map_err(Error::invalid)).collect()
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Err(DataFusionError::Internal(format!("the type of {} depends on its constants", self.name)))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> DataFusionResult<FieldRef> {
        let [input, _] = args.arg_fields else { return Err(wrong_arguments(self.name)) };
        let constants = self.constants(args.scalar_arguments.get(1).copied().flatten())?;
        let constants = constants_from_text(constants).map_err(external)?;
        let plan = plan_transform(self.name, std::slice::from_ref(input.data_type()), &constants)
            .map_err(|error| external(error.into()))?;
        Ok(Arc::new(Field::new(self.name, plan.output_type(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let [input, ColumnarValue::Scalar(constants)] = args.args.as_slice() else {
            return Err(wrong_arguments(self.name));
        };
        let constants = self.constants(Some(constants))?;
        let fitted = fit_on_no_rows(self.name, &input.data_type(), constants).map_err(external)?;
        let array: ArrayRef = input.to_array(args.number_rows)?;
        let result = fitted.apply(&[array]).map_err(|error| external(Error::from(error)))?;
        Ok(ColumnarValue::Array(result))
    }

    /// The constants are known when the query is planned: the call becomes one of a function that has them in it.
    fn simplify(&self, mut args: Vec<PlanExpr>, info: &SimplifyContext) -> DataFusionResult<ExprSimplifyResult> {
        let [input, PlanExpr::Literal(constants, _)] = args.as_slice() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let kind = info.get_data_type(input)?;
        let constants = self.constants(Some(constants))?;
        let fitted = fit_on_no_rows(self.name, &kind, constants).map_err(external)?;
        let function = FittedFunction::new(fitted, kind, None).into_udf();
        args.truncate(1);
        Ok(ExprSimplifyResult::Simplified(PlanExpr::ScalarFunction(ScalarFunction::new_udf(function, args))))
    }
}

/// Fits a function whose result for a row depends on that row alone: there is nothing to learn but its constants.
fn fit_on_no_rows(name: &str, input: &DataType, constants: &str) -> Result<FittedTransform> {
    let plan = plan_transform(name, std::slice::from_ref(input), &constants_from_text(constants)?)?;
    let schema = Arc::new(Schema::new(vec![Field::new("value", input.clone(), true)]));
    Ok(plan.fit(&[RecordBatch::new_empty(schema)], &Driver::new(1)?)?)
}

fn wrong_arguments(name: &str) -> DataFusionError {
    external(Error::invalid(format!("{name} takes a column, and constants after it")))
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
