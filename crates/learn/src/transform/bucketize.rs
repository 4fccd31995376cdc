//! `ML.BUCKETIZE(x, array_split_points [, exclude_boundaries [, output_format]])`: the bucket of a number between given
//! split points. With `exclude_boundaries` the first and the last point do not split.

use arrow::datatypes::DataType;

use super::args::Args;
use super::buckets::{Buckets, FORMATS};
use super::{Function, Stateless, TransformFit};
use crate::{Error, OptionValue, Result};

const NAME: &str = "ML.BUCKETIZE";
pub(super) const FUNCTION: Function = Function { name: NAME, plan, read: Buckets::read };

fn plan(columns: &[DataType], constants: &[OptionValue]) -> Result<Box<dyn TransformFit>> {
    let args = Args::new(NAME, columns, constants, &["array_split_points", "exclude_boundaries", "output_format"])?;
    args.number_column()?;
    let wanted = "an array of finite numbers in rising order, as [1, 2.5, 4]";
    let Some(given) = args.constant(0) else {
        return Err(Error::invalid(format!("{NAME} needs array_split_points, {wanted}")));
    };
    let mut points = points(given).ok_or_else(|| args.wrong("array_split_points", wanted, given))?;
    if args.bool(1, "exclude_boundaries", false)? {
        if points.len() < 3 {
            let wanted = "an array of at least three numbers when the boundaries are excluded";
            return Err(args.wrong("array_split_points", wanted, given));
        }
        points.pop();
        points.remove(0);
    }
    let format = args.word(2, "output_format", &FORMATS, false)?;
    Ok(Box::new(Stateless { function: &FUNCTION, apply: Buckets::new(points, format) }))
}

fn points(value: &OptionValue) -> Option<Vec<f64>> {
    let OptionValue::Array(values) = value else { return None };
    let points: Vec<f64> = values.iter().map(OptionValue::as_f64).collect::<Option<_>>()?;
    let rising = points.windows(2).all(|pair| pair[0] < pair[1]);
    (!points.is_empty() && rising && points.iter().all(|point| point.is_finite())).then_some(points)
}
