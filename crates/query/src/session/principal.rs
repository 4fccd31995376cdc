//! Whose session it is: nobody's in particular, at this machine's command line, or a user's.

use std::fmt;
use std::sync::{Arc, OnceLock};

use lakemill_lake::AuditEntry;

use crate::error::{Error, Result};

/// Takes lines for the audit log, and does not wait for them to be written.
pub trait Auditor: fmt::Debug + Send + Sync {
    /// Takes a line.
    fn record(&self, entry: AuditEntry);
}

/// A user who has proved to be that user, and where the client is.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The user.
    pub user: String,
    /// Where the client is.
    pub address: String,
    /// What it speaks.
    pub protocol: String,
    /// Who is told of what it was refused.
    pub auditor: Arc<dyn Auditor>,
}

/// Who may use a session.
#[derive(Clone, Debug)]
pub(super) enum Access {
    /// Whoever has it: the person at the command line owns the lake's files.
    Open,
    /// The user who logs in; until then nobody.
    User(Arc<OnceLock<Principal>>),
}

impl Access {
    pub(super) fn of(principal: Principal) -> Self {
        Self::User(Arc::new(OnceLock::from(principal)))
    }

    pub(super) fn locked() -> Self {
        Self::User(Arc::default())
    }

    /// That of another client: a login is its client's alone.
    pub(super) fn for_client(&self) -> Self {
        match self {
            Self::Open => Self::Open,
            Self::User(user) => user.get().cloned().map_or_else(Self::locked, Self::of),
        }
    }

    /// The user; `None`: everything is allowed.
    ///
    /// # Errors
    /// Denied: nobody has logged in.
    pub(super) fn principal(&self) -> Result<Option<&Principal>> {
        match self {
            Self::Open => Ok(None),
            Self::User(user) => match user.get() {
                Some(principal) => Ok(Some(principal)),
                None => Err(Error::denied("permission denied: nobody has logged in")),
            },
        }
    }
}
