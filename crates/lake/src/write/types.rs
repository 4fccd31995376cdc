//! Arrow types as Delta holds them.
//!
//! Delta has no unsigned integers, dictionaries, views, nanoseconds or times of day. Types that fit another without loss
//! are widened; the rest is an error that says what to cast to.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, cast};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;

use crate::error::{Error, Result};
use crate::types::sql_type;

/// The digits of the largest unsigned 64-bit integer.
const UINT64_DIGITS: u8 = 20;

/// The columns of a table for an input's columns. With `keep_nullability`, NOT NULL stays; a query's columns are all
/// nullable in the table that is made from them.
pub(super) fn table_schema(input: &Schema, keep_nullability: bool) -> Result<SchemaRef> {
    let mut seen = HashMap::new();
    let mut fields = Vec::with_capacity(input.fields().len());
    for field in input.fields() {
        if let Some(other) = seen.insert(field.name().to_lowercase(), field.name()) {
            return Err(Error::invalid(if other == field.name() {
                format!("column '{}' appears twice; give one of them another name with AS", field.name())
            } else {
                format!("columns '{other}' and '{}' differ only in case; rename one of them", field.name())
            }));
        }
        let data_type =
            delta_type(field.data_type()).map_err(|error| error.context(format_args!("column '{}'", field.name())))?;
        fields.push(Field::new(field.name(), data_type, field.is_nullable() || !keep_nullability));
    }
    if fields.is_empty() {
        return Err(Error::invalid("a table needs at least one column"));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Delta's columns for a table schema.
pub(super) fn kernel_schema(schema: &Schema) -> Result<StructType> {
    schema.try_into_kernel().map_err(|error| Error::invalid(format!("the columns cannot be stored: {error}")))
}

/// The type that Delta holds values of this type as.
pub(super) fn delta_type(data_type: &DataType) -> Result<DataType> {
    Ok(match data_type {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(UINT64_DIGITS, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        // A column of nothing but NULL says nothing of its type; text holds whatever comes later.
        DataType::Null => DataType::Utf8,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| Arc::from("UTC")))
        }
        DataType::Dictionary(_, values) => delta_type(values)?,
        DataType::RunEndEncoded(_, values) => delta_type(values.data_type())?,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(precision, scale) if *precision <= 38 => DataType::Decimal128(*precision, *scale),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => DataType::List(delta_field(item)?),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(delta_field).collect::<Result<_>>()?),
        DataType::Map(entries, sorted) => DataType::Map(delta_field(entries)?, *sorted),
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32
        | DataType::Decimal128(..) => data_type.clone(),
        other => {
            return Err(Error::invalid(format!(
                "tables hold no values of the type {}; cast it, such as to VARCHAR",
                sql_type(other)
            )));
        }
    })
}

fn delta_field(field: &FieldRef) -> Result<FieldRef> {
    Ok(Arc::new(Field::new(field.name(), delta_type(field.data_type())?, field.is_nullable())))
}

/// A plan whose columns are the wanted ones, by name and with their types.
pub(crate) fn cast_plan(plan: Arc<dyn ExecutionPlan>, wanted: &SchemaRef) -> Result<Arc<dyn ExecutionPlan>> {
    let input = plan.schema();
    let same = input.fields().len() == wanted.fields().len()
        && input
            .fields()
            .iter()
            .zip(wanted.fields())
            .all(|(have, want)| have.name() == want.name() && have.data_type() == want.data_type());
    if same {
        return Ok(plan);
    }
    let mut columns: Vec<(Arc<dyn PhysicalExpr>, String)> = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        let column = Arc::new(Column::new_with_schema(field.name(), &input)?);
        columns.push((cast(column, &input, field.data_type().clone())?, field.name().clone()));
    }
    Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
}
