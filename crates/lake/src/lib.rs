//! Lake tables (Delta), the catalog, object stores and raw files.
//!
//! - [`Lake`] is the door: a folder or an `s3://` prefix with its catalog.
//! - [`LakeTable`] is one table at one version, a DataFusion `TableProvider` that scans as plain Parquet.
//! - [`external`] reads raw files (CSV, JSON, Parquet, Avro, Arrow, Delta) where they lie.
//!
//! Not here: SQL text, models' meaning (an artifact is a map of named byte strings), pipelines' logic.
//!
//! **Architecture invariant:** the Delta log is the truth for data; the catalog keeps pointers, never file lists.

mod catalog;
mod commit_mark;
mod credential;
mod error;
pub mod external;
mod lake;
mod name;
mod run;
mod storage;
mod table;
mod types;
mod write;

pub use catalog::{
    ADMIN, AuditEntry, ExternalEntry, GrantEntry, LineageInput, LineageRecord, ModelEntry, ModelVersion,
    PrincipalEntry, PrincipalKind, Privilege, RelationKind, RelationSummary, Rights, RunLock, Securable, SecurableKind,
    TokenEntry, ViewEntry,
};
pub use commit_mark::CommitMark;
pub use credential::{Key, Token, Verifier, is_verifier, random};
pub use error::{Error, Result};
pub use lake::{GENERATED, Lake, LakeOptions, ModelDraft, Relation, SaveMode, VectorIndex};
pub use name::{DEFAULT_NAMESPACE, ModelName, TableName};
pub use run::{RunDetail, RunProcess, RunProgress, RunRecord, RunStatement, RunStep};
pub use table::{At, IndexableFile, LakeTable};
pub use types::{sql_type, with_sql_types};
pub use write::{
    Commit, MergeClause, MergeMetrics, MergeSpec, OptimizeMetrics, OptimizeSpec, TableDefinition, VacuumReport,
    VacuumSpec, WriteMode,
};
