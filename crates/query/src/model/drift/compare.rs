//! `ml_deviations(distribution, ..)`: how far distributions are from others, as a list with an entry for each.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanBuilder, Float64Builder, ListArray, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use lakemill_learn::drift::{Metric, deviation};
use serde_json::{Value, json};

use super::aggregate::{external, read};
use crate::Error;

/// The columns of a deviation.
pub(super) const OUTPUT: [&str; 5] = ["input", "metric", "threshold", "value", "is_anomaly"];

/// How one column is compared.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) input: String,
    pub(super) metric: Metric,
    pub(super) threshold: f64,
}

/// The function. The distributions that it compares with are its own, or come before the others.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Deviations {
    /// As JSON, which is what the function is told apart by and sent as.
    state: String,
    signature: Signature,
}

/// What a function knows.
struct Known {
    comparisons: Vec<Comparison>,
    /// Distributions as texts.
    base: Option<Vec<String>>,
}

impl Deviations {
    /// Compares the distributions of the arguments with `base`.
    pub(super) fn from(comparisons: Vec<Comparison>, base: Vec<String>) -> Self {
        Self::new(&comparisons, Some(&base))
    }

    /// Compares the second half of the arguments with the first.
    pub(super) fn between(comparisons: Vec<Comparison>) -> Self {
        Self::new(&comparisons, None)
    }

    fn new(comparisons: &[Comparison], base: Option<&[String]>) -> Self {
        let one = |comparison: &Comparison| json!([comparison.input, comparison.metric.as_str(), comparison.threshold]);
        let comparisons: Vec<Value> = comparisons.iter().map(one).collect();
        Self::from_state(json!({ "comparisons": comparisons, "base": base }).to_string())
    }

    /// The function that has this state.
    pub(crate) fn from_state(state: String) -> Self {
        Self { state, signature: Signature::variadic_any(Volatility::Immutable) }
    }

    /// What tells it apart from others of its name.
    pub(crate) fn state(&self) -> &str {
        &self.state
    }

    /// The function that `udf` is, if it is one.
    pub(crate) fn of(udf: &ScalarUDF) -> Option<&Self> {
        (udf.inner().as_ref() as &dyn Any).downcast_ref()
    }

    fn known(&self) -> Option<Known> {
        let state: Value = serde_json::from_str(&self.state).ok()?;
        let one = |value: &Value| {
            let metric = value.get(1)?.as_str()?;
            Some(Comparison {
                input: value.get(0)?.as_str()?.to_owned(),
                metric: Metric::ALL.into_iter().find(|known| known.as_str() == metric)?,
                threshold: value.get(2)?.as_f64()?,
            })
        };
        let comparisons = state.get("comparisons")?.as_array()?.iter().map(one).collect::<Option<_>>()?;
        let base = match state.get("base")? {
            Value::Null => None,
            base => Some(base.as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect::<Option<_>>()?),
        };
        Some(Known { comparisons, base })
    }
}

fn output() -> Fields {
    let types = [DataType::Utf8, DataType::Utf8, DataType::Float64, DataType::Float64, DataType::Boolean];
    OUTPUT.into_iter().zip(types).map(|(name, of)| Field::new(name, of, true)).collect()
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(output()), true))
}

impl ScalarUDFImpl for Deviations {
    fn name(&self) -> &str {
        "ml_deviations"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wrong = || DataFusionError::Internal("ml_deviations of other columns than it compares".into());
        let Known { comparisons, base } = self.known().ok_or_else(wrong)?;
        let texts = |value: &ColumnarValue| cast(&value.to_array(arguments.number_rows)?, &DataType::Utf8);
        let given = arguments.args.iter().map(|value| Ok(texts(value)?)).collect::<Result<Vec<_>>>()?;
        let given: Vec<&StringArray> = given.iter().map(|array| array.as_string()).collect();
        let (before, study) = given.split_at(given.len().checked_sub(comparisons.len()).ok_or_else(wrong)?);
        if base.as_ref().map_or(before.len(), Vec::len) != comparisons.len() {
            return Err(wrong());
        }
        let mut entries = Entries::default();
        for row in 0..arguments.number_rows {
            for (index, (comparison, study)) in comparisons.iter().zip(study).enumerate() {
                let base = base.as_ref().map_or_else(|| before[index].value(row), |base| base[index].as_str());
                entries.add(comparison, base, study.value(row)).map_err(external)?;
            }
        }
        let lengths = OffsetBuffer::from_repeated_length(comparisons.len(), arguments.number_rows);
        let list = ListArray::try_new(item(), lengths, entries.finish()?, None)?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

#[derive(Default)]
struct Entries {
    inputs: StringBuilder,
    metrics: StringBuilder,
    thresholds: Float64Builder,
    values: Float64Builder,
    anomalies: BooleanBuilder,
}

impl Entries {
    fn add(&mut self, comparison: &Comparison, base: &str, study: &str) -> std::result::Result<(), Error> {
        let Comparison { input, metric, threshold } = comparison;
        let value = deviation(&read(base)?, &read(study)?, *metric)?;
        self.inputs.append_value(input);
        self.metrics.append_value(metric.as_str());
        self.thresholds.append_value(*threshold);
        self.values.append_option(value);
        self.anomalies.append_option(value.map(|value| value > *threshold));
        Ok(())
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.inputs.finish()),
            Arc::new(self.metrics.finish()),
            Arc::new(self.thresholds.finish()),
            Arc::new(self.values.finish()),
            Arc::new(self.anomalies.finish()),
        ];
        Ok(Arc::new(StructArray::try_new(output(), columns, None)?))
    }
}
