//! `OPTIMIZE`, `VACUUM` and `RESTORE`: tending a table.

use std::time::Duration;

use lakemill_lake::{OptimizeSpec, VacuumSpec};
use sqlparser::ast::{Ident, ObjectName};

use super::write::{changing, record};
use crate::dialect::{TimePoint, normalized};
use crate::error::{Error, Result};
use crate::model::reindex;
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, position_of};

pub(super) async fn optimize(scope: &StatementScope, table: &ObjectName, zorder: &[Ident]) -> Result<Outcome> {
    let name = scope.table_name(table)?;
    let spec = OptimizeSpec { zorder: zorder.iter().map(normalized).collect(), target_bytes: None };
    let metrics = changing(scope, |state| async {
        let state = state;
        let done = scope.lake().optimize(&name, spec, &state).await;
        done.map_err(|error| scope.locate(error.into(), position_of(table)))
    })
    .await?;
    record(scope, &name, "table", metrics.version).await?;
    // The commit is made: what an index lacks does not undo it.
    let unindexed = reindex(scope, &name).await.unwrap_or_else(|error| vec![error.message().to_owned()]);
    let message = match metrics.files_removed {
        0 => format!("{name} needs no optimizing (version {})", metrics.version),
        removed => {
            format!("optimized {name}: {removed} files became {} (version {})", metrics.files_added, metrics.version)
        }
    };
    let mut summary = Summary::new(message)
        .with_detail("files_added", metrics.files_added)
        .with_detail("files_removed", metrics.files_removed);
    for index in unindexed {
        summary = summary.with_detail("vector_index", index);
    }
    Ok(Outcome::Done(summary))
}

pub(super) async fn vacuum(
    scope: &StatementScope,
    table: &ObjectName,
    retain_hours: Option<f64>,
    dry_run: bool,
) -> Result<Outcome> {
    let name = scope.table_name(table)?;
    let retention = match retain_hours.map(|hours| Duration::try_from_secs_f64(hours * 3600.0)) {
        Some(Err(_)) => return Err(Error::invalid("RETAIN takes a number of hours that is neither negative nor huge")),
        Some(Ok(retention)) => Some(retention),
        None => None,
    };
    let report = scope
        .lake()
        .vacuum(&name, VacuumSpec { retention, dry_run })
        .await
        .map_err(|error| scope.locate(error.into(), position_of(table)))?;
    let count = report.files.len();
    let files = if count == 1 { "file" } else { "files" };
    let verb = if report.dry_run { "would remove" } else { "removed" };
    let mut summary = Summary::new(format!("{verb} {count} {files} of {name} that no kept version needs"));
    for file in report.files {
        summary = summary.with_detail("file", file);
    }
    Ok(Outcome::Done(summary))
}

/// Removes what no table, model or index of the lake is made of.
pub(super) async fn vacuum_lake(scope: &StatementScope, dry_run: bool) -> Result<Outcome> {
    let folders = scope.lake().clean_orphans(VacuumSpec { retention: None, dry_run }).await?;
    let verb = if dry_run { "would remove" } else { "removed" };
    let count = folders.len();
    let noun = if count == 1 { "folder" } else { "folders" };
    let mut summary = Summary::new(format!("{verb} {count} {noun} that nothing in the lake points to"));
    for folder in folders {
        summary = summary.with_detail("folder", folder);
    }
    Ok(Outcome::Done(summary))
}

pub(super) async fn restore(scope: &StatementScope, table: &ObjectName, to: &TimePoint) -> Result<Outcome> {
    let name = scope.table_name(table)?;
    let at = match to {
        TimePoint::Version(version) => scope.at_version(version)?,
        TimePoint::Timestamp(time) => scope.at_timestamp(time)?,
    };
    let commit =
        scope.lake().restore(&name, at).await.map_err(|error| scope.locate(error.into(), position_of(table)))?;
    record(scope, &name, "table", commit.version).await?;
    let point = match to {
        TimePoint::Version(version) => format!("version {version}"),
        TimePoint::Timestamp(time) => format!("its state at {time}"),
    };
    Ok(Outcome::Done(Summary::new(format!("restored {name} to {point} (version {})", commit.version))))
}
