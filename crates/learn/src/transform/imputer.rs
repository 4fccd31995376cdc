//! `ML.IMPUTER(x, strategy) OVER ()`: puts the mean, the median or the most frequent value in place of NULL (and NaN).
//!
//! A number becomes FLOAT64, anything else a STRING, for which only `most_frequent` makes sense. Among equally frequent
//! values the smallest is taken.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use serde_json::{Value, json};

use super::args::Args;
use super::gather::{category_stats, number_stats, quantile, sorted_numbers};
use super::json::{float_from, float_to};
use super::{Apply, FittedTransform, Function, TransformFit};
use crate::encode::numbers::{numbers, texts};
use crate::{Driver, Error, OptionValue, Result};

const NAME: &str = "ML.IMPUTER";
pub(super) const FUNCTION: Function = Function { name: NAME, plan, read };

fn plan(columns: &[DataType], constants: &[OptionValue]) -> Result<Box<dyn TransformFit>> {
    let args = Args::new(NAME, columns, constants, &["strategy"])?;
    let strategy = args.word(0, "strategy", &["mean", "median", "most_frequent"], true)?;
    let number = args.column().is_numeric();
    if !number {
        args.category_column()?;
        if strategy != "most_frequent" {
            let text = format!("strategy '{strategy}' of {NAME} is for numbers; use 'most_frequent' for a STRING");
            return Err(Error::invalid(text));
        }
    }
    Ok(Box::new(Fit { strategy, number }))
}

fn read(value: &Value) -> Option<Arc<dyn Apply>> {
    if let Some(number) = value.get("number") {
        return Some(Arc::new(Impute::Number(float_from(number)?)));
    }
    Some(Arc::new(Impute::Text(value.get("text")?.as_str()?.to_owned())))
}

#[derive(Debug)]
struct Fit {
    strategy: &'static str,
    number: bool,
}

impl TransformFit for Fit {
    fn fit(&self, columns: &[RecordBatch], driver: &Driver) -> Result<FittedTransform> {
        let impute = match (self.strategy, self.number) {
            ("mean", true) => Impute::Number(number_stats(NAME, columns, driver)?.mean),
            ("median", true) => Impute::Number(quantile(&sorted_numbers(NAME, columns, driver)?, 0.5)),
            (_, true) => Impute::Number(mode(&sorted_numbers(NAME, columns, driver)?)),
            (_, false) => {
                let stats = category_stats(columns, driver)?;
                let sorted = stats.sorted();
                let most = sorted.iter().map(|(_, count)| *count).max();
                let found = sorted.iter().find(|(_, count)| Some(*count) == most);
                let nulls = stats.nulls;
                let none = || Error::data(format!("{NAME} needs a value; its column is NULL in all {nulls} rows"));
                Impute::Text(found.ok_or_else(none)?.0.to_owned())
            }
        };
        Ok(FittedTransform::new(&FUNCTION, impute))
    }

    fn output_type(&self) -> DataType {
        if self.number { DataType::Float64 } else { DataType::Utf8 }
    }
}

/// The most frequent of sorted numbers, the smallest of several.
fn mode(sorted: &[f64]) -> f64 {
    let mut best = (0, f64::NAN);
    for run in sorted.chunk_by(|a, b| a == b) {
        if run.len() > best.0 {
            best = (run.len(), run[0]);
        }
    }
    best.1
}

#[derive(Clone, Debug)]
enum Impute {
    Number(f64),
    Text(String),
}

impl Apply for Impute {
    fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        match self {
            Self::Number(fill) => {
                let values = numbers(&args[0])?;
                let filled = values.iter().map(|value| if value.is_nan() { *fill } else { *value });
                Ok(Arc::new(Float64Array::from_iter_values(filled)))
            }
            Self::Text(fill) => {
                let values = texts(&args[0])?;
                Ok(Arc::new(StringArray::from_iter_values(values.iter().map(|value| value.unwrap_or(fill)))))
            }
        }
    }

    fn output_type(&self) -> &DataType {
        match self {
            Self::Number(_) => &DataType::Float64,
            Self::Text(_) => &DataType::Utf8,
        }
    }

    fn statistics(&self) -> Value {
        match self {
            Self::Number(value) => json!({ "number": float_to(*value) }),
            Self::Text(value) => json!({ "text": value }),
        }
    }
}
