//! Changes to tables: each is one Delta commit.
//!
//! Rows are written by this crate's own sink (`sink`): it casts to Delta's types, enforces NOT NULL and CHECK with texts
//! that name the rule, and encodes on all cores; the files become visible by one commit. DELETE, UPDATE, MERGE,
//! replace-where, OPTIMIZE, VACUUM and RESTORE go through deltalake's builders.
//!
//! **What a crash leaves behind.** Data files are written first and named by one put-if-absent of the commit file. Before
//! that put, the files are orphans, which VACUUM removes (an error removes them itself, `draft`); after it, the change is complete. Checkpoints come after the
//! commit and only speed up reading; one that is missing or half-written is ignored.
//!
//! **What is checked.** Every commit carries an application transaction with an id of its own (`commit`), so that a commit
//! whose answer was lost is found in the log instead of being made twice.

mod alter;
mod change;
mod commit;
mod draft;
mod history;
mod maintain;
mod merge;
mod rows;
mod rules;
mod sink;
mod source;
mod types;

pub(crate) use types::cast_plan;

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The columns and rules of a new table. NOT NULL is in the schema.
#[derive(Clone, Debug)]
pub struct TableDefinition {
    /// Columns; `Field::is_nullable` is NOT NULL.
    pub schema: SchemaRef,
    /// CHECK constraints: name and SQL.
    pub checks: Vec<(String, String)>,
    /// Partition columns in order.
    pub partition_by: Vec<String>,
    /// A comment.
    pub comment: Option<String>,
}

/// How rows get into a table.
#[derive(Clone, Debug)]
pub enum WriteMode {
    /// Makes the table with the input's schema.
    Create {
        /// A table that is there gets these columns and rows as its next version.
        or_replace: bool,
        /// A table that is there stays as it is.
        if_not_exists: bool,
        /// Partition columns in order.
        partition_by: Vec<String>,
    },
    /// Adds rows. Input columns are matched by name; absent ones are NULL.
    Append,
    /// Replaces all rows.
    Overwrite,
    /// Replaces the rows that a predicate selects; every new row must fulfil it.
    ReplaceWhere(Expr),
}

/// A change that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The version that it made.
    pub version: u64,
    /// Rows inserted, updated or deleted.
    pub rows: u64,
    /// Rows of raw files that were left out because they could not be read.
    pub bad_rows: u64,
}

impl Commit {
    /// A change that read no raw file.
    const fn new(version: u64, rows: u64) -> Self {
        Self { version, rows, bad_rows: 0 }
    }
}

/// `MERGE INTO target USING source ON ..`. Columns of the target and the source are qualified by the aliases.
#[derive(Clone, Debug)]
pub struct MergeSpec {
    /// How expressions call the target.
    pub target_alias: String,
    /// How expressions call the source.
    pub source_alias: String,
    /// The source's rows.
    pub source: LogicalPlan,
    /// The join condition.
    pub on: Expr,
    /// WHEN clauses in order; the first that fits a row counts.
    pub clauses: Vec<MergeClause>,
}

/// A WHEN clause of MERGE.
#[derive(Clone, Debug)]
pub enum MergeClause {
    /// `WHEN MATCHED [AND p] THEN UPDATE SET ..`
    MatchedUpdate {
        /// The extra condition.
        predicate: Option<Expr>,
        /// Target column and value.
        set: Vec<(String, Expr)>,
    },
    /// `WHEN MATCHED [AND p] THEN DELETE`
    MatchedDelete {
        /// The extra condition.
        predicate: Option<Expr>,
    },
    /// `WHEN NOT MATCHED [BY TARGET] [AND p] THEN INSERT ..`
    NotMatchedInsert {
        /// The extra condition.
        predicate: Option<Expr>,
        /// Target column and value.
        values: Vec<(String, Expr)>,
    },
    /// `WHEN NOT MATCHED BY SOURCE [AND p] THEN UPDATE SET ..`
    NotMatchedBySourceUpdate {
        /// The extra condition.
        predicate: Option<Expr>,
        /// Target column and value.
        set: Vec<(String, Expr)>,
    },
    /// `WHEN NOT MATCHED BY SOURCE [AND p] THEN DELETE`
    NotMatchedBySourceDelete {
        /// The extra condition.
        predicate: Option<Expr>,
    },
}

/// What a MERGE did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeMetrics {
    /// The version that it made.
    pub version: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
}

/// `OPTIMIZE t [ZORDER BY (..)]`.
#[derive(Clone, Debug, Default)]
pub struct OptimizeSpec {
    /// Columns of the Z-curve; empty: only compaction.
    pub zorder: Vec<String>,
    /// Files are made about this large.
    pub target_bytes: Option<u64>,
}

/// What an OPTIMIZE did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptimizeMetrics {
    /// The newest version afterwards.
    pub version: u64,
    /// Files written.
    pub files_added: u64,
    /// Files replaced.
    pub files_removed: u64,
}

/// `VACUUM [t] [RETAIN n HOURS] [DRY RUN]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct VacuumSpec {
    /// Files of versions younger than this stay, 7 days by default; of the whole lake, files younger than this, a day by default.
    pub retention: Option<Duration>,
    /// Only tells which files would go.
    pub dry_run: bool,
}

/// What a VACUUM removed or would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VacuumReport {
    /// Paths relative to the table.
    pub files: Vec<String>,
    /// True when nothing was removed.
    pub dry_run: bool,
}
