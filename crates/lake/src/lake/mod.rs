//! The lake: a folder or an `s3://` prefix, with its catalog.
//!
//! [`Lake`] joins the parts: the catalog says which names there are and where their files lie, the snapshot cache reads
//! Delta logs, and the files in this folder hold the operations by subject. Changes to rows are in `write`.
//!
//! Layout of a lake folder:
//!
//! ```text
//! lakemill.json                  marker and format version
//! catalog.db                     the catalog (unless it is in PostgreSQL)
//! catalog.db-locks/              locks of pipelines that run
//! tables/<namespace>.<name>-<id>/    a Delta table; <id> makes the folder unique for ever
//! models/<namespace>.<name>/<id>/    the files of one model version
//! indexes/<table>.<name>-<id>/       the segments of an index over vectors, one for each data file
//! generated/<id>/                    finished answers of a statement that has not committed
//! ```
//!
//! Folder names are made of the letters, digits, `_` and `-` of a checked name and an id, so no name leads out of the
//! lake, and a dropped and remade or renamed table never meets the old one's files.

mod indexes;
mod models;
mod orphans;
mod records;
mod relations;
mod security;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreRegistry;
use lakemill_base::{Clock, SystemClock, did_you_mean};
use object_store::ObjectStore;
use parking_lot::Mutex;
use url::Url;
use uuid::Uuid;

pub use indexes::VectorIndex;
pub(crate) use indexes::segment_name;
pub use models::{ModelDraft, SaveMode};

use crate::catalog::{Catalog, ExternalEntry, Place, RelationKind, RelationRow, ViewEntry};
use crate::error::{Error, Result};
use crate::name::{DEFAULT_NAMESPACE, TableName};
use crate::storage::{READ_ONLY, Root, Stores, open_root};
use crate::table::{At, LakeTable, Pinned, Snapshots, unreadable};

/// Where tables lie below the root.
const TABLES: &str = "tables";

/// Where statements keep below the root what language models have answered, until they commit.
pub const GENERATED: &str = "generated";

/// Where a lake lies and how to open it.
#[derive(Clone, Debug)]
pub struct LakeOptions {
    /// A folder or `s3://bucket/prefix`.
    pub location: String,
    /// A SQLite file or a `postgres://` URL; by default `catalog.db` in the lake folder, and for `s3://`
    /// lakes a file in the user's data folder.
    pub catalog: Option<String>,
    /// Options of the object store, such as `endpoint`, `region`, `access_key_id`, `allow_http`.
    pub storage: BTreeMap<String, String>,
    /// The clock that stamps catalog rows.
    pub clock: Arc<dyn Clock>,
    /// Refuses every change.
    pub read_only: bool,
}

impl LakeOptions {
    /// Options with the defaults.
    pub fn new(location: impl Into<String>) -> Self {
        Self {
            location: location.into(),
            catalog: None,
            storage: BTreeMap::new(),
            clock: Arc::new(SystemClock),
            read_only: false,
        }
    }
}

/// A lake. Clones share one catalog and one snapshot cache.
#[derive(Clone, Debug)]
pub struct Lake {
    inner: Arc<LakeInner>,
}

#[derive(Debug)]
struct LakeInner {
    options: LakeOptions,
    root: Root,
    scoped: Arc<dyn ObjectStore>,
    stores: Arc<Stores>,
    catalog: Catalog,
    snapshots: Snapshots,
    /// One commit of this process at a time on a table: they would only make each other try again.
    commit_locks: Mutex<HashMap<Url, Arc<tokio::sync::Mutex<()>>>>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Relation {
    /// A lake table at one version.
    Table(Arc<LakeTable>),
    /// A view: its query is planned by the session.
    View(ViewEntry),
    /// Raw files; see [`crate::external::provider`].
    External(ExternalEntry),
}

/// A lake table's row and folder.
#[derive(Clone, Debug)]
pub(crate) struct TableEntry {
    pub(crate) row: RelationRow,
    pub(crate) folder: Url,
}

impl Lake {
    /// Opens a lake, making it where there is none. A lake whose folder refuses writes is opened read-only.
    ///
    /// # Errors
    /// Invalid: the place holds something else, or a newer lakemill's lake. Unavailable: it cannot be read or written.
    pub async fn open(mut options: LakeOptions) -> Result<Self> {
        let stores = Arc::new(Stores::new(options.storage.clone()));
        let root = Root::parse(&options.location, &stores)?;
        options.read_only = open_root(&root, options.read_only).await?;
        let place = Place::of(options.catalog.as_deref(), &root)?;
        let catalog = Catalog::open(&place, options.read_only).await?;
        let snapshots = Snapshots::new(Arc::clone(&stores));
        let scoped = root.scoped()?;
        let commit_locks = Mutex::default();
        let lake =
            Self { inner: Arc::new(LakeInner { options, root, scoped, stores, catalog, snapshots, commit_locks }) };
        if !lake.inner.options.read_only {
            lake.catalog().ensure_namespace(DEFAULT_NAMESPACE, lake.now_ms()).await?;
        }
        Ok(lake)
    }

    /// The options it was opened with.
    pub fn options(&self) -> &LakeOptions {
        &self.inner.options
    }

    /// The lake's place as a URL that ends in a slash.
    pub fn root_url(&self) -> &Url {
        &self.inner.root.url
    }

    /// The object store of the lake's place, rooted at [`Lake::root_url`].
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner.scoped)
    }

    /// A registry that finds `file://` and any `s3://` bucket with the lake's storage options; sessions put it into
    /// their `RuntimeEnv`.
    pub fn object_store_registry(&self) -> Arc<dyn ObjectStoreRegistry> {
        Arc::clone(&self.inner.stores) as Arc<dyn ObjectStoreRegistry>
    }

    /// What a name stands for, a table pinned at a version.
    ///
    /// # Errors
    /// Not found: with a suggestion, or with the versions that there are.
    pub async fn resolve(&self, name: &TableName, at: At) -> Result<Relation> {
        match self.find(name, at).await? {
            Some(relation) => Ok(relation),
            None => Err(self.no_relation(name).await),
        }
    }

    /// Like [`Lake::resolve`], `None` where there is no such name.
    ///
    /// # Errors
    /// Not found: there is no such version.
    pub async fn find(&self, name: &TableName, at: At) -> Result<Option<Relation>> {
        let Some(row) = self.relation_row(name).await? else { return Ok(None) };
        if row.kind != RelationKind::Table && at != At::Latest {
            return Err(Error::invalid(format!("{name} is no lake table: it has no versions")));
        }
        Ok(Some(match row.kind {
            RelationKind::Table => {
                let folder = self.inner.root.child(&row.location)?;
                let pinned = self.snapshots().at(&folder, at).await.map_err(|error| unreadable(name, error))?;
                Relation::Table(Arc::new(LakeTable::new(name.clone(), pinned)))
            }
            RelationKind::View => {
                Relation::View(ViewEntry { name: row.name, sql: row.definition, created_ms: row.created_ms })
            }
            RelationKind::External => Relation::External(relations::external_entry(row)?),
        }))
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.inner.options.clock.now_ms()
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.inner.snapshots
    }

    pub(crate) fn stores(&self) -> &Arc<Stores> {
        &self.inner.stores
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.inner.options.read_only {
            return Err(Error::invalid(READ_ONLY));
        }
        Ok(())
    }

    pub(crate) fn commit_lock(&self, folder: &Url) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.inner.commit_locks.lock().entry(folder.clone()).or_default())
    }

    pub(crate) async fn relation_row(&self, name: &TableName) -> Result<Option<RelationRow>> {
        self.catalog().relation(name).await
    }

    /// The entry of a name that must be a lake table.
    pub(crate) fn table_entry(&self, row: RelationRow) -> Result<TableEntry> {
        if row.kind != RelationKind::Table {
            let kind = if row.kind == RelationKind::View { "a view" } else { "an external table" };
            return Err(Error::invalid(format!("{} is {kind}, not a lake table", row.name)));
        }
        let folder = self.inner.root.child(&row.location)?;
        Ok(TableEntry { row, folder })
    }

    /// A table's newest snapshot, to read.
    pub(crate) async fn table_to_read(&self, name: &TableName) -> Result<(TableEntry, Arc<Pinned>)> {
        let Some(row) = self.relation_row(name).await? else { return Err(self.no_relation(name).await) };
        let entry = self.table_entry(row)?;
        let pinned = self.snapshots().latest(&entry.folder).await.map_err(|error| unreadable(name, error))?;
        Ok((entry, pinned))
    }

    /// A table's newest snapshot, to change.
    pub(crate) async fn table_to_change(&self, name: &TableName) -> Result<(TableEntry, Arc<Pinned>)> {
        self.check_writable()?;
        self.table_to_read(name).await
    }

    /// The entry of a table that is about to be made; nothing is stored yet.
    pub(crate) async fn new_entry(&self, name: &TableName) -> Result<TableEntry> {
        if !self.catalog().namespaces().await?.contains(&name.namespace) {
            return Err(self.no_namespace(&name.namespace).await);
        }
        let location = format!("{TABLES}/{}", folder_name(&name.namespace, &name.table));
        let folder = self.inner.root.child(&location)?;
        let row = RelationRow {
            name: name.clone(),
            kind: RelationKind::Table,
            location,
            definition: String::new(),
            created_ms: self.now_ms(),
        };
        Ok(TableEntry { row, folder })
    }

    /// Makes a finished table visible; false when the name was taken meanwhile.
    pub(crate) async fn insert_entry(&self, entry: &TableEntry) -> Result<bool> {
        self.catalog().insert_relation(&entry.row).await
    }

    pub(crate) async fn no_relation(&self, name: &TableName) -> Error {
        let known = self.catalog().relations(&name.namespace).await.unwrap_or_default();
        let near = did_you_mean(&name.table, known.iter().map(|row| row.name.table.as_str()));
        let namespaces = self.catalog().namespaces().await.unwrap_or_default();
        if !namespaces.contains(&name.namespace) {
            return self.no_namespace(&name.namespace).await;
        }
        Error::not_found(match near {
            Some(near) => {
                let near = TableName::new(name.namespace.clone(), near);
                format!("there is no table {name}; did you mean {near}?")
            }
            None => format!("there is no table {name}"),
        })
    }

    pub(crate) async fn no_namespace(&self, namespace: &str) -> Error {
        let known = self.catalog().namespaces().await.unwrap_or_default();
        Error::not_found(lakemill_base::unknown("namespace", namespace, known.iter().map(String::as_str)))
    }
}

/// A folder's name: the plain characters of the names, for people, and an id that is never used again.
fn folder_name(namespace: &str, name: &str) -> String {
    let plain = |text: &str| -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
        text.chars().take(48).map(safe).collect()
    };
    format!("{}.{}-{}", plain(namespace), plain(name), Uuid::now_v7().simple())
}
