//! `ML.ONE_HOT_ENCODER(x [, drop [, top_k [, frequency_threshold]]]) OVER ()`: a sparse vector with one entry, as
//! `ARRAY<STRUCT<index, value>>`. The index is the category's number in alphabetical order, from 1; NULL and categories
//! outside of the vocabulary have index 0. With drop = 'most_frequent' that category has the value 0.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use serde_json::{Value, json};

use super::args::Args;
use super::categories::{Limits, vocabulary_from, vocabulary_to};
use super::{Apply, FittedTransform, Function, TransformFit};
use crate::encode::Vocabulary;
use crate::encode::numbers::texts;
use crate::{Driver, OptionValue, Result};

const NAME: &str = "ML.ONE_HOT_ENCODER";
pub(super) const FUNCTION: Function = Function { name: NAME, plan, read };

static ENTRY: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![Field::new("index", DataType::Int64, false), Field::new("value", DataType::Float64, false)])
});
static OUTPUT: LazyLock<DataType> = LazyLock::new(|| DataType::List(item()));

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(ENTRY.clone()), false))
}

fn plan(columns: &[DataType], constants: &[OptionValue]) -> Result<Box<dyn TransformFit>> {
    let args = Args::new(NAME, columns, constants, &["drop", "top_k", "frequency_threshold"])?;
    args.category_column()?;
    let drop = args.word(0, "drop", &["none", "most_frequent"], false)? == "most_frequent";
    Ok(Box::new(Fit { drop, limits: Limits::read(&args, 1)? }))
}

fn read(value: &Value) -> Option<Arc<dyn Apply>> {
    let dropped = match value.get("dropped") {
        None | Some(Value::Null) => None,
        Some(code) => Some(u32::try_from(code.as_u64()?).ok()?),
    };
    Some(Arc::new(OneHot { vocabulary: vocabulary_from(value.get("vocabulary"))?, dropped }))
}

#[derive(Debug)]
struct Fit {
    drop: bool,
    limits: Limits,
}

impl TransformFit for Fit {
    fn fit(&self, columns: &[RecordBatch], driver: &Driver) -> Result<FittedTransform> {
        let (vocabulary, most_frequent) = self.limits.vocabulary(columns, driver)?;
        let dropped = most_frequent.filter(|_| self.drop).map(|code| code + 1);
        Ok(FittedTransform::new(&FUNCTION, OneHot { vocabulary, dropped }))
    }

    fn output_type(&self) -> DataType {
        OUTPUT.clone()
    }
}

#[derive(Debug)]
struct OneHot {
    vocabulary: Vocabulary,
    /// The index whose value is 0.
    dropped: Option<u32>,
}

impl Apply for OneHot {
    fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        let labels = self.vocabulary.labels(&texts(&args[0])?);
        let value = |label: &u32| if Some(*label) == self.dropped { 0.0 } else { 1.0 };
        let values = Float64Array::from_iter_values(labels.iter().map(value));
        let indices = Int64Array::from_iter_values(labels.iter().map(|label| i64::from(*label)));
        let entries = StructArray::try_new(ENTRY.clone(), vec![Arc::new(indices), Arc::new(values)], None)?;
        let offsets = OffsetBuffer::from_repeated_length(1, labels.len());
        Ok(Arc::new(ListArray::try_new(item(), offsets, Arc::new(entries), None)?))
    }

    fn output_type(&self) -> &DataType {
        &OUTPUT
    }

    fn statistics(&self) -> Value {
        json!({ "vocabulary": vocabulary_to(&self.vocabulary), "dropped": self.dropped })
    }
}
