//! Rows in the types that every program that knows Arrow or Parquet reads.
//!
//! The engine works with views and dictionaries, which older Arrow versions and some languages cannot read, and for
//! which others have few functions: texts and bytes leave as Utf8 and Binary, lists as List, dictionaries as their values. All columns are
//! nullable: what a plan knows of NULL before it runs and what its operators say of it may differ, and clients compare.
//!
//! **Architecture invariant:** what is sent has the schema that was announced, whatever the operators gave.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::DataFusionError;

use crate::error::{Error, Result};

/// What the offsets of Utf8 and Binary can count.
const COLUMN_BYTES_MAX: usize = i32::MAX as usize;

/// The plain form of a schema and of its batches.
#[derive(Clone, Debug)]
pub struct Plain {
    schema: SchemaRef,
}

impl Plain {
    /// The plain form of rows of this schema.
    pub fn of(schema: &Schema) -> Self {
        let fields: Vec<FieldRef> = schema.fields().iter().map(nullable).collect();
        Self { schema: Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())) }
    }

    /// The schema that batches get.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch in plain types. Columns that are plain already are not copied.
    ///
    /// # Errors
    /// Invalid: more than 2 GiB of text in one column of the batch.
    pub fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let fields = self.schema.fields().iter().zip(batch.columns());
        let columns = fields.map(|(field, column)| plain(field, column)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        Ok(batch.map_err(DataFusionError::from)?)
    }
}

fn plain(field: &Field, column: &ArrayRef) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let bytes = match column.data_type() {
        DataType::Utf8View => column.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => column.as_binary_view().total_buffer_bytes_used(),
        _ => 0,
    };
    if bytes > COLUMN_BYTES_MAX {
        let name = field.name();
        return Err(Error::invalid(format!(
            "column '{name}' has more than 2 GiB in one batch; SET datafusion.execution.batch_size to less"
        )));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(column, field.data_type(), &options).map_err(DataFusionError::from)?)
}

fn nullable(field: &FieldRef) -> FieldRef {
    let data_type = plain_type(field.data_type());
    Arc::new(field.as_ref().clone().with_data_type(data_type).with_nullable(true))
}

/// The plain form of a type.
pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(item) | DataType::ListView(item) => DataType::List(nullable(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(nullable(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(nullable(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nullable).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_entries(entries), *sorted),
        other => other.clone(),
    }
}

/// Arrow lets neither a map's entries nor their keys be NULL.
fn plain_entries(entries: &FieldRef) -> FieldRef {
    let DataType::Struct(pair) = entries.data_type() else { return Arc::clone(entries) };
    let part = |(index, part): (usize, &FieldRef)| match index {
        0 => Arc::new(part.as_ref().clone().with_data_type(plain_type(part.data_type()))),
        _ => nullable(part),
    };
    let pair = DataType::Struct(pair.iter().enumerate().map(part).collect());
    Arc::new(entries.as_ref().clone().with_data_type(pair))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, DictionaryArray, ListArray, RecordBatch, StringViewArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{DataType, Field, Fields, Int32Type};

    use super::Plain;

    #[test]
    fn views_and_dictionaries_become_plain_at_any_depth() {
        let views: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a text that is longer than a view"), None]));
        let words: DictionaryArray<Int32Type> = vec!["x", "y"].into_iter().collect();
        let parts = Fields::from(vec![Field::new("text", DataType::Utf8View, true)]);
        let parts: ArrayRef = Arc::new(StructArray::new(parts, vec![Arc::clone(&views)], None));
        let item = Arc::new(Field::new("item", parts.data_type().clone(), false));
        let lists = ListArray::new(item, OffsetBuffer::from_lengths([2, 0]), Arc::clone(&parts), None);
        let columns: [(&str, ArrayRef); 3] = [("v", views), ("d", Arc::new(words)), ("l", Arc::new(lists))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let plain = Plain::of(&batch.schema());
        let sent = plain.batch(&batch).unwrap();
        assert_eq!(sent.schema().field(0), &Field::new("v", DataType::Utf8, true));
        assert_eq!(sent.schema().field(1), &Field::new("d", DataType::Utf8, true));
        assert_eq!(sent.column(1).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["x", "y"]);
        let texts = sent.column(2).as_list::<i32>().value(0);
        assert_eq!(texts.as_struct().column(0).as_string::<i32>().value(0), "a text that is longer than a view");
        assert!(matches!(sent.schema().field(2).data_type(), DataType::List(item) if item.is_nullable()));
    }
}
