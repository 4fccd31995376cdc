//! `ML.FEATURE_CROSS(struct [, degree])`: for every combination of 2 to `degree` fields a STRING `a_b` of their values,
//! called by the fields' names joined alike. NULL where one of the values is.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use serde_json::{Value, json};

use super::args::{Args, is_category};
use super::{Apply, Function, Stateless, TransformFit};
use crate::encode::numbers::texts;
use crate::{Error, OptionValue, Result};

const NAME: &str = "ML.FEATURE_CROSS";
pub(super) const FUNCTION: Function = Function { name: NAME, plan, read };

fn plan(columns: &[DataType], constants: &[OptionValue]) -> Result<Box<dyn TransformFit>> {
    let args = Args::new(NAME, columns, constants, &["degree"])?;
    let fields = args.struct_column("a STRUCT of STRING fields", is_category)?;
    if fields.len() < 2 {
        return Err(Error::invalid(format!("{NAME} needs two fields at least; one is given")));
    }
    let degree = args.int(0, "degree", Some(2), 2..=4)?;
    let names = fields.iter().map(|field| field.name().clone()).collect();
    let apply = Cross::new(names, usize::try_from(degree).unwrap_or(2));
    Ok(Box::new(Stateless { function: &FUNCTION, apply }))
}

fn read(value: &Value) -> Option<Arc<dyn Apply>> {
    let names: Option<Vec<String>> =
        value.get("fields")?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    let degree = usize::try_from(value.get("degree")?.as_u64()?).ok()?;
    Some(Arc::new(Cross::new(names?, degree)))
}

#[derive(Clone, Debug)]
struct Cross {
    names: Vec<String>,
    degree: usize,
    combinations: Vec<Vec<usize>>,
    output: DataType,
}

impl Cross {
    fn new(names: Vec<String>, degree: usize) -> Self {
        let mut combinations = Vec::new();
        for size in 2..=degree.min(names.len()) {
            choose(names.len(), size, 0, &mut Vec::new(), &mut combinations);
        }
        let name = |chosen: &Vec<usize>| chosen.iter().map(|at| names[*at].as_str()).collect::<Vec<_>>().join("_");
        let fields: Fields = combinations.iter().map(|chosen| Field::new(name(chosen), DataType::Utf8, true)).collect();
        Self { names, degree, combinations, output: DataType::Struct(fields) }
    }
}

/// All ways to choose `size` of `n`, in order.
fn choose(n: usize, size: usize, from: usize, chosen: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
    if chosen.len() == size {
        all.push(chosen.clone());
        return;
    }
    for next in from..n {
        chosen.push(next);
        choose(n, size, next + 1, chosen, all);
        chosen.pop();
    }
}

impl Apply for Cross {
    fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        let wrong = || Error::data(format!("{NAME} was fitted to a STRUCT with the fields {}", self.names.join(", ")));
        let input = args[0].as_struct_opt().ok_or_else(wrong)?;
        let columns: Vec<StringArray> = self
            .names
            .iter()
            .map(|name| texts(input.column_by_name(name).ok_or_else(wrong)?))
            .collect::<Result<_>>()?;
        let mut outputs: Vec<ArrayRef> = Vec::with_capacity(self.combinations.len());
        for chosen in &self.combinations {
            let mut builder = StringBuilder::with_capacity(input.len(), 16 * input.len());
            for row in 0..input.len() {
                if input.is_null(row) || chosen.iter().any(|at| columns[*at].is_null(row)) {
                    builder.append_null();
                    continue;
                }
                for (place, at) in chosen.iter().enumerate() {
                    let separator = if place == 0 { "" } else { "_" };
                    // Writing to a string builder cannot fail.
                    let _ = write!(builder, "{separator}{}", columns[*at].value(row));
                }
                builder.append_value("");
            }
            outputs.push(Arc::new(builder.finish()));
        }
        let DataType::Struct(fields) = &self.output else {
            return Err(Error::internal("a feature cross that gives no struct"));
        };
        Ok(Arc::new(StructArray::try_new(fields.clone(), outputs, None)?))
    }

    fn output_type(&self) -> &DataType {
        &self.output
    }

    fn statistics(&self) -> Value {
        json!({ "fields": self.names, "degree": self.degree })
    }
}
