//! The crate's error: what is wrong, what would be right, and what the caller must do.

use lakemill_base::ErrorKind;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of checking, queueing or running a request.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Detail>);

#[derive(Clone, Debug, thiserror::Error)]
enum Detail {
    #[error("{message}")]
    Parameter { parameter: &'static str, message: String },
    #[error("{message}")]
    Full { message: String, retry_after_s: u64 },
    #[error("{message}")]
    Other { kind: ErrorKind, message: String },
    #[error("generation was cancelled")]
    Cancelled,
}

impl Error {
    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Invalid, message)
    }

    /// The request is wrong at the named field of [`crate::Request`] or [`crate::Sampling`].
    pub fn parameter(parameter: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Detail::Parameter { parameter, message: message.into() }))
    }

    /// The queue is full; there is hope in `retry_after_s` seconds.
    pub fn full(message: impl Into<String>, retry_after_s: u64) -> Self {
        Self(Box::new(Detail::Full { message: message.into(), retry_after_s }))
    }

    /// The engine has stopped or is stopping.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Unavailable, message)
    }

    /// The model's files or values are malformed.
    pub fn data(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Data, message)
    }

    /// A bug in this crate or below.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Internal, message)
    }

    /// The caller asked to stop.
    pub fn cancelled() -> Self {
        Self(Box::new(Detail::Cancelled))
    }

    /// An error of another crate, with its kind.
    pub fn other(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Detail::Other { kind, message: message.into() }))
    }

    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Detail::Parameter { .. } | Detail::Cancelled => ErrorKind::Invalid,
            Detail::Full { .. } => ErrorKind::Exhausted,
            Detail::Other { kind, .. } => *kind,
        }
    }

    /// The field of the request that the error is about, for protocols that name it.
    pub fn parameter_name(&self) -> Option<&'static str> {
        match &*self.0 {
            Detail::Parameter { parameter, .. } => Some(parameter),
            _ => None,
        }
    }

    /// Where the queue was full: seconds after which to try again (HTTP's `Retry-After`), at least 1.
    pub fn retry_after_s(&self) -> Option<u64> {
        match &*self.0 {
            Detail::Full { retry_after_s, .. } => Some(*retry_after_s),
            _ => None,
        }
    }

    /// Whether the caller stopped it, which is no fault of anybody.
    pub fn is_cancelled(&self) -> bool {
        matches!(&*self.0, Detail::Cancelled)
    }
}

impl From<lakemill_model::Error> for Error {
    fn from(error: lakemill_model::Error) -> Self {
        Self::other(error.kind(), error.to_string())
    }
}
