//! The catalog: pointers in SQLite or PostgreSQL.
//!
//! One code path through sqlx's `Any` driver and one set of migrations. It holds what the Delta logs cannot know:
//! names, views, external tables, models, lineage, pipeline states. Every value is a bound parameter, and every change
//! is one SQL statement or one transaction.
//!
//! Not here: file lists or schemas of lake tables; those are the Delta log's.
//!
//! **Crash order:** data first, pointer last when something is made (a Delta commit 0, a model's files, then the row);
//! pointer first, data last when something is dropped. A crash in between leaves files that nothing points to, never a
//! pointer to nothing. `Lake::clean_orphans` removes such files.

mod entries;
mod indexes;
mod lock;
mod models;
mod records;
mod relations;
mod rights;
mod security;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyPool, Executor, Row, SqlSafeStr as _};
use url::Url;

pub use entries::{
    ExternalEntry, LineageInput, LineageRecord, ModelEntry, ModelVersion, RelationKind, RelationSummary, ViewEntry,
};
pub(crate) use indexes::IndexRow;
use lock::Locks;
pub use lock::RunLock;
pub(crate) use models::ModelRow;
pub(crate) use relations::RelationRow;
pub use rights::{Privilege, Rights, Securable, SecurableKind};
pub use security::{ADMIN, AuditEntry, GrantEntry, PrincipalEntry, PrincipalKind, TokenEntry};

use crate::commit_mark::begin_commit;
use crate::error::{Error, Result};
use crate::storage::{READ_ONLY, Root};

/// The schema version that this build writes, and the newest that it reads.
const SCHEMA_VERSION: i64 = 3;

/// Concurrent statements of one process; a catalog statement takes microseconds.
const CONNECTIONS_MAX: u32 = 8;

/// How long to wait for a connection or for SQLite's write lock before saying that the catalog is busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The changes of the schema in order: version, description, statements. What was released once is never edited.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "catalog", include_str!("../../migrations/0001_catalog.sql")),
    (2, "security", include_str!("../../migrations/0002_security.sql")),
    (3, "vector indexes", include_str!("../../migrations/0003_vector_indexes.sql")),
];

/// An open catalog.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    pool: AnyPool,
    locks: Locks,
    read_only: bool,
}

impl Catalog {
    /// Opens the catalog, making or migrating it unless `read_only`.
    pub(crate) async fn open(place: &Place, read_only: bool) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let url = place.url(read_only)?;
        let sqlite = matches!(place, Place::File(_));
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(BUSY_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if sqlite {
                        connection.execute("PRAGMA busy_timeout = 30000").await?;
                        connection.execute("PRAGMA foreign_keys = ON").await?;
                    }
                    if sqlite && !read_only {
                        connection.execute("PRAGMA journal_mode = WAL").await?;
                        connection.execute("PRAGMA synchronous = NORMAL").await?;
                    }
                    Ok(())
                })
            })
            .connect(&url)
            .await
            .map_err(|error| Error::from(error).context(format_args!("cannot open the catalog {place}")))?;
        let catalog = Self { pool, locks: Locks::of(place), read_only };
        catalog.check_version(place).await?;
        Ok(catalog)
    }

    /// The pool, for a statement that only reads.
    fn reader(&self) -> &AnyPool {
        &self.pool
    }

    /// The pool, for a statement that changes something: it cannot be taken back once it is sent.
    fn writer(&self) -> Result<&AnyPool> {
        if self.read_only {
            return Err(Error::invalid(READ_ONLY));
        }
        begin_commit();
        Ok(&self.pool)
    }

    async fn check_version(&self, place: &Place) -> Result<()> {
        match self.stored_version().await {
            Some(SCHEMA_VERSION) => return Ok(()),
            Some(version) if version > SCHEMA_VERSION => return Err(newer(place, version)),
            None | Some(_) if self.read_only => {
                return Err(Error::invalid(format!(
                    "the catalog {place} must be set up or migrated first; open the lake once with write access"
                )));
            }
            None | Some(_) => {}
        }
        migrator().run(&self.pool).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => newer(place, version),
            error => Error::unavailable(format!("cannot set up the catalog {place}: {error}")).with_source(error),
        })
    }

    /// `None`: a new database.
    async fn stored_version(&self) -> Option<i64> {
        let row = sqlx::query("SELECT value FROM lakemill_catalog WHERE name = 'schema_version'");
        row.fetch_one(&self.pool).await.ok()?.try_get(0).ok()
    }
}

fn migrator() -> Migrator {
    let migration = |(version, description, statements): (i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, statements.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect())
}

fn newer(place: &Place, version: i64) -> Error {
    Error::invalid(format!(
        "the catalog {place} has schema version {version}, and this lakemill knows up to {SCHEMA_VERSION}; use a newer \
         lakemill"
    ))
}

/// Where a catalog is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database.
    Server(Url),
}

impl Place {
    /// The catalog that an option names, or the lake's own.
    pub(crate) fn of(option: Option<&str>, root: &Root) -> Result<Self> {
        match option {
            Some(given) if given.starts_with("postgres://") || given.starts_with("postgresql://") => Url::parse(given)
                .map(Self::Server)
                .map_err(|error| Error::invalid(format!("unusable catalog url: {error}"))),
            Some(given) if given.contains("://") && !given.starts_with("sqlite://") => {
                let scheme = given.split("://").next().unwrap_or_default();
                Err(Error::invalid(format!(
                    "a catalog cannot be '{scheme}://'; give a SQLite file or postgres://user@host/database"
                )))
            }
            Some(given) => Ok(Self::File(PathBuf::from(given.trim_start_matches("sqlite://")))),
            None => match &root.folder {
                Some(folder) => Ok(Self::File(folder.join("catalog.db"))),
                None => default_file(&root.url).map(Self::File),
            },
        }
    }

    fn url(&self, read_only: bool) -> Result<String> {
        let path = match self {
            Self::Server(url) => return Ok(url.to_string()),
            Self::File(path) => std::path::absolute(path)?,
        };
        if let Some(folder) = path.parent().filter(|_| !read_only) {
            std::fs::create_dir_all(folder).map_err(|error| {
                Error::from(error).context(format_args!("cannot make the catalog's folder '{}'", folder.display()))
            })?;
        }
        let url = Url::from_file_path(&path)
            .map_err(|()| Error::invalid(format!("unusable catalog path '{}'", path.display())))?;
        let mode = match read_only {
            false => "mode=rwc",
            // Nobody can be writing beside us if SQLite's log is not there: no lock files are needed either.
            true if !log_of(&path).exists() => "mode=ro&immutable=true",
            true => "mode=ro",
        };
        Ok(format!("sqlite{}?{mode}", url.as_str().trim_start_matches("file")))
    }
}

impl std::fmt::Display for Place {
    /// Never shows a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "'{}'", path.display()),
            Self::Server(url) => {
                let host = url.host_str().unwrap_or("localhost");
                write!(f, "'{}://{host}{}'", url.scheme(), url.path())
            }
        }
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// The catalog of a lake that lies on no disk of this machine: a file of this user, named by the lake's URL.
fn default_file(lake: &Url) -> Result<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")))
        .ok_or_else(|| {
            Error::invalid(format!("no place for the catalog of {lake}: HOME is not set; give a catalog"))
        })?;
    let key = blake3::hash(lake.as_str().as_bytes()).to_hex();
    Ok(data.join("lakemill").join("catalogs").join(format!("{}.db", &key[..32])))
}
