//! The newest snapshot of each table, kept and refreshed.
//!
//! A refresh looks for the file of the next commit: one `stat` on a local disk, one `HEAD` on S3. Only when it is there
//! is the log listed. After [`LISTING_INTERVAL`] the log is listed anyway, because another engine's log cleanup could
//! have taken the next commit's file away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deltalake::logstore::{LogStoreRef, StorageConfig, commit_uri_from_version, default_logstore};
use deltalake::{DeltaTable, DeltaTableError};
use lakemill_base::Stopwatch;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use url::Url;

use super::{At, Pinned, travel};
use crate::commit_mark::MarkingLogStore;
use crate::error::Result;
use crate::storage::{Stores, store_path};

/// How long the absence of the next commit's file is believed.
const LISTING_INTERVAL: Duration = Duration::from_secs(600);

/// Older versions kept; each is a file list in memory.
const PAST_VERSIONS_MAX: usize = 32;

#[derive(Debug)]
struct Latest {
    pinned: Arc<Pinned>,
    listed: Stopwatch,
}

type Slot = Arc<tokio::sync::Mutex<Option<Latest>>>;

/// Snapshots by table folder.
#[derive(Debug)]
pub(crate) struct Snapshots {
    stores: Arc<Stores>,
    latest: Mutex<HashMap<Url, Slot>>,
    past: Mutex<Vec<(Url, Arc<Pinned>)>>,
}

impl Snapshots {
    pub(crate) fn new(stores: Arc<Stores>) -> Self {
        Self { stores, latest: Mutex::default(), past: Mutex::default() }
    }

    /// A table's log store.
    pub(crate) fn log_store(&self, folder: &Url) -> Result<LogStoreRef> {
        log_store_at(self.stores.store(folder)?, folder)
    }

    /// The snapshot of a version.
    pub(crate) async fn at(&self, folder: &Url, at: At) -> Result<Arc<Pinned>> {
        let latest = self.latest(folder).await?;
        let version = match at {
            At::Latest => return Ok(latest),
            At::Version(version) => travel::check_version(&latest, version).await?,
            At::TimestampMs(time_ms) => travel::version_at(&latest, time_ms).await?,
        };
        if version == latest.version() {
            return Ok(latest);
        }
        let known = self.past.lock().iter().find(|(url, past)| url == folder && past.version() == version).cloned();
        if let Some((_, past)) = known {
            return Ok(past);
        }
        let mut table = DeltaTable::new(self.log_store(folder)?);
        table.load_version(version).await.map_err(|error| travel::unreadable_version(version, error))?;
        let past = Arc::new(Pinned::new(table)?);
        let mut kept = self.past.lock();
        if kept.len() >= PAST_VERSIONS_MAX {
            kept.remove(0);
        }
        kept.push((folder.clone(), Arc::clone(&past)));
        Ok(past)
    }

    /// The newest snapshot.
    pub(crate) async fn latest(&self, folder: &Url) -> Result<Arc<Pinned>> {
        let slot = Arc::clone(self.latest.lock().entry(folder.clone()).or_default());
        let mut slot = slot.lock().await;
        if let Some(latest) = slot.as_ref()
            && latest.listed.elapsed() < LISTING_INTERVAL
            && !has_version(latest.pinned.table(), latest.pinned.version() + 1).await?
        {
            return Ok(Arc::clone(&latest.pinned));
        }
        let mut table = match slot.as_ref() {
            Some(latest) => latest.pinned.table().clone(),
            None => DeltaTable::new(self.log_store(folder)?),
        };
        let before = table.version();
        table.update_state().await?;
        let pinned = match slot.as_ref() {
            Some(latest) if before == table.version() => Arc::clone(&latest.pinned),
            _ => Arc::new(Pinned::new(table)?),
        };
        *slot = Some(Latest { pinned: Arc::clone(&pinned), listed: Stopwatch::start() });
        Ok(pinned)
    }

    /// Forgets a table that was dropped.
    pub(crate) fn forget(&self, folder: &Url) {
        self.latest.lock().remove(folder);
        self.past.lock().retain(|(url, _)| url != folder);
    }
}

/// The log store of a table in a folder of a store; its commits are put-if-absent.
fn log_store_at(store: Arc<dyn ObjectStore>, folder: &Url) -> Result<LogStoreRef> {
    let scoped = PrefixStore::new(Arc::clone(&store), store_path(folder)?);
    Ok(MarkingLogStore::wrap(default_logstore(Arc::new(scoped), store, folder, &StorageConfig::default())))
}

async fn has_version(table: &DeltaTable, version: u64) -> Result<bool> {
    let path = commit_uri_from_version(Some(version));
    match table.object_store().head(&path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(DeltaTableError::from(error).into()),
    }
}
