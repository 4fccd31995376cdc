//! The columns of CSV and JSON files, from enough of their rows.

use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::reader::infer_json_schema_from_iterator;
use futures::StreamExt;
use serde_json::Value;

use super::csv::{Record, Records};
use super::discover::{Found, RawFile};
use super::json::Values;
use super::options::{Format, TextOptions};
use super::text::open_bytes;
use super::values::Guess;
use crate::error::{Error, Result};

/// Rows whose types are looked at together.
const CHUNK_ROWS: usize = 4096;

/// The columns of all files together.
pub(super) async fn columns(found: &Found, format: Format, options: &TextOptions) -> Result<SchemaRef> {
    let partitions = found.partition_columns();
    let schema = match format {
        Format::Csv => csv_columns(found, options).await?,
        _ => json_columns(found, options).await?,
    };
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.retain(|field| partitions.iter().all(|(name, _)| name != field.name()));
    if fields.is_empty() {
        return Err(Error::data(format!("'{}' holds no rows to tell columns from", found.location)));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Names and guesses of CSV columns, over all files.
#[derive(Debug, Default)]
struct CsvColumns {
    names: Vec<String>,
    guesses: Vec<Guess>,
    chunk: Vec<Vec<Option<String>>>,
    rows: usize,
}

impl CsvColumns {
    fn header(&mut self, record: &Record<'_>, has_header: bool, file: &str) -> Result<Vec<usize>> {
        let name = |index: usize| {
            let name = String::from_utf8_lossy(record.field(index)).trim().to_owned();
            if has_header && !name.is_empty() { name } else { format!("column_{}", index + 1) }
        };
        let names: Vec<String> = (0..record.len()).map(name).collect();
        if let Some(index) = (1..names.len()).find(|index| names[..*index].contains(&names[*index])) {
            return Err(Error::data(format!("'{file}': the header names column '{}' twice", names[index])));
        }
        if self.names.is_empty() {
            self.guesses = vec![Guess::new(); names.len()];
            self.chunk = vec![Vec::new(); names.len()];
            self.names = names;
            return Ok((0..self.names.len()).collect());
        }
        let places = names.iter().map(|name| {
            self.names.iter().position(|other| other == name).ok_or_else(|| {
                Error::data(format!(
                    "'{file}' has a column '{name}' that the first file has not; its columns are: {}",
                    self.names.join(", ")
                ))
            })
        });
        places.collect()
    }

    fn row(&mut self, record: &Record<'_>, places: &[usize], null_value: Option<&str>) -> Result<()> {
        // A ragged row is reported when it is read.
        if record.len() != places.len() {
            return Ok(());
        }
        for (index, place) in places.iter().enumerate() {
            let text = String::from_utf8_lossy(record.field(index)).into_owned();
            let is_null = text.is_empty() || null_value == Some(text.as_str());
            self.chunk[*place].push((!is_null).then_some(text));
        }
        self.rows += 1;
        if self.rows.is_multiple_of(CHUNK_ROWS) { self.look() } else { Ok(()) }
    }

    fn look(&mut self) -> Result<()> {
        for (guess, chunk) in self.guesses.iter_mut().zip(&mut self.chunk) {
            guess.see(&StringArray::from(std::mem::take(chunk)))?;
        }
        Ok(())
    }
}

async fn csv_columns(found: &Found, options: &TextOptions) -> Result<Schema> {
    let mut columns = CsvColumns::default();
    for file in &found.files {
        let shown = found.shown(file);
        let mut records = Records::new(options, file.meta.location.as_ref());
        let mut places: Option<Vec<usize>> = None;
        let null_value = options.null_value.as_deref();
        let mut take = |record: &Record<'_>| {
            match &places {
                Some(places) => columns.row(record, places, null_value)?,
                None => {
                    let found = columns.header(record, options.has_header, &shown)?;
                    if !options.has_header {
                        columns.row(record, &found, null_value)?;
                    }
                    places = Some(found);
                }
            }
            Ok(columns.rows < options.infer_rows)
        };
        read(found, file, options, |bytes| records.feed(bytes, &mut take)).await?;
        if columns.rows >= options.infer_rows {
            break;
        }
    }
    columns.look()?;
    let fields = columns.names.into_iter().zip(&columns.guesses);
    Ok(Schema::new(fields.map(|(name, guess)| Field::new(name, guess.data_type(), true)).collect::<Vec<_>>()))
}

async fn json_columns(found: &Found, options: &TextOptions) -> Result<Schema> {
    let mut schema = Schema::empty();
    let mut rows = 0;
    let mut order: Vec<String> = Vec::new();
    for file in &found.files {
        let shown = found.shown(file);
        let mut chunk: Vec<Value> = Vec::new();
        let mut schemas = vec![std::mem::replace(&mut schema, Schema::empty())];
        let mut values = Values::new(options.layout);
        read(found, file, options, |bytes| {
            values.feed(bytes, |text, line| {
                // A value that is no JSON is reported when it is read.
                if let Ok(Value::Object(object)) = serde_json::from_slice(text) {
                    for key in object.keys() {
                        if !order.contains(key) {
                            order.push(key.clone());
                        }
                    }
                    chunk.push(Value::Object(object));
                    rows += 1;
                }
                if chunk.len() >= CHUNK_ROWS {
                    schemas.push(infer_chunk(&mut chunk, &shown, line)?);
                }
                Ok(rows < options.infer_rows)
            })
        })
        .await?;
        schemas.push(infer_chunk(&mut chunk, &shown, 0)?);
        schema = merge(schemas);
        if rows >= options.infer_rows {
            break;
        }
    }
    let place = |field: &Field| order.iter().position(|name| name == field.name());
    let mut fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.sort_by_key(place);
    Ok(Schema::new(fields))
}

fn infer_chunk(chunk: &mut Vec<Value>, file: &str, line: u64) -> Result<Schema> {
    let values = std::mem::take(chunk);
    infer_json_schema_from_iterator(values.iter().map(Ok)).map_err(|error| {
        Error::data(format!("'{file}', before line {line}: values of one column do not fit together: {error}"))
    })
}

/// Whole numbers and decimals together are decimals; what does not fit together is text.
fn merge(schemas: Vec<Schema>) -> Schema {
    let mut fields: Vec<Field> = Vec::new();
    for field in schemas.iter().flat_map(|schema| schema.fields()) {
        match fields.iter_mut().find(|other| other.name() == field.name()) {
            None => fields.push(Field::new(field.name(), settle(field.data_type()), true)),
            Some(other) => {
                let both = wider(other.data_type(), &settle(field.data_type()));
                *other = other.clone().with_data_type(both);
            }
        }
    }
    Schema::new(fields)
}

/// A column of nothing but null is text.
fn settle(data_type: &DataType) -> DataType {
    data_type.clone()
}

fn wider(left: &DataType, right: &DataType) -> DataType {
    match (left, right) {
        _ if left == right => left.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        (DataType::Struct(left), DataType::Struct(right)) => {
            let both = merge(vec![Schema::new(left.clone()), Schema::new(right.clone())]);
            DataType::Struct(both.fields)
        }
        (DataType::List(left), DataType::List(right)) => {
            DataType::List(Arc::new(Field::new(left.name(), wider(left.data_type(), right.data_type()), true)))
        }
        _ => DataType::Utf8,
    }
}

/// Reads a file for as long as `feed` wants more.
async fn read(
    found: &Found,
    file: &RawFile,
    options: &TextOptions,
    mut feed: impl FnMut(&[u8]) -> Result<bool>,
) -> Result<()> {
    let shown = found.shown(file);
    let named = |error: Error| {
        if error.to_string().contains(&shown) { error } else { error.context(format_args!("'{shown}'")) }
    };
    let mut bytes = open_bytes(Arc::clone(&found.store), &file.meta, options).await.map_err(named)?;
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.map_err(|error| named(Error::from(error)))?;
        if !chunk.is_empty() && !feed(&chunk).map_err(named)? {
            return Ok(());
        }
    }
    feed(&[]).map_err(named)?;
    Ok(())
}
