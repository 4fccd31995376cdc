//! `ML.QUANTILE_BUCKETIZE(x, num_buckets [, output_format]) OVER ()`: buckets of about equally many training rows.
//!
//! The split points are exact: of n sorted values those at the places round(k (n - 1) / num_buckets). Equal points split
//! once, so a column of few values gets fewer buckets.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;

use super::args::Args;
use super::buckets::{Buckets, FORMATS};
use super::gather::sorted_numbers;
use super::{FittedTransform, Function, TransformFit};
use crate::{Driver, OptionValue, Result};

const NAME: &str = "ML.QUANTILE_BUCKETIZE";
/// More buckets than this are no buckets any more.
const BUCKETS_MAX: i64 = 100_000;
pub(super) const FUNCTION: Function = Function { name: NAME, plan, read: Buckets::read };

fn plan(columns: &[DataType], constants: &[OptionValue]) -> Result<Box<dyn TransformFit>> {
    let args = Args::new(NAME, columns, constants, &["num_buckets", "output_format"])?;
    args.number_column()?;
    let buckets = args.int(0, "num_buckets", None, 2..=BUCKETS_MAX)?;
    let format = args.word(1, "output_format", &FORMATS, false)?;
    Ok(Box::new(Fit { buckets, format }))
}

#[derive(Debug)]
struct Fit {
    buckets: i64,
    format: &'static str,
}

impl TransformFit for Fit {
    fn fit(&self, columns: &[RecordBatch], driver: &Driver) -> Result<FittedTransform> {
        let sorted = sorted_numbers(NAME, columns, driver)?;
        let last = (sorted.len() - 1) as f64;
        let place = |bucket: i64| (bucket as f64 * last / self.buckets as f64).round() as usize;
        let mut points: Vec<f64> = (1..self.buckets).map(|bucket| sorted[place(bucket)]).collect();
        points.dedup();
        Ok(FittedTransform::new(&FUNCTION, Buckets::new(points, self.format)))
    }

    fn output_type(&self) -> DataType {
        DataType::Utf8
    }
}
