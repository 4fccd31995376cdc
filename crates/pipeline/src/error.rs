//! The crate's error: what was wrong, and in which file and line.

use std::fmt;
use std::path::{Path, PathBuf};

use lakemill_base::ErrorKind;

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in a pipeline. [`Error::kind`] says what the caller must do about it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    place: Option<Place>,
    snippet: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A place in one of the pipeline's files, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl Error {
    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where in the pipeline's files, if it is in one.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The line of SQL with a caret under the place.
    pub fn snippet(&self) -> Option<&str> {
        self.snippet.as_deref()
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: None, snippet: None, source: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// An operation on a file that failed.
    pub(crate) fn io(doing: &str, path: &Path, error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, format!("cannot {doing} '{}': {error}", path.display())).with_source(error)
    }

    /// A statement's error, put into its file. A statement that does not know better failed at `start`.
    pub(crate) fn in_file(error: lakemill_query::Error, file: &Path, text: &str, start: (u64, u64)) -> Self {
        let (line, column) = error.position().map_or(start, |position| (position.line, position.column));
        let snippet = error.snippet().map(str::to_owned).or_else(|| caret(text, line, column));
        Self {
            kind: error.kind(),
            message: error.message().to_owned(),
            place: Some(Place { file: file.to_owned(), line, column }),
            snippet,
            source: Some(Box::new(error)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => {
                write!(f, "{}:{}:{}: {}", place.file.display(), place.line, place.column, self.message)
            }
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<lakemill_lake::Error> for Error {
    fn from(error: lakemill_lake::Error) -> Self {
        Self::new(error.kind(), error.to_string()).with_source(error)
    }
}

impl From<lakemill_query::Error> for Error {
    fn from(error: lakemill_query::Error) -> Self {
        Self::new(error.kind(), error.message().to_owned()).with_source(error)
    }
}

/// The line of `text` and, below it, a caret under the column.
fn caret(text: &str, line: u64, column: u64) -> Option<String> {
    let line = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let before = usize::try_from(column).ok()?.saturating_sub(1);
    let indent: String = line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    Some(format!("{line}\n{indent}^"))
}
