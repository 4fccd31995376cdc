//! Input columns as leaves: structs are flattened to `struct_field`, every leaf has one kind of preprocessing.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::{Error, Result};

/// How a leaf is preprocessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeafKind {
    /// A number.
    Number,
    /// A text, a boolean, a date or a time of day.
    Category,
    /// A timestamp.
    Timestamp,
    /// An array of numbers, of the same length in every row.
    Vector,
    /// An array of `STRUCT<index, value>`.
    Sparse,
}

/// A column that holds no struct.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    /// `column` or `struct_field`.
    pub(crate) name: String,
    /// The column's name and the fields on the way down.
    pub(crate) path: Vec<String>,
    pub(crate) kind: LeafKind,
}

/// The leaves of the columns `fields`, in their order.
pub(crate) fn leaves(fields: &[Field]) -> Result<Vec<Leaf>> {
    let mut found = Vec::new();
    for field in fields {
        collect(field.name().clone(), vec![field.name().clone()], field.data_type(), &mut found)?;
    }
    let repeated = found.iter().enumerate().find(|(at, leaf)| found[..*at].iter().any(|other| other.name == leaf.name));
    if let Some((_, leaf)) = repeated {
        let text = format!("two features are called '{}' once structs are flattened; rename one", leaf.name);
        return Err(Error::column(&leaf.name, text));
    }
    Ok(found)
}

fn collect(name: String, path: Vec<String>, data_type: &DataType, found: &mut Vec<Leaf>) -> Result<()> {
    if let DataType::Struct(fields) = data_type {
        for field in fields {
            let path = path.iter().cloned().chain([field.name().clone()]).collect();
            collect(format!("{name}_{}", field.name()), path, field.data_type(), found)?;
        }
        return Ok(());
    }
    let Some(kind) = kind_of(data_type) else {
        let text = format!(
            "feature '{name}' has type {data_type}, which no model takes; \
             leave it out, or CAST it to a number or a text"
        );
        return Err(Error::column(name, text));
    };
    found.push(Leaf { name, path, kind });
    Ok(())
}

/// How columns of a type are preprocessed; `None` for types that no model takes.
pub(crate) fn kind_of(data_type: &DataType) -> Option<LeafKind> {
    match data_type {
        DataType::Dictionary(_, values) => kind_of(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => Some(LeafKind::Category),
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => Some(LeafKind::Category),
        DataType::Timestamp(..) => Some(LeafKind::Timestamp),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => match item.data_type() {
            DataType::Struct(fields) if is_index_value(fields) => Some(LeafKind::Sparse),
            number if number.is_numeric() => Some(LeafKind::Vector),
            _ => None,
        },
        number if number.is_numeric() => Some(LeafKind::Number),
        _ => None,
    }
}

fn is_index_value(fields: &[Arc<Field>]) -> bool {
    matches!(fields, [index, value] if index.data_type().is_integer() && value.data_type().is_numeric())
}

/// The array of a leaf; NULL where one of the structs above it is.
pub(crate) fn extract(batch: &RecordBatch, leaf: &Leaf) -> Result<ArrayRef> {
    let (top, below) = leaf.path.split_first().ok_or_else(|| Error::internal("a feature without a path"))?;
    let mut array = batch.column_by_name(top).cloned().ok_or_else(|| missing(top, batch))?;
    for name in below {
        let parent = array.as_any().downcast_ref::<StructArray>().ok_or_else(|| missing(&leaf.name, batch))?;
        let field = parent.column_by_name(name).cloned().ok_or_else(|| missing(&leaf.name, batch))?;
        array = match parent.nulls() {
            Some(nulls) if nulls.null_count() > 0 => mask(&field, nulls)?,
            _ => field,
        };
    }
    let kind = kind_of(array.data_type());
    // A column of NULLs alone has no type of its own.
    if kind != Some(leaf.kind) && array.data_type() != &DataType::Null {
        let text = format!(
            "feature '{}' was {} when the model was trained and now has type {}; CAST it",
            leaf.name,
            leaf.kind.text(),
            array.data_type()
        );
        return Err(Error::column(&leaf.name, text));
    }
    match (array.data_type(), leaf.kind) {
        (DataType::Null, LeafKind::Number) => Ok(arrow::array::new_null_array(&DataType::Float64, array.len())),
        (DataType::Null, LeafKind::Category) => Ok(arrow::array::new_null_array(&DataType::Utf8, array.len())),
        (DataType::Null, LeafKind::Timestamp) => {
            Ok(arrow::array::new_null_array(&DataType::Timestamp(TimeUnit::Second, None), array.len()))
        }
        (DataType::Null, _) => {
            Err(Error::column(&leaf.name, format!("feature '{}' is a bare NULL; CAST it", leaf.name)))
        }
        _ => Ok(array),
    }
}

fn mask(array: &ArrayRef, nulls: &NullBuffer) -> Result<ArrayRef> {
    let nulls = NullBuffer::union(array.nulls(), Some(nulls));
    Ok(arrow::array::make_array(array.to_data().into_builder().nulls(nulls).build()?))
}

fn missing(name: &str, batch: &RecordBatch) -> Error {
    let schema = batch.schema();
    let names: Vec<&str> = schema.fields().iter().take(COLUMNS_LISTED_MAX).map(|field| field.name().as_str()).collect();
    let more = if schema.fields().len() > names.len() { ", .." } else { "" };
    let text = format!(
        "the input lacks the feature '{name}' that the model was trained on; its columns are {}{more}",
        names.join(", ")
    );
    Error::column(name, text)
}

/// More names than this are no help in an error.
const COLUMNS_LISTED_MAX: usize = 24;

impl LeafKind {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Category => "a category",
            Self::Timestamp => "a timestamp",
            Self::Vector => "an array of numbers",
            Self::Sparse => "an array of STRUCT<index, value>",
        }
    }
}
