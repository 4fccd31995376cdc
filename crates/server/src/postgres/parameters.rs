//! Values from the wire, as text or in PostgreSQL's binary forms.

use arrow::datatypes::DataType;
use arrow_pg::datatypes::df::deserialize_parameters;
use arrow_pg::datatypes::into_pg_type;
use datafusion::common::{ParamValues, ScalarValue};
use lakemill_query::Description;
use pgwire::api::Type;
use pgwire::api::portal::Portal;
use pgwire::error::PgWireResult;

use super::answer::pg_error;
use super::connection::Prepared;
use crate::error::Error;

/// The types of a statement's parameters. Where nothing tells, text: the statement then reads it as it needs it.
pub(super) fn types(description: &Description) -> Vec<Type> {
    let known = |data_type: &DataType| into_pg_type(data_type).ok().filter(|known| *known != Type::UNKNOWN);
    description.parameters.iter().map(|data_type| data_type.as_ref().and_then(known).unwrap_or(Type::TEXT)).collect()
}

/// The values that a client has bound.
///
/// # Errors
/// A value that is not of its type.
pub(super) fn values(portal: &Portal<Prepared>, description: &Description) -> PgWireResult<Vec<ScalarValue>> {
    let types: Vec<Option<&DataType>> = description.parameters.iter().map(Option::as_ref).collect();
    let wanted: Vec<Option<&DataType>> = (0..portal.parameter_len())
        .map(|index| Some(types.get(index).copied().flatten().unwrap_or(&DataType::Utf8)))
        .collect();
    match deserialize_parameters(portal, &wanted)? {
        ParamValues::List(values) => Ok(values.into_iter().map(|value| value.value).collect()),
        ParamValues::Map(_) => Err(pg_error(&Error::internal("parameters have names"), None)),
    }
}
