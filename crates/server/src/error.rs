//! Errors of the server, and what each protocol calls them.

use std::fmt;

use axum::http::StatusCode;
use lakemill_base::ErrorKind;
use lakemill_query::Position;

use crate::cancel::Reason;

/// The result of anything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with its kind, its place in the statement where that is known, and the protocols' codes for it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    code: Code,
    message: String,
    position: Option<Position>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What the protocols tell apart further than kinds do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// What the kind says.
    Kind,
    /// Too many statements or connections.
    Overloaded,
    /// Larger than the server takes.
    TooLarge,
    /// The client stopped the statement.
    Cancelled,
    /// The statement took too long.
    TimedOut,
    /// The server stops.
    ShuttingDown,
    /// What is asked for is right, and not supported.
    Unsupported,
    /// Nobody has said who asks, or whoever has is not that.
    Unauthenticated,
}

impl Error {
    /// An error of `kind`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::coded(kind, Code::Kind, message)
    }

    /// A wrong request.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// A name that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// A bug in Lakemill.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Something that is right in itself and that this server does not do.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::coded(ErrorKind::Invalid, Code::Unsupported, message)
    }

    /// A password or token that is missing or wrong.
    pub(crate) fn unauthenticated(message: impl Into<String>) -> Self {
        Self::coded(ErrorKind::Denied, Code::Unauthenticated, message)
    }

    pub(crate) fn overloaded(message: impl Into<String>) -> Self {
        Self::coded(ErrorKind::Exhausted, Code::Overloaded, message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::coded(ErrorKind::Invalid, Code::TooLarge, message)
    }

    pub(crate) fn shutting_down() -> Self {
        Self::coded(ErrorKind::Unavailable, Code::ShuttingDown, "the server is shutting down")
    }

    /// The error of a statement that was stopped.
    pub(crate) fn stopped(reason: Reason, source: Self) -> Self {
        let (code, message) = match reason {
            Reason::Client => (Code::Cancelled, "the statement was cancelled; nothing was committed".to_owned()),
            Reason::Time => (
                Code::TimedOut,
                "the statement took longer than the server allows (--statement-timeout); nothing was committed"
                    .to_owned(),
            ),
            Reason::Shutdown => (Code::ShuttingDown, "the server is shutting down; nothing was committed".to_owned()),
        };
        let mut error = Self::coded(ErrorKind::Unavailable, code, message);
        error.source = Some(Box::new(source));
        error
    }

    fn coded(kind: ErrorKind, code: Code, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), position: None, source: None }
    }

    /// With the error that caused this one, for logs.
    #[must_use]
    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With the number of the row of values that it is about; those before it are done.
    #[must_use]
    pub(crate) fn in_row(mut self, number: u64) -> Self {
        self.message = format!("row {number} of the values: {}; the rows before it are committed", self.message);
        self
    }

    /// Without the place, for statements that the client has not written.
    #[must_use]
    pub(crate) fn without_position(mut self) -> Self {
        self.position = None;
        self
    }

    /// What the caller must do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was wrong and what would be right, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The place in the text that was sent, where it is known.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// A word for the error that programs can tell it by.
    pub(crate) fn code(&self) -> &'static str {
        match self.code {
            Code::Overloaded => "overloaded",
            Code::TooLarge => "too_large",
            Code::Cancelled => "cancelled",
            Code::TimedOut => "timed_out",
            Code::ShuttingDown => "shutting_down",
            Code::Unsupported => "unsupported",
            Code::Unauthenticated => "unauthenticated",
            Code::Kind => match self.kind {
                ErrorKind::NotFound => "not_found",
                ErrorKind::Denied => "permission_denied",
                kind => kind.as_str(),
            },
        }
    }

    /// The status of an HTTP answer.
    pub(crate) fn status(&self) -> StatusCode {
        match (self.code, self.kind) {
            (Code::Overloaded, _) => StatusCode::TOO_MANY_REQUESTS,
            (Code::TooLarge, _) => StatusCode::PAYLOAD_TOO_LARGE,
            (Code::Cancelled | Code::ShuttingDown, _) => StatusCode::SERVICE_UNAVAILABLE,
            (Code::TimedOut, _) => StatusCode::GATEWAY_TIMEOUT,
            (Code::Unsupported, _) => StatusCode::BAD_REQUEST,
            (Code::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
            (Code::Kind, ErrorKind::Denied) => StatusCode::FORBIDDEN,
            (Code::Kind, ErrorKind::Invalid) => StatusCode::BAD_REQUEST,
            (Code::Kind, ErrorKind::Data) => StatusCode::UNPROCESSABLE_ENTITY,
            (Code::Kind, ErrorKind::NotFound) => StatusCode::NOT_FOUND,
            (Code::Kind, ErrorKind::Conflict) => StatusCode::CONFLICT,
            (Code::Kind, ErrorKind::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            (Code::Kind, ErrorKind::Exhausted) => StatusCode::INSUFFICIENT_STORAGE,
            (Code::Kind, ErrorKind::Internal) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// gRPC's code: <https://grpc.io/docs/guides/status-codes>.
    pub(crate) fn grpc(&self) -> tonic::Code {
        match (self.code, self.kind) {
            (Code::Overloaded | Code::TooLarge, _) => tonic::Code::ResourceExhausted,
            (Code::Cancelled, _) => tonic::Code::Cancelled,
            (Code::TimedOut, _) => tonic::Code::DeadlineExceeded,
            (Code::ShuttingDown, _) => tonic::Code::Unavailable,
            (Code::Unsupported, _) => tonic::Code::Unimplemented,
            (Code::Unauthenticated, _) => tonic::Code::Unauthenticated,
            (Code::Kind, ErrorKind::Denied) => tonic::Code::PermissionDenied,
            (Code::Kind, ErrorKind::Invalid | ErrorKind::Data) => tonic::Code::InvalidArgument,
            (Code::Kind, ErrorKind::NotFound) => tonic::Code::NotFound,
            (Code::Kind, ErrorKind::Conflict) => tonic::Code::Aborted,
            (Code::Kind, ErrorKind::Unavailable) => tonic::Code::Unavailable,
            (Code::Kind, ErrorKind::Exhausted) => tonic::Code::ResourceExhausted,
            (Code::Kind, ErrorKind::Internal) => tonic::Code::Internal,
        }
    }

    /// PostgreSQL's code: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    pub(crate) fn sqlstate(&self) -> &'static str {
        match (self.code, self.kind) {
            (Code::Overloaded, _) => "53300",
            (Code::TooLarge, _) => "54000",
            (Code::Cancelled | Code::TimedOut, _) => "57014",
            (Code::ShuttingDown, _) => "57P01",
            (Code::Unsupported, _) => "0A000",
            (Code::Unauthenticated, _) => "28P01",
            (Code::Kind, ErrorKind::Denied) => "42501",
            (Code::Kind, ErrorKind::Invalid) if self.message.contains("syntax") => "42601",
            (Code::Kind, ErrorKind::Invalid) => "42000",
            (Code::Kind, ErrorKind::NotFound) if self.message.contains("column") => "42703",
            (Code::Kind, ErrorKind::NotFound) => "42P01",
            (Code::Kind, ErrorKind::Conflict) => "40001",
            (Code::Kind, ErrorKind::Data) => "22000",
            (Code::Kind, ErrorKind::Exhausted) => "53200",
            (Code::Kind, ErrorKind::Unavailable) => "58000",
            (Code::Kind, ErrorKind::Internal) => "XX000",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.position {
            Some(Position { line, column }) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<lakemill_query::Error> for Error {
    fn from(error: lakemill_query::Error) -> Self {
        let mut ours = Self::new(error.kind(), error.message());
        ours.position = error.position();
        ours.with_source(error)
    }
}

impl From<lakemill_lake::Error> for Error {
    fn from(error: lakemill_lake::Error) -> Self {
        lakemill_query::Error::from(error).into()
    }
}

impl From<datafusion::error::DataFusionError> for Error {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        lakemill_query::Error::from(error).into()
    }
}
