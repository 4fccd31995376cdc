//! What statements answer, in PostgreSQL's forms: rows, command tags and errors.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_pg::datatypes::{arrow_schema_to_pg_fields, field_into_pg_type};
use arrow_pg::encoder::encode_value;
use futures::{StreamExt, stream};
use lakemill_query::Summary;
pub(super) use pgwire::api::portal::Format;
use pgwire::api::results::{DataRowEncoder, FieldInfo, QueryResponse, Response, Tag};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::data::DataRow;

use super::cancel::Run;
use super::numeric;
use super::script::Piece;
use crate::engine::Rows;
use crate::error::{Error, Result};

/// The rows of a query; `run` lasts as long as they do.
/// `described`: the columns that the client was told, which the rows are made to have.
pub(super) fn rows(rows: Rows, format: &Format, described: Option<&SchemaRef>, run: Run) -> PgWireResult<Response> {
    let columns = described.filter(|columns| columns.fields().len() == rows.schema().fields().len());
    let columns = columns.unwrap_or_else(|| rows.schema());
    let fields = Arc::new(fields(columns, format)?);
    let schema = presentable(columns);
    let encoded = Arc::clone(&fields);
    let data = rows.map(move |batch| {
        let _running = &run;
        let batch = batch.and_then(|batch| present(&batch, &schema)).map_err(|error| pg_error(&error, None));
        let rows: Box<dyn Iterator<Item = PgWireResult<DataRow>> + Send> = match batch {
            Ok(batch) => encode(Arc::clone(&encoded), batch),
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        stream::iter(rows)
    });
    Ok(Response::Query(QueryResponse::new(fields, data.flatten())))
}

/// The columns as PostgreSQL describes them.
pub(super) fn fields(columns: &SchemaRef, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
    arrow_schema_to_pg_fields(&presentable(columns), format, None)
}

/// The columns, those as text that PostgreSQL has no type for: maps, unsigned and very large numbers.
fn presentable(columns: &SchemaRef) -> SchemaRef {
    let field = |field: &FieldRef| match has_type(field) {
        true => Arc::clone(field),
        false => Arc::new(Field::new(field.name(), DataType::Utf8, field.is_nullable())),
    };
    Arc::new(Schema::new(columns.fields().iter().map(field).collect::<Vec<_>>()))
}

fn has_type(field: &FieldRef) -> bool {
    field_into_pg_type(field).is_ok() && has_type_of(field.data_type())
}

/// Lists of lists and of structs have no type that clients know the elements of.
fn has_type_of(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null | DataType::Decimal256(..) | DataType::Map(..) | DataType::Struct(_) => false,
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _)
        | DataType::ListView(element)
        | DataType::LargeListView(element) => !element.data_type().is_nested() && has_type_of(element.data_type()),
        other => arrow_pg::datatypes::into_pg_type(other).is_ok(),
    }
}

fn present(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let column = |(column, field): (&ArrayRef, &FieldRef)| -> Result<ArrayRef> {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        let arrow = |error| Error::from(datafusion::error::DataFusionError::from(error));
        if has_type_of(column.data_type()) {
            return cast(column, field.data_type()).map_err(arrow);
        }
        let options = FormatOptions::default();
        let formatter = ArrayFormatter::try_new(column, &options).map_err(arrow)?;
        let text = |row| (!column.is_null(row)).then(|| formatter.value(row).to_string());
        Ok(Arc::new((0..column.len()).map(text).collect::<StringArray>()))
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(column).collect::<Result<Vec<_>>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| Error::from(datafusion::error::DataFusionError::from(error)))
}

/// The rows of a batch, as the fields want them.
fn encode(fields: Arc<Vec<FieldInfo>>, batch: RecordBatch) -> Box<dyn Iterator<Item = PgWireResult<DataRow>> + Send> {
    let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
    let schema = batch.schema();
    Box::new((0..batch.num_rows()).map(move |row| {
        for ((column, field), info) in batch.columns().iter().zip(schema.fields()).zip(fields.iter()) {
            match column.as_primitive_opt::<Decimal128Type>() {
                Some(numbers) => numeric::encode(&mut encoder, numbers, row, info)?,
                None => encode_value(&mut encoder, column, row, field, info)?,
            }
        }
        Ok(encoder.take_row())
    }))
}

/// One text in one row.
pub(super) fn value(name: &str, value: &str) -> PgWireResult<Response> {
    let schema = text_schema(name);
    let column: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let wrong = |error: arrow::error::ArrowError| pg_error(&Error::internal(error.to_string()), None);
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).map_err(wrong)?;
    let fields = Arc::new(fields(&schema, &Format::UnifiedText)?);
    let rows = encode(Arc::clone(&fields), batch);
    Ok(Response::Query(QueryResponse::new(fields, stream::iter(rows))))
}

/// One column of text.
pub(super) fn text_schema(name: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, DataType::Utf8, false)]))
}

/// The tag of a statement without rows, as `INSERT 0 3` and `CREATE TABLE`.
pub(super) fn tag(text: &str, summary: &Summary) -> Tag {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .take(5)
        .map(str::to_ascii_uppercase)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let rows = summary.rows.map_or(0, |rows| usize::try_from(rows).unwrap_or(usize::MAX));
    match words.as_slice() {
        ["INSERT", ..] => Tag::new("INSERT").with_oid(0).with_rows(rows),
        [change @ ("UPDATE" | "DELETE" | "MERGE" | "COPY"), ..] => Tag::new(change).with_rows(rows),
        ["CREATE" | "ALTER" | "DROP", "OR", "REPLACE", kind, ..] => Tag::new(&format!("{} {kind}", words[0])),
        ["CREATE", "EXTERNAL", ..] => Tag::new("CREATE FOREIGN TABLE"),
        ["CREATE" | "ALTER" | "DROP" | "TRUNCATE" | "RESTORE", kind, ..] => Tag::new(&format!("{} {kind}", words[0])),
        [first, ..] => Tag::new(first),
        [] => Tag::new("DONE"),
    }
}

/// An error as PostgreSQL's clients know it.
pub(super) fn pg_error(error: &Error, piece: Option<&Piece>) -> PgWireError {
    placed(error, error.position().and_then(|position| piece?.place(position)))
}

/// An error at a place of the text that was sent, in characters from 1.
pub(super) fn placed(error: &Error, place: Option<usize>) -> PgWireError {
    let mut info = ErrorInfo::new("ERROR".to_owned(), error.sqlstate().to_owned(), error.message().to_owned());
    info.position = place.map(|place| place.to_string());
    PgWireError::UserError(Box::new(info))
}

#[cfg(test)]
mod tests {
    use lakemill_query::Summary;
    use pgwire::messages::response::CommandComplete;

    use super::tag;

    #[test]
    fn tags_are_those_that_clients_read_counts_from() {
        let done = Summary::new("done").with_rows(3);
        let of = |text| CommandComplete::from(tag(text, &done)).tag;
        assert_eq!(of("insert into t values (1)"), "INSERT 0 3");
        assert_eq!(of("UPDATE t SET a = 1"), "UPDATE 3");
        assert_eq!(of("create or replace table t as select 1"), "CREATE TABLE");
        assert_eq!(of("CREATE MODEL m OPTIONS (x = 1) AS SELECT 1"), "CREATE MODEL");
        assert_eq!(of("OPTIMIZE t"), "OPTIMIZE");
        assert_eq!(of("drop table t"), "DROP TABLE");
    }
}
