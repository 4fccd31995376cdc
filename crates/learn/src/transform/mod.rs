//! The preprocessing functions `ML.*` of a TRANSFORM clause: each is a fold with frozen statistics.
//!
//! One file per function, which tells how to plan a call, to fit it, to apply it and to read it back. NULL stays NULL
//! and NaN counts as NULL, unless a function says otherwise.

mod args;
mod bucketize;
mod buckets;
mod categories;
mod feature_cross;
mod gather;
mod hash_bucketize;
mod imputer;
pub(crate) mod json;
mod label_encoder;
mod max_abs_scaler;
mod min_max_scaler;
mod normalizer;
mod one_hot_encoder;
mod polynomial_expand;
mod quantile_bucketize;
mod robust_scaler;
mod scale;
mod standard_scaler;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use serde_json::{Value, json};

use crate::{Driver, Error, OptionValue, Result};

/// A call as written: the function and its arguments that are no columns.
#[derive(Clone, Debug, PartialEq)]
pub struct TransformCall {
    /// `ML.STANDARD_SCALER`, ..
    pub function: String,
    /// The constant arguments in their order, say the number of buckets.
    pub constants: Vec<OptionValue>,
}

/// A call whose arguments were checked and that waits for its statistics.
pub trait TransformFit: Debug + Send + Sync {
    /// Computes the statistics. Each batch holds the call's column arguments, in their order.
    ///
    /// # Errors
    /// The columns do not determine the statistics.
    fn fit(&self, columns: &[RecordBatch], driver: &Driver) -> Result<FittedTransform>;

    /// The type of what [`FittedTransform::apply`] gives, known before the statistics are.
    fn output_type(&self) -> DataType;
}

/// What a function does once its statistics are frozen.
pub(crate) trait Apply: Debug + Send + Sync {
    fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef>;
    fn output_type(&self) -> &DataType;
    fn statistics(&self) -> Value;
}

/// Checks a call's types and constants.
type Plan = fn(&[DataType], &[OptionValue]) -> Result<Box<dyn TransformFit>>;

/// How a function is planned and read back.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) plan: Plan,
    pub(crate) read: fn(&Value) -> Option<Arc<dyn Apply>>,
}

impl Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const FUNCTIONS: [&Function; 13] = [
    &standard_scaler::FUNCTION,
    &min_max_scaler::FUNCTION,
    &max_abs_scaler::FUNCTION,
    &robust_scaler::FUNCTION,
    &imputer::FUNCTION,
    &bucketize::FUNCTION,
    &quantile_bucketize::FUNCTION,
    &one_hot_encoder::FUNCTION,
    &label_encoder::FUNCTION,
    &feature_cross::FUNCTION,
    &hash_bucketize::FUNCTION,
    &polynomial_expand::FUNCTION,
    &normalizer::FUNCTION,
];

const NAMES: [&str; FUNCTIONS.len()] = {
    let mut names = [""; FUNCTIONS.len()];
    let mut at = 0;
    while at < FUNCTIONS.len() {
        names[at] = FUNCTIONS[at].name;
        at += 1;
    }
    names
};

/// A preprocessing function with frozen statistics.
#[derive(Clone, Debug)]
pub struct FittedTransform {
    function: &'static Function,
    inner: Arc<dyn Apply>,
}

impl FittedTransform {
    pub(crate) fn new(function: &'static Function, inner: impl Apply + 'static) -> Self {
        Self { function, inner: Arc::new(inner) }
    }

    /// The function's name, `ML.STANDARD_SCALER`.
    pub fn name(&self) -> &str {
        self.function.name
    }

    /// Transforms the column arguments.
    ///
    /// # Errors
    /// An argument has another type than in training.
    pub fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        if args.len() != 1 {
            return Err(Error::internal(format!("{} was applied to {} columns", self.name(), args.len())));
        }
        self.inner.apply(args)
    }

    /// The type of the result.
    pub fn output_type(&self) -> &DataType {
        self.inner.output_type()
    }

    /// The function and its statistics; every f64 survives bit for bit.
    pub fn to_json(&self) -> Value {
        json!({ "function": self.name(), "statistics": self.inner.statistics() })
    }

    /// Reads what [`FittedTransform::to_json`] wrote.
    ///
    /// # Errors
    /// Data when the value is damaged.
    pub fn from_json(value: &Value) -> Result<Self> {
        let name = value.get("function").and_then(Value::as_str).unwrap_or_default();
        let damaged =
            || Error::data(format!("the statistics of a transform '{name}' are damaged; train the model again"));
        let function = FUNCTIONS.into_iter().find(|function| function.name == name).ok_or_else(damaged)?;
        let inner = value.get("statistics").and_then(|statistics| (function.read)(statistics)).ok_or_else(damaged)?;
        Ok(Self { function, inner })
    }
}

/// The names of all functions, `ML.STANDARD_SCALER` and so on.
pub fn transform_names() -> &'static [&'static str] {
    &NAMES
}

/// Checks a call's arguments: the types of its columns, and its constants.
///
/// # Errors
/// The function is unknown, or an argument is missing, too many, of the wrong type or out of range.
pub fn plan_transform(
    function: &str,
    column_types: &[DataType],
    constants: &[OptionValue],
) -> Result<Box<dyn TransformFit>> {
    let upper = function.to_uppercase();
    let Some(found) = FUNCTIONS.into_iter().find(|known| known.name == upper) else {
        return Err(Error::invalid(lakemill_base::unknown("function", function, NAMES)));
    };
    (found.plan)(column_types, constants)
}

/// A function without statistics: fitting reads no rows.
#[derive(Debug)]
struct Stateless<A: Apply + Clone + 'static> {
    function: &'static Function,
    apply: A,
}

impl<A: Apply + Clone + 'static> TransformFit for Stateless<A> {
    fn fit(&self, _: &[RecordBatch], _: &Driver) -> Result<FittedTransform> {
        Ok(FittedTransform::new(self.function, self.apply.clone()))
    }

    fn output_type(&self) -> DataType {
        self.apply.output_type().clone()
    }
}
