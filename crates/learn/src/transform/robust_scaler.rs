//! `ML.ROBUST_SCALER(x [, quantile_range [, with_median [, with_quantile_range]]]) OVER ()`:
//! `(x - median) / (upper quantile - lower quantile)`, with exact quantiles.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;

use super::args::Args;
use super::gather::{quantile, sorted_numbers};
use super::scale::Scale;
use super::{FittedTransform, Function, TransformFit};
use crate::{Driver, OptionValue, Result};

const NAME: &str = "ML.ROBUST_SCALER";
pub(super) const FUNCTION: Function = Function { name: NAME, plan, read: Scale::read };

fn plan(columns: &[DataType], constants: &[OptionValue]) -> Result<Box<dyn TransformFit>> {
    let args = Args::new(NAME, columns, constants, &["quantile_range", "with_median", "with_quantile_range"])?;
    args.number_column()?;
    let range = match args.constant(0) {
        None => (25.0, 75.0),
        Some(value) => {
            let wanted = "two numbers as [25, 75], the first above 0, the second above it and below 100";
            range(value).ok_or_else(|| args.wrong("quantile_range", wanted, value))?
        }
    };
    let with_median = args.bool(1, "with_median", true)?;
    let with_range = args.bool(2, "with_quantile_range", true)?;
    Ok(Box::new(Fit { range, with_median, with_range }))
}

fn range(value: &OptionValue) -> Option<(f64, f64)> {
    let OptionValue::Array(bounds) = value else { return None };
    let [low, high] = bounds.as_slice() else { return None };
    let (low, high) = (low.as_f64()?, high.as_f64()?);
    (low > 0.0 && high > low && high < 100.0).then_some((low, high))
}

#[derive(Debug)]
struct Fit {
    range: (f64, f64),
    with_median: bool,
    with_range: bool,
}

impl TransformFit for Fit {
    fn fit(&self, columns: &[RecordBatch], driver: &Driver) -> Result<FittedTransform> {
        let sorted = sorted_numbers(NAME, columns, driver)?;
        let at = |percent: f64| quantile(&sorted, percent / 100.0);
        let center = if self.with_median { at(50.0) } else { 0.0 };
        let divisor = if self.with_range { at(self.range.1) - at(self.range.0) } else { 1.0 };
        Ok(FittedTransform::new(&FUNCTION, Scale::new(center, divisor)))
    }

    fn output_type(&self) -> DataType {
        DataType::Float64
    }
}
