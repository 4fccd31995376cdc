//! A preprocessing function with its frozen statistics, as a scalar function of a plan.
//!
//! The optimizer sees an ordinary immutable function. Two calls are equal when function, statistics and constants
//! are, so that common subexpressions are shared and different calls never confused.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use lakemill_learn::FittedTransform;

use crate::Error;

/// See the module.
#[derive(Debug)]
pub(crate) struct FittedFunction {
    fitted: FittedTransform,
    input: DataType,
    state: String,
    signature: Signature,
    aliases: Vec<String>,
}

impl FittedFunction {
    /// The function `fitted` of one argument of type `input`, found while planning by the name `alias`.
    pub(crate) fn new(fitted: FittedTransform, input: DataType, alias: Option<String>) -> Self {
        let state = fitted.to_json().to_string();
        let signature = Signature::exact(vec![input.clone()], Volatility::Immutable);
        Self { fitted, input, state, signature, aliases: alias.into_iter().collect() }
    }

    /// The same, as a function of a plan.
    pub(crate) fn into_udf(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(self))
    }

    /// The frozen function that `udf` is, if it is one.
    pub(crate) fn of(udf: &ScalarUDF) -> Option<&Self> {
        (udf.inner().as_ref() as &dyn Any).downcast_ref()
    }

    /// The function and its statistics.
    pub(crate) fn fitted(&self) -> &FittedTransform {
        &self.fitted
    }

    /// The type of the argument.
    pub(crate) fn input(&self) -> &DataType {
        &self.input
    }
}

impl PartialEq for FittedFunction {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state && self.input == other.input
    }
}

impl Eq for FittedFunction {}

impl Hash for FittedFunction {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state.hash(hasher);
        self.input.hash(hasher);
    }
}

impl ScalarUDFImpl for FittedFunction {
    fn name(&self) -> &str {
        self.fitted.name()
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.fitted.output_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), self.fitted.output_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let result =
            self.fitted.apply(&arrays).map_err(|error| DataFusionError::External(Box::new(Error::from(error))))?;
        Ok(ColumnarValue::Array(result))
    }
}

/// A call whose statistics are not there yet: it has a type, so that a TRANSFORM clause can be checked before any
/// row is read, and no value.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct UnfittedFunction {
    function: &'static str,
    output: DataType,
    signature: Signature,
    aliases: Vec<String>,
}

impl UnfittedFunction {
    /// The function `function` from `input` to `output`, found while planning by the name `alias`.
    pub(super) fn udf(function: &'static str, input: DataType, output: DataType, alias: String) -> Arc<ScalarUDF> {
        let signature = Signature::exact(vec![input], Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { function, output, signature, aliases: vec![alias] }))
    }
}

impl ScalarUDFImpl for UnfittedFunction {
    fn name(&self) -> &str {
        self.function
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.output.clone())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(format!("{} was called before its statistics were known", self.function)))
    }
}
