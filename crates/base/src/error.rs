//! The kinds of error, named by what the caller must do.

use std::fmt;

/// Every public error of Lakemill has one of these kinds. The binary maps it to an exit code, the servers
/// map it to their protocol's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong: change it before trying again.
    Invalid,
    /// Whoever asks may not do this: ask an administrator for the right.
    Denied,
    /// What was named does not exist.
    NotFound,
    /// Somebody else changed the same thing first: read again, then retry.
    Conflict,
    /// A part that we need does not answer: retry later.
    Unavailable,
    /// A limit of memory, disk or a queue was reached: ask for less or raise the limit.
    Exhausted,
    /// The stored or given data is malformed: mend the data.
    Data,
    /// A bug in Lakemill: report it.
    Internal,
}

impl ErrorKind {
    /// The process exit code for this kind, following sysexits where it has a fitting one.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Invalid => 2,
            Self::Denied => 77,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Unavailable => 69,
            Self::Exhausted => 5,
            Self::Data => 65,
            Self::Internal => 70,
        }
    }

    /// The kind as a lower-case word, for logs and protocols.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Denied => "permission denied",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Exhausted => "exhausted",
            Self::Data => "data",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
