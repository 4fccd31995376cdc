//! The crate's error: what is wrong, what would be right, and what the caller must do.

use arrow::error::ArrowError;
use lakemill_base::ErrorKind;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of fitting, applying, measuring, saving or loading a model or a transform.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Detail>);

#[derive(Debug, thiserror::Error)]
enum Detail {
    #[error("{message}")]
    Option { option: String, message: String },
    #[error("{message}")]
    Column { column: String, message: String },
    #[error("{message}")]
    Other { kind: ErrorKind, message: String },
    #[error("training was cancelled")]
    Cancelled,
    #[error("arrow could not compute this: {0}")]
    Arrow(#[source] ArrowError),
}

impl Error {
    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Invalid, message)
    }

    /// The data are malformed or cannot be learned from.
    pub fn data(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Data, message)
    }

    /// A limit was reached.
    pub fn exhausted(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Exhausted, message)
    }

    /// A bug in this crate.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Internal, message)
    }

    /// The request is wrong at the option `name`; the caller adds its place in the text.
    pub fn option(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Detail::Option { option: name.into(), message: message.into() }))
    }

    /// The data of the column `name` cannot be used.
    pub fn column(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Detail::Column { column: name.into(), message: message.into() }))
    }

    /// An observer asked to stop.
    pub fn cancelled() -> Self {
        Self(Box::new(Detail::Cancelled))
    }

    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Detail::Option { .. } | Detail::Cancelled => ErrorKind::Invalid,
            Detail::Column { .. } => ErrorKind::Data,
            Detail::Other { kind, .. } => *kind,
            Detail::Arrow(ArrowError::MemoryError(_)) => ErrorKind::Exhausted,
            Detail::Arrow(_) => ErrorKind::Data,
        }
    }

    /// The option that the error is about.
    pub fn option_name(&self) -> Option<&str> {
        match &*self.0 {
            Detail::Option { option, .. } => Some(option),
            _ => None,
        }
    }

    /// The column that the error is about.
    pub fn column_name(&self) -> Option<&str> {
        match &*self.0 {
            Detail::Column { column, .. } => Some(column),
            _ => None,
        }
    }

    /// Whether an observer stopped the training, which is no fault of anybody.
    pub fn is_cancelled(&self) -> bool {
        matches!(&*self.0, Detail::Cancelled)
    }

    fn other(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Detail::Other { kind, message: message.into() }))
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self(Box::new(Detail::Arrow(error)))
    }
}
