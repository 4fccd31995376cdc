//! The preprocessing functions `ML.*` of a TRANSFORM clause: each is a fold with frozen statistics.

pub(crate) mod json;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use serde_json::Value;

use crate::{Driver, OptionValue, Result};

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
    fn to_json(&self) -> Value;
}

/// A preprocessing function with frozen statistics.
#[derive(Clone, Debug)]
pub struct FittedTransform {
    name: &'static str,
    inner: Arc<dyn Apply>,
}

impl FittedTransform {
    /// The function's name, `ML.STANDARD_SCALER`.
    pub fn name(&self) -> &str {
        self.name
    }
    /// Transforms the column arguments.
    ///
    /// # Errors
    /// An argument has another type than in training.
    pub fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        self.inner.apply(args)
    }
    /// The type of the result.
    pub fn output_type(&self) -> &DataType {
        self.inner.output_type()
    }
    /// The function and its statistics; every f64 survives bit for bit.
    pub fn to_json(&self) -> Value {
        self.inner.to_json()
    }
    /// Reads what [`FittedTransform::to_json`] wrote.
    ///
    /// # Errors
    /// Data when the value is damaged.
    pub fn from_json(_value: &Value) -> Result<Self> {
        todo!()
    }
}

/// The names of all functions, `ML.STANDARD_SCALER` and so on.
pub fn transform_names() -> &'static [&'static str] {
    &[
        "ML.STANDARD_SCALER",
        "ML.MIN_MAX_SCALER",
        "ML.MAX_ABS_SCALER",
        "ML.ROBUST_SCALER",
        "ML.IMPUTER",
        "ML.BUCKETIZE",
        "ML.QUANTILE_BUCKETIZE",
        "ML.ONE_HOT_ENCODER",
        "ML.LABEL_ENCODER",
        "ML.FEATURE_CROSS",
        "ML.HASH_BUCKETIZE",
        "ML.POLYNOMIAL_EXPAND",
        "ML.NORMALIZER",
    ]
}

/// Checks a call's arguments: the types of its columns, and its constants.
///
/// # Errors
/// The function is unknown, or an argument is missing, too many, of the wrong type or out of range.
pub fn plan_transform(
    _function: &str,
    _column_types: &[DataType],
    _constants: &[OptionValue],
) -> Result<Box<dyn TransformFit>> {
    todo!()
}
