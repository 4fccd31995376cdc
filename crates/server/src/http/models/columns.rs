//! Instances read straight into columns: one pass over their text, and one builder for a column.
//!
//! Here are the plain cases: numbers, text and truth values as JSON writes them, in columns of the usual types. What else
//! there is (dates, lists, numbers in quotes, a column that is named twice) makes the rows [`Read::Other`]: Arrow's
//! reader takes them, and it alone says what is wrong with a value.
//!
//! **Architecture invariant:** what is read here is what Arrow's reader would give, bit for bit.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanBuilder, PrimitiveBuilder, RecordBatch, StringBuilder, StringViewBuilder,
};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use serde::Deserializer;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What reading came to.
#[derive(Debug)]
pub(super) enum Read {
    /// The rows.
    Rows(RecordBatch),
    /// All rows have their columns, and some value is not a plain one.
    Other,
}

/// Columns under construction.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    schema: &'a SchemaRef,
    columns: Vec<Column>,
    /// The row that last had each column; rows count from 1.
    named: Vec<usize>,
    rows: usize,
    plain: bool,
}

impl<'a> Columns<'a> {
    pub(super) fn new(schema: &'a SchemaRef) -> Self {
        let columns: Vec<Column> = schema.fields().iter().map(|field| Column::new(field.data_type())).collect();
        Self { schema, columns, named: vec![0; schema.fields().len()], rows: 0, plain: true }
    }

    /// Takes an instance, the text of an object. Gives the first column that it lacks, if any.
    ///
    /// # Errors
    /// It is no object.
    pub(super) fn push(&mut self, instance: &[u8]) -> serde_json::Result<Option<usize>> {
        self.rows += 1;
        serde_json::Deserializer::from_slice(instance).deserialize_map(Row(self))?;
        Ok(self.named.iter().position(|row| *row != self.rows))
    }

    /// What all instances came to. Each must have had all columns.
    ///
    /// # Errors
    /// None that is known: the columns are of the schema's types and equally long.
    pub(super) fn finish(self) -> Result<Read, ArrowError> {
        if !self.plain {
            return Ok(Read::Other);
        }
        let arrays = self.columns.into_iter().map(Column::finish).collect::<Option<Vec<_>>>();
        let Some(arrays) = arrays.filter(|arrays| !arrays.is_empty()) else { return Ok(Read::Other) };
        Ok(Read::Rows(RecordBatch::try_new(Arc::clone(self.schema), arrays)?))
    }

    fn take(&mut self, place: usize, value: &str) {
        let again = std::mem::replace(&mut self.named[place], self.rows) == self.rows;
        self.plain = self.plain && !again && self.columns[place].push(value);
    }
}

/// A column of one of the usual types.
#[derive(Debug)]
enum Column {
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Boolean(BooleanBuilder),
    Utf8(StringBuilder),
    Utf8View(StringViewBuilder),
    Unusual,
}

impl Column {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int32 => Self::Int32(PrimitiveBuilder::new()),
            DataType::Int64 => Self::Int64(PrimitiveBuilder::new()),
            DataType::Float64 => Self::Float64(PrimitiveBuilder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Utf8 => Self::Utf8(StringBuilder::new()),
            DataType::Utf8View => Self::Utf8View(StringViewBuilder::new()),
            _ => Self::Unusual,
        }
    }

    /// Whether `value`, the text of any JSON value, is a plain one of this column.
    fn push(&mut self, value: &str) -> bool {
        match self {
            Self::Int32(column) => number(column, value, |_| true),
            Self::Int64(column) => number(column, value, |_| true),
            // What is too large for a number with a point is for Arrow's reader to judge.
            Self::Float64(column) => number(column, value, |number| number.is_finite()),
            Self::Boolean(column) => truth(value).map(|truth| column.append_option(truth)).is_some(),
            Self::Utf8(column) => text(value).map(|text| column.append_option(text)).is_some(),
            Self::Utf8View(column) => text(value).map(|text| column.append_option(text)).is_some(),
            Self::Unusual => false,
        }
    }

    fn finish(self) -> Option<ArrayRef> {
        Some(match self {
            Self::Int32(mut column) => Arc::new(column.finish()),
            Self::Int64(mut column) => Arc::new(column.finish()),
            Self::Float64(mut column) => Arc::new(column.finish()),
            Self::Boolean(mut column) => Arc::new(column.finish()),
            Self::Utf8(mut column) => Arc::new(column.finish()),
            Self::Utf8View(mut column) => Arc::new(column.finish()),
            Self::Unusual => return None,
        })
    }
}

/// `null` or a number that the type can hold.
fn number<T: ArrowPrimitiveType>(
    column: &mut PrimitiveBuilder<T>,
    value: &str,
    usual: impl FnOnce(T::Native) -> bool,
) -> bool
where
    T::Native: FromStr,
{
    match value.parse::<T::Native>() {
        Ok(number) if usual(number) => column.append_value(number),
        Err(_) if value == "null" => column.append_null(),
        _ => return false,
    }
    true
}

fn truth(value: &str) -> Option<Option<bool>> {
    match value {
        "true" => Some(Some(true)),
        "false" => Some(Some(false)),
        "null" => Some(None),
        _ => None,
    }
}

/// `null` or a text without escapes.
fn text(value: &str) -> Option<Option<&str>> {
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(text) => (!text.as_bytes().contains(&b'\\')).then_some(Some(text)),
        None => (value == "null").then_some(None),
    }
}

/// An object that is a row.
struct Row<'r, 'a>(&'r mut Columns<'a>);

impl<'de> Visitor<'de> for Row<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of columns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Clients that write rows in the model's order, and most do, find each column at once.
        let mut next = 0;
        while let Some(place) = map.next_key_seed(Name { schema: self.0.schema, next })? {
            let Some(place) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &RawValue = map.next_value()?;
            self.0.take(place, value.get());
            next = place + 1;
        }
        Ok(())
    }
}

/// The name of a column; its place, where it is one of the model's. `next` is tried first.
struct Name<'a> {
    schema: &'a SchemaRef,
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Option<usize>, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Option<usize>, E> {
        let fields = self.schema.fields();
        if fields.get(self.next).is_some_and(|field| field.name() == name) {
            return Ok(Some(self.next));
        }
        Ok(fields.iter().position(|field| field.name() == name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
    use arrow::json::ReaderBuilder;

    use super::{Columns, Read};

    fn schema() -> SchemaRef {
        let field = |(name, data_type)| Field::new(name, data_type, true);
        let usual = [
            ("i", DataType::Int32),
            ("l", DataType::Int64),
            ("d", DataType::Float64),
            ("b", DataType::Boolean),
            ("s", DataType::Utf8),
            ("v", DataType::Utf8View),
        ];
        Arc::new(Schema::new(usual.map(field).to_vec()))
    }

    fn read(schema: &SchemaRef, rows: &[&str]) -> Read {
        let mut columns = Columns::new(schema);
        for row in rows {
            assert_eq!(columns.push(row.as_bytes()).unwrap(), None, "{row}");
        }
        columns.finish().unwrap()
    }

    fn arrow(schema: &SchemaRef, rows: &[&str]) -> RecordBatch {
        let mut decoder = ReaderBuilder::new(Arc::clone(schema)).build_decoder().unwrap();
        for row in rows {
            decoder.decode(row.as_bytes()).unwrap();
        }
        decoder.flush().unwrap().unwrap()
    }

    #[test]
    fn plain_rows_are_those_of_arrows_reader() {
        let rows = [
            r#"{"i":1,"l":-9223372036854775808,"d":0.1,"b":true,"s":"","v":"a text longer than twelve bytes, ä"}"#,
            r#"{ "v" : "x" , "s":"y","b":false,"d":-0.0,"l":9223372036854775807,"i":-2147483648,"else":[1,{"i":2}]}"#,
            r#"{"i":null,"l":null,"d":null,"b":null,"s":null,"v":null}"#,
            r#"{"i":0,"l":0,"d":17,"b":true,"s":"null","v":"true"}"#,
            // Digits that tell correct rounding from any other.
            r#"{"i":0,"l":0,"d":9007199254740993.0,"b":true,"s":"","v":""}"#,
            r#"{"i":0,"l":0,"d":2.2250738585072011e-308,"b":true,"s":"","v":""}"#,
            r#"{"i":0,"l":0,"d":1.7976931348623157e308,"b":true,"s":"","v":""}"#,
        ];
        let schema = schema();
        let Read::Rows(ours) = read(&schema, &rows) else { panic!("the rows are plain") };
        assert_eq!(ours, arrow(&schema, &rows));
        let bits = |rows: &RecordBatch| rows.column(2).to_data().buffers()[0].clone();
        assert_eq!(bits(&ours), bits(&arrow(&schema, &rows)));
    }

    #[test]
    fn what_is_not_plain_is_left_to_arrows_reader() {
        let schema = schema();
        let others = [
            r#"{"i":1.0,"l":0,"d":0,"b":true,"s":"","v":""}"#,
            r#"{"i":2147483648,"l":0,"d":0,"b":true,"s":"","v":""}"#,
            r#"{"i":"1","l":0,"d":0,"b":true,"s":"","v":""}"#,
            r#"{"i":1,"l":0,"d":1e999,"b":true,"s":"","v":""}"#,
            r#"{"i":1,"l":0,"d":0,"b":1,"s":"","v":""}"#,
            r#"{"i":1,"l":0,"d":0,"b":true,"s":"\u00e4","v":""}"#,
            r#"{"i":1,"l":0,"d":0,"b":true,"s":"","v":[1]}"#,
            r#"{"i":1,"i":2,"l":0,"d":0,"b":true,"s":"","v":""}"#,
        ];
        for row in others {
            assert!(matches!(read(&schema, &[row]), Read::Other), "{row}");
        }
        let dates = Arc::new(Schema::new(vec![Field::new("t", DataType::Timestamp(TimeUnit::Second, None), true)]));
        assert!(matches!(read(&dates, &[r#"{"t":"2013-01-01T00:00:00"}"#]), Read::Other));
    }

    #[test]
    fn a_column_that_a_row_lacks_is_found() {
        let schema = schema();
        let mut columns = Columns::new(&schema);
        assert_eq!(columns.push(br#"{"i":1,"l":0,"d":0,"b":true,"s":"","v":""}"#).unwrap(), None);
        assert_eq!(columns.push(br#"{"i":1,"l":0,"b":true,"s":"","v":""}"#).unwrap(), Some(2));
        assert!(columns.push(b"[1]").is_err());
    }
}
