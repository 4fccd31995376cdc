//! The crate's error: what is wrong, with which tensor and where in the file, and what would be right.

use std::path::Path;

use lakemill_base::ErrorKind;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of finding, reading or running a language model.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Detail>);

#[derive(Debug, thiserror::Error)]
enum Detail {
    #[error("tensor '{tensor}' at byte {offset}: {message}")]
    Tensor { tensor: String, offset: u64, message: String },
    #[error("{message}")]
    Other { kind: ErrorKind, message: String },
    #[error("{what} '{path}'")]
    Io { what: &'static str, path: String, source: std::io::Error },
}

impl Error {
    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Invalid, message)
    }

    /// What was named does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::NotFound, message)
    }

    /// The file is malformed, truncated or of a kind that is not known.
    pub fn data(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Data, message)
    }

    /// A limit was reached.
    pub fn exhausted(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Exhausted, message)
    }

    /// A part that is needed does not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Unavailable, message)
    }

    /// A bug in this crate.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::other(ErrorKind::Internal, message)
    }

    /// The tensor `name`, whose bytes begin at `offset` of its file, is malformed.
    pub fn tensor(name: impl Into<String>, offset: u64, message: impl Into<String>) -> Self {
        Self(Box::new(Detail::Tensor { tensor: name.into(), offset, message: message.into() }))
    }

    /// The system refused `what` (`cannot read`) of `path`.
    pub fn io(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self(Box::new(Detail::Io { what, path: path.display().to_string(), source }))
    }

    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Detail::Tensor { .. } => ErrorKind::Data,
            Detail::Other { kind, .. } => *kind,
            Detail::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
                std::io::ErrorKind::StorageFull => ErrorKind::Exhausted,
                _ => ErrorKind::Unavailable,
            },
        }
    }

    /// The tensor that the error is about.
    pub fn tensor_name(&self) -> Option<&str> {
        match &*self.0 {
            Detail::Tensor { tensor, .. } => Some(tensor),
            _ => None,
        }
    }

    fn other(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Detail::Other { kind, message: message.into() }))
    }
}
