//! What a statement reads and writes, by name and by version.

use std::fmt;

/// The kind of thing that a statement reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A table or a view of the lake, named `namespace.table`.
    Table,
    /// A model, named `namespace.model`.
    Model,
    /// A file or a folder of files outside the lake's tables, named by its path or URL.
    File,
}

impl ObjectKind {
    /// The kind as a lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Model => "model",
            Self::File => "file",
        }
    }
}

/// A table, a model or a file, by its full name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// What it is.
    pub kind: ObjectKind,
    /// Its full name: `namespace.table`, `namespace.model`, or a path or URL.
    pub name: String,
}

impl ObjectRef {
    /// A table or view, by its full name.
    pub fn table(name: impl Into<String>) -> Self {
        Self { kind: ObjectKind::Table, name: name.into() }
    }

    /// A model, by its full name.
    pub fn model(name: impl Into<String>) -> Self {
        Self { kind: ObjectKind::Model, name: name.into() }
    }

    /// A file, by its path or URL.
    pub fn file(name: impl Into<String>) -> Self {
        Self { kind: ObjectKind::File, name: name.into() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// Which state of an object was read or written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectVersion {
    /// A version of a lake table or of a model.
    Version(u64),
    /// A digest of names, sizes and times of change, for files; of the text, for views.
    Fingerprint(String),
}

impl fmt::Display for ObjectVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "{version}"),
            Self::Fingerprint(digest) => f.write_str(digest),
        }
    }
}

/// What one executed statement read and wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// What was read, each once, in order of first use.
    pub reads: Vec<(ObjectRef, ObjectVersion)>,
    /// What was written.
    pub writes: Vec<(ObjectRef, ObjectVersion)>,
}
