//! `ML.NORMALIZER(array [, p])`: an array of numbers divided by its p-norm: p = 0 counts the entries that are not 0,
//! p = +inf is the largest absolute value, 2 is the default. An array of zeros stays as it is; a NULL entry is NULL and
//! counts as 0.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use serde_json::{Value, json};

use super::args::Args;
use super::json::{float_from, float_to};
use super::{Apply, Function, Stateless, TransformFit};
use crate::{OptionValue, Result};

const NAME: &str = "ML.NORMALIZER";
pub(super) const FUNCTION: Function = Function { name: NAME, plan, read };

static OUTPUT: LazyLock<DataType> =
    LazyLock::new(|| DataType::List(Arc::new(Field::new("item", DataType::Float64, true))));

fn plan(columns: &[DataType], constants: &[OptionValue]) -> Result<Box<dyn TransformFit>> {
    let args = Args::new(NAME, columns, constants, &["p"])?;
    let numeric = match args.column() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_numeric()
        }
        _ => false,
    };
    if !numeric {
        return Err(args.wrong_column("an array of numbers"));
    }
    let p = match args.constant(0) {
        None => 2.0,
        Some(value) => match number(value) {
            Some(p) if p == 0.0 || p >= 1.0 => p,
            _ => return Err(args.wrong("p", "0, a number of at least 1, or '+inf'", value)),
        },
    };
    Ok(Box::new(Stateless { function: &FUNCTION, apply: Normalizer { p } }))
}

fn number(value: &OptionValue) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn read(value: &Value) -> Option<Arc<dyn Apply>> {
    Some(Arc::new(Normalizer { p: float_from(value.get("p")?)? }))
}

#[derive(Clone, Debug)]
struct Normalizer {
    p: f64,
}

impl Normalizer {
    fn norm(&self, values: impl Iterator<Item = f64>) -> f64 {
        if self.p == 0.0 {
            values.filter(|value| *value != 0.0).count() as f64
        } else if self.p == 1.0 {
            values.map(f64::abs).sum()
        } else if self.p == 2.0 {
            values.map(|value| value * value).sum::<f64>().sqrt()
        } else if self.p.is_infinite() {
            values.map(f64::abs).fold(0.0, f64::max)
        } else {
            values.map(|value| value.abs().powf(self.p)).sum::<f64>().powf(1.0 / self.p)
        }
    }
}

impl Apply for Normalizer {
    fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        let lists = cast(&args[0], &OUTPUT)?;
        let lists = lists.as_list::<i32>();
        let input = lists.values().as_primitive::<Float64Type>();
        let mut output: Vec<f64> = input.values().to_vec();
        for range in lists.value_offsets().windows(2) {
            let range = range[0] as usize..range[1] as usize;
            let norm = self.norm(range.clone().filter(|at| input.is_valid(*at)).map(|at| input.value(at)));
            if norm > 0.0 {
                output[range].iter_mut().for_each(|value| *value /= norm);
            }
        }
        let values = Float64Array::new(output.into(), input.nulls().cloned());
        let item = Arc::new(Field::new("item", DataType::Float64, true));
        Ok(Arc::new(ListArray::try_new(item, lists.offsets().clone(), Arc::new(values), lists.nulls().cloned())?))
    }

    fn output_type(&self) -> &DataType {
        &OUTPUT
    }

    fn statistics(&self) -> Value {
        json!({ "p": float_to(self.p) })
    }
}
