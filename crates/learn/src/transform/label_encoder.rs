//! `ML.LABEL_ENCODER(x [, top_k [, frequency_threshold]]) OVER ()`: the number of a category in alphabetical order, from
//! 1. NULL and categories outside of the vocabulary are 0.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use serde_json::{Value, json};

use super::args::Args;
use super::categories::{Limits, vocabulary_from, vocabulary_to};
use super::{Apply, FittedTransform, Function, TransformFit};
use crate::encode::Vocabulary;
use crate::encode::numbers::texts;
use crate::{Driver, OptionValue, Result};

const NAME: &str = "ML.LABEL_ENCODER";
pub(super) const FUNCTION: Function = Function { name: NAME, plan, read };

fn plan(columns: &[DataType], constants: &[OptionValue]) -> Result<Box<dyn TransformFit>> {
    let args = Args::new(NAME, columns, constants, &["top_k", "frequency_threshold"])?;
    args.category_column()?;
    Ok(Box::new(Fit { limits: Limits::read(&args, 0)? }))
}

fn read(value: &Value) -> Option<Arc<dyn Apply>> {
    Some(Arc::new(Labels { vocabulary: vocabulary_from(value.get("vocabulary"))? }))
}

#[derive(Debug)]
struct Fit {
    limits: Limits,
}

impl TransformFit for Fit {
    fn fit(&self, columns: &[RecordBatch], driver: &Driver) -> Result<FittedTransform> {
        let (vocabulary, _) = self.limits.vocabulary(columns, driver)?;
        Ok(FittedTransform::new(&FUNCTION, Labels { vocabulary }))
    }

    fn output_type(&self) -> DataType {
        DataType::Int64
    }
}

#[derive(Debug)]
struct Labels {
    vocabulary: Vocabulary,
}

impl Apply for Labels {
    fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        let labels = self.vocabulary.labels(&texts(&args[0])?);
        Ok(Arc::new(labels.into_iter().map(|label| Some(i64::from(label))).collect::<Int64Array>()))
    }

    fn output_type(&self) -> &DataType {
        &DataType::Int64
    }

    fn statistics(&self) -> Value {
        json!({ "vocabulary": vocabulary_to(&self.vocabulary) })
    }
}
