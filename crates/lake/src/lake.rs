//! The lake: a folder or an `s3://` prefix, with its catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Field;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::logical_expr::{Expr, LogicalPlan};
use lakemill_base::{Clock, SystemClock};
use object_store::ObjectStore;
use url::Url;

use crate::catalog::{ExternalEntry, LineageRecord, ModelEntry, ModelVersion, RelationSummary, RunRecord, ViewEntry};
use crate::error::Result;
use crate::name::{ModelName, TableName};
use crate::table::{At, LakeTable};
use crate::write::{
    Commit, MergeMetrics, MergeSpec, OptimizeMetrics, OptimizeSpec, TableDefinition, VacuumReport, VacuumSpec,
    WriteMode,
};

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

/// What to do when the name of a model is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveMode {
    /// Fail.
    Create,
    /// Keep what is there.
    IfNotExists,
    /// Add a new version.
    Replace,
}

/// A model about to be saved.
#[derive(Clone, Debug)]
pub struct ModelDraft {
    /// For listings, such as `LOGISTIC_REG`.
    pub model_type: String,
    /// The artifact: file name to contents.
    pub files: BTreeMap<String, Bytes>,
    /// What the model was made from.
    pub lineage: serde_json::Value,
    /// Metrics and options for listings.
    pub summary: serde_json::Value,
}

impl Lake {
    /// Opens a lake, making it where there is none.
    pub async fn open(_options: LakeOptions) -> Result<Self> {
        todo!()
    }
    /// The options it was opened with.
    pub fn options(&self) -> &LakeOptions {
        &self.inner.options
    }
    /// The lake's place as a URL that ends in a slash.
    pub fn root_url(&self) -> &Url {
        todo!()
    }
    /// The object store of the lake's place, rooted at [`Lake::root_url`].
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        todo!()
    }
    /// A registry that finds `file://` and any `s3://` bucket with the lake's storage options; sessions put
    /// it into their `RuntimeEnv`.
    pub fn object_store_registry(&self) -> Arc<dyn ObjectStoreRegistry> {
        todo!()
    }

    /// Makes a namespace.
    pub async fn create_namespace(&self, _name: &str, _if_not_exists: bool) -> Result<bool> {
        todo!()
    }
    /// Drops a namespace; with `cascade` also what is in it.
    pub async fn drop_namespace(&self, _name: &str, _if_exists: bool, _cascade: bool) -> Result<bool> {
        todo!()
    }
    /// All namespaces in alphabetical order.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        todo!()
    }

    /// What a name stands for, a table pinned at a version. Not found: with a suggestion.
    pub async fn resolve(&self, _name: &TableName, _at: At) -> Result<Relation> {
        todo!()
    }
    /// Like [`Lake::resolve`], `None` where there is no such name.
    pub async fn find(&self, _name: &TableName, _at: At) -> Result<Option<Relation>> {
        todo!()
    }
    /// The tables, views and external tables of a namespace in alphabetical order.
    pub async fn list(&self, _namespace: &str) -> Result<Vec<RelationSummary>> {
        todo!()
    }

    /// Makes an empty table. `None`: it was there, and `if_not_exists` was given.
    pub async fn create_table(
        &self,
        _name: &TableName,
        _definition: &TableDefinition,
        _or_replace: bool,
        _if_not_exists: bool,
    ) -> Result<Option<Commit>> {
        todo!()
    }
    /// Writes the rows of a plan in one commit. `None`: `CREATE .. IF NOT EXISTS` found a table.
    pub async fn write(
        &self,
        _name: &TableName,
        _mode: WriteMode,
        _input: LogicalPlan,
        _session: &SessionState,
    ) -> Result<Option<Commit>> {
        todo!()
    }
    /// Deletes the rows that a predicate selects; all without one.
    pub async fn delete(&self, _name: &TableName, _predicate: Option<Expr>, _session: &SessionState) -> Result<Commit> {
        todo!()
    }
    /// Sets columns in the rows that a predicate selects.
    pub async fn update(
        &self,
        _name: &TableName,
        _set: Vec<(String, Expr)>,
        _predicate: Option<Expr>,
        _session: &SessionState,
    ) -> Result<Commit> {
        todo!()
    }
    /// Merges a source into a table.
    pub async fn merge(&self, _name: &TableName, _spec: MergeSpec, _session: &SessionState) -> Result<MergeMetrics> {
        todo!()
    }
    /// Adds nullable columns.
    pub async fn add_columns(&self, _name: &TableName, _fields: Vec<Field>) -> Result<Commit> {
        todo!()
    }
    /// Renames a column by rewriting the table as one new version.
    pub async fn rename_column(
        &self,
        _name: &TableName,
        _from: &str,
        _to: &str,
        _session: &SessionState,
    ) -> Result<Commit> {
        todo!()
    }
    /// Adds a CHECK constraint after checking the rows that are there.
    pub async fn add_check(
        &self,
        _name: &TableName,
        _check: &str,
        _sql: &str,
        _session: &SessionState,
    ) -> Result<Commit> {
        todo!()
    }
    /// Drops a CHECK constraint.
    pub async fn drop_check(&self, _name: &TableName, _check: &str, _if_exists: bool) -> Result<Commit> {
        todo!()
    }
    /// Compacts small files, or orders by a Z-curve.
    pub async fn optimize(
        &self,
        _name: &TableName,
        _spec: OptimizeSpec,
        _session: &SessionState,
    ) -> Result<OptimizeMetrics> {
        todo!()
    }
    /// Removes files that no version within the retention needs.
    pub async fn vacuum(&self, _name: &TableName, _spec: VacuumSpec) -> Result<VacuumReport> {
        todo!()
    }
    /// Makes an older version the newest.
    pub async fn restore(&self, _name: &TableName, _at: At) -> Result<Commit> {
        todo!()
    }
    /// The commits of a table, newest first: version, timestamp, operation, parameters, rows ..
    pub async fn history(&self, _name: &TableName, _limit: Option<usize>) -> Result<RecordBatch> {
        todo!()
    }
    /// Drops a table. False: there was none, and `if_exists` was given.
    pub async fn drop_table(&self, _name: &TableName, _if_exists: bool) -> Result<bool> {
        todo!()
    }
    /// Renames a table, view or external table; its files stay where they are.
    pub async fn rename_table(&self, _from: &TableName, _to: &TableName) -> Result<()> {
        todo!()
    }

    /// Makes a view.
    pub async fn create_view(
        &self,
        _name: &TableName,
        _sql: &str,
        _or_replace: bool,
        _if_not_exists: bool,
    ) -> Result<bool> {
        todo!()
    }
    /// Drops a view.
    pub async fn drop_view(&self, _name: &TableName, _if_exists: bool) -> Result<bool> {
        todo!()
    }
    /// Makes an external table; `entry.name` is its name. Infer its schema first with [`crate::external::infer`].
    pub async fn create_external(
        &self,
        _entry: ExternalEntry,
        _or_replace: bool,
        _if_not_exists: bool,
    ) -> Result<bool> {
        todo!()
    }
    /// Drops an external table, not its files.
    pub async fn drop_external(&self, _name: &TableName, _if_exists: bool) -> Result<bool> {
        todo!()
    }

    /// Saves a model as a new version. `None`: it was there, and the mode was `IfNotExists`.
    pub async fn save_model(
        &self,
        _name: &ModelName,
        _draft: ModelDraft,
        _mode: SaveMode,
    ) -> Result<Option<ModelVersion>> {
        todo!()
    }
    /// A model's entry, the latest version by default. Not found: with a suggestion.
    pub async fn model(&self, _name: &ModelName, _version: Option<u64>) -> Result<ModelEntry> {
        todo!()
    }
    /// A model's entry and artifact.
    pub async fn load_model(
        &self,
        _name: &ModelName,
        _version: Option<u64>,
    ) -> Result<(ModelEntry, BTreeMap<String, Bytes>)> {
        todo!()
    }
    /// The latest version of every model, in alphabetical order.
    pub async fn models(&self, _namespace: Option<&str>) -> Result<Vec<ModelEntry>> {
        todo!()
    }
    /// All versions of a model, newest first.
    pub async fn model_versions(&self, _name: &ModelName) -> Result<Vec<ModelVersion>> {
        todo!()
    }
    /// Drops a model with all its versions.
    pub async fn drop_model(&self, _name: &ModelName, _if_exists: bool) -> Result<bool> {
        todo!()
    }

    /// Records what a table, view or model was made from.
    pub async fn record_lineage(&self, _record: &LineageRecord) -> Result<()> {
        todo!()
    }
    /// The lineage of an object, newest first. `kind` is as in [`LineageRecord::kind`].
    pub async fn lineage_of(&self, _kind: &str, _namespace: &str, _name: &str) -> Result<Vec<LineageRecord>> {
        todo!()
    }

    /// The state that a pipeline step left.
    pub async fn step_state(&self, _pipeline: &str, _step: &str) -> Result<Option<serde_json::Value>> {
        todo!()
    }
    /// Keeps the state of a pipeline step.
    pub async fn save_step_state(&self, _pipeline: &str, _step: &str, _state: &serde_json::Value) -> Result<()> {
        todo!()
    }
    /// Forgets the state of a pipeline step.
    pub async fn clear_step_state(&self, _pipeline: &str, _step: &str) -> Result<()> {
        todo!()
    }
    /// Records that a run began; gives its id.
    pub async fn start_run(&self, _pipeline: &str, _detail: &serde_json::Value) -> Result<String> {
        todo!()
    }
    /// Records how a run ended.
    pub async fn finish_run(&self, _id: &str, _status: &str, _detail: &serde_json::Value) -> Result<()> {
        todo!()
    }
    /// The runs of a pipeline, newest first.
    pub async fn runs(&self, _pipeline: &str, _limit: usize) -> Result<Vec<RunRecord>> {
        todo!()
    }
}
