//! The crate's error, and how errors of the libraries below map to kinds.
//!
//! The mapping looks at the whole source chain, because the libraries wrap each other: a full disk arrives as an
//! `io::Error` in an `object_store::Error` in a `ParquetError` in a `DeltaTableError`.

use std::error::Error as StdError;
use std::io;

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;
use lakemill_base::ErrorKind;

use crate::types::with_sql_types;

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync>;

/// What went wrong in the lake. [`Error::kind`] says what the caller must do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Source>,
}

impl Error {
    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts what was being done before the text: `cannot read table x: ..`.
    pub(crate) fn context(mut self, doing: impl std::fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Reads kind and text off any error of the libraries below.
    pub(crate) fn from_source(source: impl Into<Source>) -> Self {
        let source = source.into();
        let (kind, message) = classify(source.as_ref());
        Self { kind, message, source: Some(source) }
    }
}

/// Kind and text of an error, judged by the most telling link of its source chain.
fn classify(error: &(dyn StdError + 'static)) -> (ErrorKind, String) {
    let mut kind = None;
    let mut link = Some(error);
    while let Some(current) = link {
        if let Some(own) = current.downcast_ref::<Error>() {
            return (own.kind, own.message.clone());
        }
        if let Some(io) = current.downcast_ref::<io::Error>()
            && let Some((kind, message)) = classify_io(io)
        {
            return (kind, message);
        }
        kind = kind.or_else(|| classify_one(current));
        link = current.source().or_else(|| hidden_source(current));
    }
    (kind.unwrap_or(ErrorKind::Internal), tidy(&error.to_string()))
}

/// Wrappers that keep their cause out of `source()`.
fn hidden_source<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    if let Some(DataFusionError::External(inner)) = error.downcast_ref::<DataFusionError>() {
        return Some(inner.as_ref());
    }
    let io = error.downcast_ref::<io::Error>()?;
    io.get_ref().map(|inner| inner as &(dyn StdError + 'static))
}

/// Faults of the disk that say what the person must do.
fn classify_io(error: &io::Error) -> Option<(ErrorKind, String)> {
    let (kind, text) = match error.kind() {
        io::ErrorKind::StorageFull => (ErrorKind::Exhausted, "the disk is full; free some space and try again"),
        io::ErrorKind::QuotaExceeded => (ErrorKind::Exhausted, "the disk quota is used up"),
        io::ErrorKind::FileTooLarge => (ErrorKind::Exhausted, "a file would be larger than the file system allows"),
        io::ErrorKind::ReadOnlyFilesystem => (ErrorKind::Unavailable, "the file system is read-only"),
        io::ErrorKind::PermissionDenied => (ErrorKind::Unavailable, "permission denied"),
        _ => return None,
    };
    Some((kind, format!("{text} ({error})")))
}

fn classify_one(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    if let Some(error) = error.downcast_ref::<DeltaTableError>() {
        return classify_delta(error);
    }
    if let Some(error) = error.downcast_ref::<DataFusionError>() {
        return classify_datafusion(error);
    }
    if let Some(error) = error.downcast_ref::<object_store::Error>() {
        return Some(match error {
            object_store::Error::NotFound { .. } => ErrorKind::NotFound,
            object_store::Error::InvalidPath { .. } => ErrorKind::Invalid,
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => ErrorKind::Conflict,
            _ => ErrorKind::Unavailable,
        });
    }
    if let Some(error) = error.downcast_ref::<arrow::error::ArrowError>() {
        return Some(match error {
            arrow::error::ArrowError::MemoryError(_) => ErrorKind::Exhausted,
            arrow::error::ArrowError::IoError(..) => ErrorKind::Unavailable,
            _ => ErrorKind::Data,
        });
    }
    if error.is::<parquet::errors::ParquetError>() || error.is::<serde_json::Error>() {
        return Some(ErrorKind::Data);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Some(match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Data,
            _ => ErrorKind::Unavailable,
        });
    }
    error.downcast_ref::<sqlx::Error>().map(classify_sqlx)
}

fn classify_delta(error: &DeltaTableError) -> Option<ErrorKind> {
    Some(match error {
        DeltaTableError::Transaction { source } => match source {
            TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_) => ErrorKind::Conflict,
            TransactionError::DeltaTableAppendOnly
            | TransactionError::UnsupportedTableFeatures(_)
            | TransactionError::TableFeaturesRequired(_) => ErrorKind::Invalid,
            _ => return None,
        },
        DeltaTableError::VersionAlreadyExists(_) | DeltaTableError::VersionMismatch(..) => ErrorKind::Conflict,
        DeltaTableError::NotATable(_) | DeltaTableError::InvalidVersion(_) => ErrorKind::NotFound,
        DeltaTableError::InvalidJsonLog { .. } | DeltaTableError::InvalidStatsJson { .. } => ErrorKind::Data,
        DeltaTableError::InvalidData { .. }
        | DeltaTableError::SchemaMismatch { .. }
        | DeltaTableError::UnsupportedColumnMapping { .. } => ErrorKind::Invalid,
        DeltaTableError::Generic(_) => ErrorKind::Invalid,
        _ => return None,
    })
}

fn classify_datafusion(error: &DataFusionError) -> Option<ErrorKind> {
    Some(match error {
        DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::SQL(..)
        | DataFusionError::Configuration(_)
        | DataFusionError::NotImplemented(_) => ErrorKind::Invalid,
        DataFusionError::ResourcesExhausted(_) => ErrorKind::Exhausted,
        DataFusionError::Execution(_) => ErrorKind::Data,
        DataFusionError::Internal(_) => ErrorKind::Internal,
        _ => return None,
    })
}

fn classify_sqlx(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::RowNotFound => ErrorKind::NotFound,
        sqlx::Error::Configuration(_) => ErrorKind::Invalid,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Data,
        sqlx::Error::Database(inner) if inner.message().contains("disk is full") => ErrorKind::Exhausted,
        sqlx::Error::Database(_) | sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Internal,
    }
}

/// Takes the libraries' headings off a text, and their final full stop.
fn tidy(text: &str) -> String {
    const HEADINGS: [&str; 15] = [
        "Generic DeltaTable error: ",
        "Generic error: ",
        "Kernel error: ",
        "External error: ",
        "Execution error: ",
        "Error during planning: ",
        "Arrow error: ",
        "Cast error: ",
        "Parquet error: ",
        "Object Store error: ",
        "External: ",
        "Transaction failed: ",
        "Failed to commit transaction: ",
        "Resources exhausted: ",
        "Data does not match the schema or partitions of the table: ",
    ];
    let mut text = text.trim();
    while let Some(rest) = HEADINGS.iter().find_map(|heading| text.strip_prefix(heading)) {
        text = rest.trim_start();
    }
    let mut text = with_sql_types(text.trim_end_matches('.'));
    let starts_a_sentence = text.chars().nth(1).is_some_and(|second| second.is_lowercase() || second == ' ');
    if starts_a_sentence && let Some(first) = text.get_mut(0..1) {
        first.make_ascii_lowercase();
    }
    text
}

macro_rules! from_library {
    ($($library:ty),+ $(,)?) => {$(
        impl From<$library> for Error {
            fn from(source: $library) -> Self {
                Self::from_source(source)
            }
        }
    )+};
}

from_library!(
    DeltaTableError,
    DataFusionError,
    object_store::Error,
    object_store::path::Error,
    arrow::error::ArrowError,
    parquet::errors::ParquetError,
    serde_json::Error,
    sqlx::Error,
    io::Error,
);

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}
