//! `ML.POLYNOMIAL_EXPAND(struct [, degree])`: all products of up to `degree` fields, the fields themselves included, as
//! FLOAT64 fields called by the factors' names joined by `_`. NULL where one of the factors is.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StructArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use serde_json::{Value, json};

use super::args::Args;
use super::{Apply, Function, Stateless, TransformFit};
use crate::encode::numbers::numbers;
use crate::{Error, OptionValue, Result};

const NAME: &str = "ML.POLYNOMIAL_EXPAND";
pub(super) const FUNCTION: Function = Function { name: NAME, plan, read };

fn plan(columns: &[DataType], constants: &[OptionValue]) -> Result<Box<dyn TransformFit>> {
    let args = Args::new(NAME, columns, constants, &["degree"])?;
    let fields = args.struct_column("a STRUCT of numbers", DataType::is_numeric)?;
    let degree = args.int(0, "degree", Some(2), 1..=4)?;
    let names = fields.iter().map(|field| field.name().clone()).collect();
    let apply = Expand::new(names, usize::try_from(degree).unwrap_or(2));
    Ok(Box::new(Stateless { function: &FUNCTION, apply }))
}

fn read(value: &Value) -> Option<Arc<dyn Apply>> {
    let names: Option<Vec<String>> =
        value.get("fields")?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    let degree = usize::try_from(value.get("degree")?.as_u64()?).ok()?;
    Some(Arc::new(Expand::new(names?, degree)))
}

#[derive(Clone, Debug)]
struct Expand {
    names: Vec<String>,
    degree: usize,
    products: Vec<Vec<usize>>,
    output: DataType,
}

impl Expand {
    fn new(names: Vec<String>, degree: usize) -> Self {
        let mut products = Vec::new();
        extend(names.len(), degree, 0, &mut Vec::new(), &mut products);
        let name = |factors: &Vec<usize>| factors.iter().map(|at| names[*at].as_str()).collect::<Vec<_>>().join("_");
        let fields: Fields =
            products.iter().map(|factors| Field::new(name(factors), DataType::Float64, true)).collect();
        Self { names, degree, products, output: DataType::Struct(fields) }
    }
}

/// `a, aa, ab, b, bb`: each product is followed by those that it begins.
fn extend(n: usize, degree: usize, from: usize, factors: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
    if factors.len() == degree {
        return;
    }
    for next in from..n {
        factors.push(next);
        all.push(factors.clone());
        extend(n, degree, next, factors, all);
        factors.pop();
    }
}

impl Apply for Expand {
    fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        let wrong = || Error::data(format!("{NAME} was fitted to a STRUCT with the fields {}", self.names.join(", ")));
        let input = args[0].as_struct_opt().ok_or_else(wrong)?;
        let columns: Vec<ScalarBuffer<f64>> = self
            .names
            .iter()
            .map(|name| numbers(input.column_by_name(name).ok_or_else(wrong)?))
            .collect::<Result<_>>()?;
        let product = |factors: &Vec<usize>| -> ArrayRef {
            let value = |row: usize| {
                let product: f64 = factors.iter().map(|at| columns[*at][row]).product();
                (input.is_valid(row) && !product.is_nan()).then_some(product)
            };
            Arc::new((0..input.len()).map(value).collect::<Float64Array>())
        };
        let DataType::Struct(fields) = &self.output else {
            return Err(Error::internal("a polynomial expansion that gives no struct"));
        };
        Ok(Arc::new(StructArray::try_new(fields.clone(), self.products.iter().map(product).collect(), None)?))
    }

    fn output_type(&self) -> &DataType {
        &self.output
    }

    fn statistics(&self) -> Value {
        json!({ "fields": self.names, "degree": self.degree })
    }
}
