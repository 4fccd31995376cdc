//! Errors of the SQL layer: what was wrong, where in the text, and what would be right.

mod foreign;

use std::fmt;

use lakemill_base::ErrorKind;

/// The result of anything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in a script, counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line of the script.
    pub line: u64,
    /// Column of that line, in characters.
    pub column: u64,
}

/// An error with its kind and, where it is known, its place in the text.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    position: Option<Position>,
    snippet: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), position: None, snippet: None, source: None }
    }

    /// A wrong request.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// A right that whoever asks has not.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    /// A name that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// A bug in Lakemill.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// With a place in the script; an earlier, more exact one is kept.
    #[must_use]
    pub fn at(mut self, position: Position) -> Self {
        self.position.get_or_insert(position);
        self
    }

    /// With the error that caused this one, for logs.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The observer stopped the statement.
    pub(crate) fn cancelled() -> Self {
        Self::new(ErrorKind::Unavailable, "the statement was cancelled; nothing was committed")
    }

    /// What the caller must do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was wrong and what would be right, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The place in the script, where it is known.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The line of the script and, below it, a caret under the place.
    pub fn snippet(&self) -> Option<&str> {
        self.snippet.as_deref()
    }

    /// Moves the place, from one that counts within a statement to one that counts within the script.
    pub(crate) fn shift(&mut self, to_script: impl FnOnce(Position) -> Position) {
        self.position = self.position.map(to_script);
    }

    /// Forgets the place: it is in another text than the script.
    pub(crate) fn without_position(mut self) -> Self {
        self.position = None;
        self
    }

    /// Adds the line of `script` that the position names.
    #[must_use]
    pub(crate) fn with_script(mut self, script: &str) -> Self {
        if self.snippet.is_none() {
            self.snippet = self.position.and_then(|position| caret(script, position));
        }
        self
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

fn caret(script: &str, position: Position) -> Option<String> {
    let line = script.lines().nth(usize::try_from(position.line).ok()?.checked_sub(1)?)?;
    let before = usize::try_from(position.column).ok()?.saturating_sub(1);
    let indent: String = line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    Some(format!("{line}\n{indent}^"))
}
