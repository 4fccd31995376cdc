//! One run of a pipeline at a time.
//!
//! The lock lies where the catalog lies and goes with its holder, however that ends: beside a SQLite file it is the
//! operating system's lock on a file, in PostgreSQL an advisory lock of a connection. So there is nothing to wait for or
//! to clean up after a kill -9, and no clock to compare.
//!
//! Not here: who holds a lock; the newest unfinished run in the catalog says that.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, Connection, Row};

use super::{Catalog, Place};
use crate::error::{Error, Result};

/// Where the locks of a catalog lie.
#[derive(Clone, Debug)]
pub(super) enum Locks {
    /// A folder of files.
    Folder(PathBuf),
    /// The catalog's own server.
    Server,
}

/// The right to run a pipeline. Dropped, it is given back; [`RunLock::release`] does so before it returns.
#[derive(Debug)]
pub struct RunLock(Held);

#[derive(Debug)]
enum Held {
    File(File),
    Connection(Box<AnyConnection>),
}

impl RunLock {
    /// Gives the lock back.
    pub async fn release(self) {
        match self.0 {
            Held::File(file) => drop(file),
            // A connection that is merely dropped is noticed by the server somewhat later. One that cannot be closed is
            // broken, and its locks are gone.
            Held::Connection(connection) => drop(connection.close().await),
        }
    }
}

impl Locks {
    pub(super) fn of(place: &Place) -> Self {
        match place {
            Place::File(path) => {
                let mut name = path.as_os_str().to_owned();
                name.push("-locks");
                Self::Folder(PathBuf::from(name))
            }
            Place::Server(_) => Self::Server,
        }
    }
}

impl Catalog {
    /// Takes the lock of a pipeline's runs. `None`: somebody else has it.
    pub(crate) async fn lock_run(&self, pipeline: &str) -> Result<Option<RunLock>> {
        let pool = self.writer()?;
        match &self.locks {
            Locks::Folder(folder) => lock_file(folder, pipeline),
            Locks::Server => {
                let mut connection = pool.acquire().await?.detach();
                let locked: bool = sqlx::query(
                    "SELECT pg_try_advisory_lock(hashtextextended('lakemill run ' || current_schema() || ' ' || $1, 0))",
                )
                .bind(pipeline)
                .fetch_one(&mut connection)
                .await?
                .try_get(0)?;
                if locked {
                    return Ok(Some(RunLock(Held::Connection(Box::new(connection)))));
                }
                connection.close().await?;
                Ok(None)
            }
        }
    }
}

fn lock_file(folder: &Path, pipeline: &str) -> Result<Option<RunLock>> {
    let key = blake3::hash(pipeline.as_bytes()).to_hex();
    let path = folder.join(format!("run-{}", &key[..32]));
    let cannot = |error: std::io::Error| {
        Error::from(error)
            .context(format_args!("cannot lock the runs of pipeline '{pipeline}' at '{}'", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(RunLock(Held::File(file)))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}
