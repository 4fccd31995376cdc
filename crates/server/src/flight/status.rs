//! Errors as gRPC's statuses.

use arrow_flight::error::FlightError;
use tonic::Status;

use crate::error::Error;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        if error.grpc() == tonic::Code::Internal {
            tracing::warn!(code = error.code(), %error, "a call has failed");
        }
        Self::new(error.grpc(), error.to_string())
    }
}

/// What was wrong with rows that a client has sent.
pub(super) fn unreadable(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) if status.code() == tonic::Code::OutOfRange => Error::too_large(
            "a batch of rows is larger than the server takes (four times --max-message); send smaller batches",
        )
        .into(),
        FlightError::Tonic(status) => *status,
        other => Error::invalid(format!("the rows that were sent cannot be read: {other}")).into(),
    }
}

/// What was wrong with a request.
pub(super) fn malformed(error: impl std::fmt::Display) -> Error {
    Error::invalid(format!("the request is not one of Flight SQL: {error}"))
}
