//! Values from the wire: what a client says that it sends, and what the statement makes of it.
//!
//! A client that names a type (an integer's OID beside each integer) is believed, and the statement is planned with
//! it. What has no type, or is a text, is read as the statement needs it: a text that stands beside a date is a date.

mod binary;
mod text;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use arrow_pg::datatypes::into_pg_type;
use datafusion::common::ScalarValue;
use lakemill_base::ErrorKind;
use lakemill_query::Description;
use pgwire::api::Type;
use pgwire::api::portal::Portal;
use pgwire::error::PgWireResult;

use super::answer::pg_error;
use super::extended::Prepared;
use crate::error::{Error, Result};

/// The types of a statement's parameters. Where nothing tells, text: the statement then reads it as it needs it.
pub(super) fn types(description: &Description) -> Vec<Type> {
    description.parameters.iter().map(|data_type| data_type.as_ref().map_or(Type::TEXT, wire_type)).collect()
}

fn wire_type(data_type: &DataType) -> Type {
    into_pg_type(data_type).ok().filter(|known| *known != Type::UNKNOWN).unwrap_or(Type::TEXT)
}

/// The types that a client gives, as the statement is planned with them; `None`: as the statement needs it.
pub(super) fn planned(given: &[Option<Type>]) -> Vec<Option<DataType>> {
    given.iter().map(|given| given.as_ref().and_then(arrow_type)).collect()
}

/// The type of Arrow's that values of a wire type are read as; texts and what is not known here have none.
fn arrow_type(wire: &Type) -> Option<DataType> {
    Some(match *wire {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 | Type::OID => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::NUMERIC => DataType::Decimal128(38, 10),
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        Type::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => match element(wire) {
            Some(element) => DataType::new_list(arrow_type(&element).unwrap_or(DataType::Utf8), true),
            None => return None,
        },
    })
}

/// The type of an array's elements.
fn element(wire: &Type) -> Option<Type> {
    Some(match *wire {
        Type::BOOL_ARRAY => Type::BOOL,
        Type::INT2_ARRAY => Type::INT2,
        Type::INT4_ARRAY => Type::INT4,
        Type::INT8_ARRAY => Type::INT8,
        Type::FLOAT4_ARRAY => Type::FLOAT4,
        Type::FLOAT8_ARRAY => Type::FLOAT8,
        Type::NUMERIC_ARRAY => Type::NUMERIC,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY | Type::NAME_ARRAY => Type::TEXT,
        Type::BYTEA_ARRAY => Type::BYTEA,
        Type::DATE_ARRAY => Type::DATE,
        Type::TIME_ARRAY => Type::TIME,
        Type::TIMESTAMP_ARRAY => Type::TIMESTAMP,
        Type::TIMESTAMPTZ_ARRAY => Type::TIMESTAMPTZ,
        Type::INTERVAL_ARRAY => Type::INTERVAL,
        _ => return None,
    })
}

/// The values that a client has bound.
///
/// # Errors
/// A value that is not of its type.
pub(super) fn values(portal: &Portal<Prepared>, description: &Description) -> PgWireResult<Vec<ScalarValue>> {
    let value = |index: usize| {
        let wanted = description.parameters.get(index).cloned().flatten();
        let given = portal.statement.parameter_types.get(index).cloned().flatten();
        value(portal, index, given, wanted).map_err(|error| pg_error(&error, None))
    };
    (0..portal.parameter_len()).map(value).collect()
}

fn value(
    portal: &Portal<Prepared>,
    index: usize,
    given: Option<Type>,
    wanted: Option<DataType>,
) -> Result<ScalarValue> {
    let given = given.filter(|given| *given != Type::UNKNOWN);
    let natural = given.as_ref().and_then(arrow_type);
    let wire = given.unwrap_or_else(|| wanted.as_ref().map_or(Type::TEXT, wire_type));
    // A number keeps the digits that it comes with: the 38 and 10 of its planned type are a guess.
    let keeps = matches!(natural, Some(DataType::Decimal128(..)));
    let wanted = wanted.or(natural).unwrap_or(DataType::Utf8);
    let Some(bytes) = portal.parameters.get(index).and_then(Option::as_ref) else {
        return ScalarValue::try_from(&wanted).map_err(Error::from);
    };
    let number = index + 1;
    let wrong =
        |what: String| Error::new(ErrorKind::Data, format!("parameter ${number} is no {}: {what}", wire.name()));
    let value = match portal.parameter_format.is_binary(index) {
        true => binary::value(&wire, bytes).map_err(wrong)?,
        false => text::value(&wanted, std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?)
            .map_err(wrong)?,
    };
    match value.data_type() == wanted || keeps && matches!(value, ScalarValue::Decimal128(..)) {
        true => Ok(value),
        false => value.cast_to(&wanted).map_err(|error| wrong(Error::from(error).message().to_owned())),
    }
}
