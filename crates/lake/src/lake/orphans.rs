//! Files that nothing points to: what a crash left between making data and making it visible, or between dropping a name
//! and dropping its files.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use super::indexes::INDEXES;
use super::models::MODELS;
use super::{GENERATED, Lake, TABLES};
use crate::error::{Error, Result};
use crate::write::VacuumSpec;

/// A folder of another process that is about to become visible is younger than this.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);

impl Lake {
    /// Removes folders of tables, models and indexes that no name points to, and answers of statements that never committed, that
    /// nobody has written to for a day (or for the spec's retention). Gives the folders, which a dry run only finds.
    ///
    /// # Errors
    /// Unavailable: a file cannot be removed.
    pub async fn clean_orphans(&self, spec: VacuumSpec) -> Result<Vec<String>> {
        self.check_writable()?;
        let store = self.object_store();
        let mut newest_ms: BTreeMap<String, i64> = BTreeMap::new();
        for top in [TABLES, MODELS, INDEXES, GENERATED] {
            let files: Vec<_> = store.list(Some(&StorePath::from(top))).try_collect().await?;
            for file in files {
                let parts: Vec<_> = file.location.parts().take(2).map(|part| part.as_ref().to_owned()).collect();
                let modified_ms = file.last_modified.timestamp_millis();
                let newest = newest_ms.entry(parts.join("/")).or_insert(modified_ms);
                *newest = (*newest).max(modified_ms);
            }
        }
        // Read after the listing: whatever became visible meanwhile is known.
        let mut known: BTreeSet<String> = self.catalog().table_locations().await?.into_iter().collect();
        known.extend(self.catalog().all_models().await?.into_iter().map(|entry| entry.version.path));
        known.extend(self.catalog().indexes().await?.into_iter().map(|(_, row)| row.location));
        let age_ms = i64::try_from(spec.retention.unwrap_or(ORPHAN_AGE).as_millis()).unwrap_or(i64::MAX);
        let oldest_ms = self.now_ms().saturating_sub(age_ms);
        let mut removed = Vec::new();
        for (folder, newest_ms) in newest_ms {
            if !known.contains(&folder) && newest_ms <= oldest_ms {
                if !spec.dry_run {
                    self.remove_location(&folder).await?;
                }
                removed.push(folder);
            }
        }
        Ok(removed)
    }

    /// Removes a folder of a table that no name points to (any more).
    pub(crate) async fn remove_folder(&self, folder: &Url) -> Result<()> {
        self.snapshots().forget(folder);
        let root = self.root_url().as_str();
        let location = folder.as_str().strip_prefix(root).map(|rest| rest.trim_end_matches('/'));
        match location {
            Some(location) if !location.is_empty() => self.remove_location(location).await,
            _ => Err(Error::internal(format!("{folder} does not lie in the lake at {root}"))),
        }
    }

    /// Removes a folder below the root, its files first.
    pub(super) async fn remove_location(&self, location: &str) -> Result<()> {
        if let Some(root) = &self.inner.root.folder {
            let folder = root.join(location);
            return match tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder)).await {
                Ok(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::from(error).context(format_args!("cannot remove '{location}'")))
                }
                Ok(_) => Ok(()),
                Err(error) => Err(Error::internal(format!("removing '{location}' stopped: {error}"))),
            };
        }
        let store = self.object_store();
        let files: Vec<_> = store.list(Some(&StorePath::from(location))).try_collect().await?;
        for file in files {
            match store.delete(&file.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(Error::from(error).context(format_args!("cannot remove '{location}'"))),
            }
        }
        Ok(())
    }
}
