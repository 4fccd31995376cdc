//! OPTIMIZE, VACUUM and RESTORE.
//!
//! VACUUM is the one place where data files and old log entries are removed; it also removes what failed writes left, and
//! the segments of indexes whose data files are gone.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use datafusion::execution::SessionState;
use deltalake::operations::optimize::OptimizeType;
use deltalake::operations::vacuum::VacuumMode;
use deltalake::protocol::checkpoints;
use lakemill_base::unknown;

use super::commit::{self, CommitId};
use super::sink;
use super::source::delta_session;
use super::{Commit, OptimizeMetrics, OptimizeSpec, VacuumReport, VacuumSpec};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::name::TableName;
use crate::table::At;

/// How long files stay after the newest version stopped needing them: readers and time travel still use them.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

impl Lake {
    /// Compacts small files, or orders rows by a Z-curve over columns. No row changes, so readers and appends go on.
    ///
    /// # Errors
    /// Conflict: another writer removed a file that was being compacted.
    pub async fn optimize(
        &self,
        name: &TableName,
        spec: OptimizeSpec,
        session: &SessionState,
    ) -> Result<OptimizeMetrics> {
        let (_, base) = self.table_to_change(name).await?;
        let schema = base.snapshot()?.arrow_schema();
        let partitions = base.snapshot()?.metadata().partition_columns();
        for column in &spec.zorder {
            if schema.field_with_name(column).is_err() {
                let known = schema.fields().iter().map(|field| field.name().as_str());
                return Err(Error::invalid(format!("table {name}: {}", unknown("column", column, known))));
            }
            if partitions.contains(column) {
                return Err(Error::invalid(format!(
                    "table {name} is partitioned by '{column}': every file holds one value of it, so ZORDER BY cannot use it"
                )));
            }
        }
        let target = spec.target_bytes.and_then(NonZeroU64::new).unwrap_or_else(sink::file_bytes);
        let kind = if spec.zorder.is_empty() { OptimizeType::Compact } else { OptimizeType::ZOrder(spec.zorder) };
        let session = Arc::new(delta_session(session));
        let settled = commit::run(name, &base, self.now_ms(), |properties| async {
            let builder = base
                .table()
                .clone()
                .optimize()
                .with_type(kind)
                .with_target_size(target)
                .with_session_state(session)
                .with_writer_properties(sink::writer_properties())
                .with_commit_properties(properties);
            builder.await
        })
        .await?;
        let (files_added, files_removed) =
            settled.value.map_or((0, 0), |metrics| (metrics.num_files_added, metrics.num_files_removed));
        Ok(OptimizeMetrics { version: settled.version, files_added, files_removed })
    }

    /// Removes files that no version within the retention needs, leftovers of failed writes among them, and log entries
    /// past the log's own retention (30 days).
    ///
    /// # Errors
    /// Unavailable: a file cannot be removed.
    pub async fn vacuum(&self, name: &TableName, spec: VacuumSpec) -> Result<VacuumReport> {
        let (entry, base) = self.table_to_change(name).await?;
        let retention = spec.retention.unwrap_or(RETENTION);
        let retention = TimeDelta::from_std(retention)
            .map_err(|_| Error::invalid("a retention of that many hours is too long; give fewer"))?;
        let id = CommitId::new();
        let (table, metrics) = base
            .table()
            .clone()
            .vacuum()
            .with_retention_period(retention)
            .with_enforce_retention_duration(false)
            .with_mode(VacuumMode::Full)
            .with_dry_run(spec.dry_run)
            .with_commit_properties(id.properties(self.now_ms(), commit::RETRIES))
            .await
            .map_err(|error| Error::from(error).context(format_args!("cannot vacuum table {name}")))?;
        if !spec.dry_run {
            checkpoints::cleanup_metadata(&table, None).await?;
            self.vacuum_indexes(&entry).await?;
        }
        let mut files = metrics.files_deleted;
        files.sort_unstable();
        Ok(VacuumReport { files, dry_run: spec.dry_run })
    }

    /// Makes an older version the newest.
    ///
    /// # Errors
    /// Not found: there is no such version. Data: VACUUM has removed its files.
    pub async fn restore(&self, name: &TableName, at: At) -> Result<Commit> {
        let (entry, base) = self.table_to_change(name).await?;
        let wanted = self.snapshots().at(&entry.folder, at).await?;
        if wanted.version() == base.version() {
            return Ok(Commit::new(base.version(), 0));
        }
        let version = wanted.version();
        let settled = commit::run(name, &base, self.now_ms(), |properties| async {
            let builder =
                base.table().clone().restore().with_version_to_restore(version).with_commit_properties(properties);
            builder.await
        })
        .await
        .map_err(|error| error.context(format_args!("cannot restore version {version}")))?;
        Ok(Commit::new(settled.version, 0))
    }
}
