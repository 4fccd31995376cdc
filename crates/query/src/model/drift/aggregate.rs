//! `ml_distribution(column)`: how the rows of a column are distributed, as a text.

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use lakemill_base::ErrorKind;
use lakemill_learn::drift::Distribution;

use crate::Error;

/// The function. Its states and its value are [`Distribution`]s as JSON.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DistributionOf {
    signature: Signature,
}

impl DistributionOf {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }

    /// Whether columns of a type are numbers; `None` for those that are not compared.
    pub(super) fn is_number(data_type: &DataType) -> Option<bool> {
        Distribution::of_type(data_type).map(|distribution| matches!(distribution, Distribution::Numbers(_)))
    }
}

impl AggregateUDFImpl for DistributionOf {
    fn name(&self) -> &str {
        "ml_distribution"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [of] if Distribution::of_type(of).is_some() => Ok(DataType::Utf8),
            [of] => {
                let message =
                    format!("ml_distribution takes a number or a category, not {}", lakemill_lake::sql_type(of));
                Err(external(Error::invalid(message)))
            }
            _ => Err(external(Error::invalid("ml_distribution takes one column"))),
        }
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let of = arguments.expr_fields.first().and_then(|field| Distribution::of_type(field.data_type()));
        match of {
            Some(distribution) => Ok(Box::new(Counting { distribution })),
            None => Err(DataFusionError::Internal("ml_distribution of a column that is not counted".into())),
        }
    }
}

#[derive(Debug)]
struct Counting {
    distribution: Distribution,
}

impl Accumulator for Counting {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.iter().try_for_each(|values| self.distribution.add(values).map_err(|error| external(error.into())))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for state in states {
            let state = cast(state, &DataType::Utf8)?;
            for text in state.as_string::<i32>().iter().flatten() {
                let other = read(text).map_err(external)?;
                self.distribution.merge(&other).map_err(|error| external(error.into()))?;
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Utf8(Some(self.distribution.to_json().to_string())))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.distribution.size()
    }
}

/// A distribution of its text.
pub(super) fn read(text: &str) -> std::result::Result<Distribution, Error> {
    let value =
        serde_json::from_str(text).map_err(|error| Error::new(ErrorKind::Data, format!("no distribution: {error}")))?;
    Ok(Distribution::from_json(&value)?)
}

pub(super) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
