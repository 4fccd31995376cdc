//! Indexes over columns of vectors: definitions in the catalog, files beside the lake's tables.
//!
//! A data file never changes, so an index is a file for each data file, a *segment*, named by a digest of the data file's path
//! and size. A segment is good for every version of the table that has its data file. What is in it is the caller's affair.
//!
//! The folder is the truth about which segments there are. They are written before the catalog's row, and removed after it; those
//! of data files that are gone are removed by VACUUM.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use lakemill_base::{check_identifier, unknown};
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Lake, TableEntry, folder_name};
use crate::catalog::IndexRow;
use crate::error::{Error, Result};
use crate::name::TableName;
use crate::storage::store_path;
use crate::table::LakeTable;

/// Where indexes lie below the root.
pub(super) const INDEXES: &str = "indexes";

/// How the names of segments end.
const SEGMENT: &str = "segment";

/// Digits of a segment's name: enough that no two data files of a table share one.
const DIGEST_DIGITS: usize = 32;

/// An index over a column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorIndex {
    /// Its name, unique among the table's.
    pub name: String,
    /// The column.
    pub column: String,
    /// Where its segments lie, relative to the lake.
    pub folder: String,
    /// What it is, in the words of whoever made it.
    pub definition: serde_json::Value,
    /// When it was made.
    pub created_ms: i64,
    /// The folder of its table.
    relation: String,
}

impl VectorIndex {
    /// The place of a segment, in the lake's store.
    pub fn segment(&self, name: &str) -> StorePath {
        StorePath::from(format!("{}/{name}", self.folder))
    }

    fn read(row: IndexRow) -> Result<Self> {
        Ok(Self {
            definition: serde_json::from_str(&row.definition)?,
            name: row.name,
            column: row.column,
            folder: row.location,
            created_ms: row.created_ms,
            relation: row.relation,
        })
    }

    fn row(&self) -> IndexRow {
        IndexRow {
            relation: self.relation.clone(),
            name: self.name.clone(),
            column: self.column.clone(),
            location: self.folder.clone(),
            definition: self.definition.to_string(),
            created_ms: self.created_ms,
        }
    }
}

/// The name of a data file's segment; `path` is relative to the table.
pub(crate) fn segment_name(path: &StorePath, size: u64) -> String {
    let digest = blake3::hash(format!("{path}\n{size}").as_bytes()).to_hex();
    format!("{}.{SEGMENT}", &digest[..DIGEST_DIGITS])
}

impl Lake {
    /// An index about to be made: nothing is stored yet.
    ///
    /// # Errors
    /// Invalid: the name holds characters that names may not hold, or the lake is read-only.
    pub fn draft_index(
        &self,
        table: &LakeTable,
        name: &str,
        column: &str,
        definition: serde_json::Value,
    ) -> Result<VectorIndex> {
        check_identifier("vector index", name).map_err(Error::invalid)?;
        self.check_writable()?;
        let folder = format!("{INDEXES}/{}", folder_name(&table.name().table, name));
        let (name, column) = (name.to_owned(), column.to_owned());
        let relation = self.relation_of(table)?;
        Ok(VectorIndex { name, column, folder, definition, created_ms: self.now_ms(), relation })
    }

    /// Makes an index known whose segments are written, in the place of `before`, whose segments are removed.
    ///
    /// # Errors
    /// Conflict: another process made or replaced an index of this name meanwhile.
    pub async fn save_index(&self, index: &VectorIndex, before: Option<&VectorIndex>) -> Result<()> {
        let row = index.row();
        let saved = match before {
            Some(before) => self.catalog().replace_index(&before.row(), &row).await?,
            None => self.catalog().insert_index(&row).await?,
        };
        if !saved {
            return Err(Error::conflict(format!("vector index {} was changed meanwhile; try again", index.name)));
        }
        match before {
            Some(before) => self.remove_location(&before.folder).await,
            None => Ok(()),
        }
    }

    /// Removes an index and its segments; false: another process did so meanwhile.
    ///
    /// # Errors
    /// Unavailable: a file cannot be removed.
    pub async fn drop_index(&self, index: &VectorIndex) -> Result<bool> {
        self.check_writable()?;
        let dropped = self.catalog().delete_index(&index.row()).await?;
        if dropped {
            self.remove_location(&index.folder).await?;
        }
        Ok(dropped)
    }

    /// Removes what was written of an index that did not come to be.
    ///
    /// # Errors
    /// Unavailable: a file cannot be removed.
    pub async fn discard_index(&self, index: &VectorIndex) -> Result<()> {
        self.remove_location(&index.folder).await
    }

    /// The indexes of a table, by name.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn indexes_of(&self, table: &LakeTable) -> Result<Vec<VectorIndex>> {
        let rows = self.catalog().indexes_of(&self.relation_of(table)?).await?;
        rows.into_iter().map(VectorIndex::read).collect()
    }

    /// One of them by its name.
    ///
    /// # Errors
    /// Not found, with a suggestion.
    pub async fn index_of(&self, table: &LakeTable, name: &str) -> Result<VectorIndex> {
        let mut indexes = self.indexes_of(table).await?;
        match indexes.iter().position(|index| index.name == name) {
            Some(place) => Ok(indexes.swap_remove(place)),
            None => {
                let known = indexes.iter().map(|index| index.name.as_str());
                Err(Error::not_found(format!("table {}: {}", table.name(), unknown("vector index", name, known))))
            }
        }
    }

    /// The indexes of all tables, by table and name.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn indexes(&self) -> Result<Vec<(TableName, VectorIndex)>> {
        let rows = self.catalog().indexes().await?;
        rows.into_iter().map(|(table, row)| Ok((table, VectorIndex::read(row)?))).collect()
    }

    /// The names of the segments that an index has.
    ///
    /// # Errors
    /// Unavailable: the store does not answer.
    pub async fn segments_of(&self, index: &VectorIndex) -> Result<BTreeSet<String>> {
        let store = self.object_store();
        let found: Vec<_> = store.list(Some(&StorePath::from(index.folder.as_str()))).try_collect().await?;
        let name = |path: &StorePath| path.filename().filter(|name| name.ends_with(SEGMENT)).map(ToOwned::to_owned);
        Ok(found.iter().filter_map(|file| name(&file.location)).collect())
    }

    /// Removes the segments of data files that are no longer there.
    pub(crate) async fn vacuum_indexes(&self, entry: &TableEntry) -> Result<()> {
        let rows = self.catalog().indexes_of(&entry.row.location).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let (store, folder) = (self.object_store(), StorePath::from(entry.row.location.as_str()));
        let files: Vec<_> = store.list(Some(&folder)).try_collect().await?;
        let needed: BTreeSet<String> = files
            .iter()
            .filter_map(|file| {
                let relative: StorePath = file.location.prefix_match(&folder)?.collect();
                Some(segment_name(&relative, file.size))
            })
            .collect();
        for row in rows {
            let index = VectorIndex::read(row)?;
            for segment in self.segments_of(&index).await?.difference(&needed) {
                match store.delete(&index.segment(segment)).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// The folder of a table relative to the lake, as the catalog has it.
    fn relation_of(&self, table: &LakeTable) -> Result<String> {
        let (root, folder) = (store_path(self.root_url())?, store_path(table.location())?);
        let relative: Option<StorePath> = folder.prefix_match(&root).map(Iterator::collect);
        relative
            .map(|relative| relative.as_ref().to_owned())
            .ok_or_else(|| Error::internal(format!("{folder} does not lie in the lake at {root}")))
    }
}
