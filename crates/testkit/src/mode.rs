//! A fresh lake in each mode the engine has: files on disk or in S3, the catalog in SQLite or PostgreSQL.

use std::fmt;

use lakemill_lake::LakeOptions;
use tempfile::TempDir;

use crate::{Result, servers};

/// Where the tables' files lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// A folder.
    Local,
    /// A real S3 server.
    S3,
}

/// Where the catalog lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catalog {
    /// A file.
    Sqlite,
    /// A real PostgreSQL server.
    Postgres,
}

/// A store and a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Where the tables' files lie.
    pub store: Store,
    /// Where the catalog lies.
    pub catalog: Catalog,
}

impl Mode {
    /// The default lake: a folder with its SQLite catalog inside.
    pub const LOCAL_SQLITE: Self = Self { store: Store::Local, catalog: Catalog::Sqlite };
    /// A folder and a team's catalog.
    pub const LOCAL_POSTGRES: Self = Self { store: Store::Local, catalog: Catalog::Postgres };
    /// A bucket and an embedded catalog.
    pub const S3_SQLITE: Self = Self { store: Store::S3, catalog: Catalog::Sqlite };
    /// A bucket and a team's catalog.
    pub const S3_POSTGRES: Self = Self { store: Store::S3, catalog: Catalog::Postgres };

    /// The words that `onlyif` and `skipif` know this mode by.
    pub fn labels(self) -> [&'static str; 2] {
        let store = match self.store {
            Store::Local => "local",
            Store::S3 => "s3",
        };
        let catalog = match self.catalog {
            Catalog::Sqlite => "sqlite",
            Catalog::Postgres => "postgres",
        };
        [store, catalog]
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [store, catalog] = self.labels();
        write!(f, "{store}+{catalog}")
    }
}

/// A lake that nothing has written yet. Its folder goes when this is dropped.
#[derive(Debug)]
pub struct FreshLake {
    /// How to open it.
    pub options: LakeOptions,
    /// A folder of the store beside the lake: a path, or an `s3://` URL.
    pub beside: String,
    /// A local folder for files that are not the lake's.
    pub scratch: TempDir,
}

impl FreshLake {
    /// Prepares a lake; the servers that its mode needs are started.
    pub fn new(mode: Mode) -> Result<Self> {
        let scratch = tempfile::Builder::new().prefix("lakemill-test-").tempdir()?;
        let local = |name: &str| scratch.path().join(name).display().to_string();
        let (mut options, beside) = match mode.store {
            Store::Local => (LakeOptions::new(local("lake")), local("beside")),
            Store::S3 => {
                let server = servers::s3()?;
                let folder = server.folder();
                let mut options = LakeOptions::new(format!("{folder}/lake"));
                options.storage = server.options();
                (options, format!("{folder}/beside"))
            }
        };
        options.catalog = match (mode.catalog, mode.store) {
            (Catalog::Sqlite, Store::Local) => None,
            (Catalog::Sqlite, Store::S3) => Some(local("catalog.db")),
            (Catalog::Postgres, _) => Some(servers::postgres()?.database()?),
        };
        Ok(Self { options, beside, scratch })
    }
}
