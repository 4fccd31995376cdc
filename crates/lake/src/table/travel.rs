//! Versions and timestamps of the past.
//!
//! A version's time is its commit file's modification time, made to rise strictly with the version, as the Delta
//! protocol asks: clocks of several writers may disagree.

use deltalake::DeltaTableError;
use deltalake::logstore::LogStore;
use futures::TryStreamExt;
use jiff::Timestamp;
use object_store::ObjectStore;

use super::Pinned;
use crate::error::{Error, Result};

/// The commits that the log still has: version and time in milliseconds, in order.
pub(crate) async fn commits(pinned: &Pinned) -> Result<Vec<(u64, i64)>> {
    let log_store = pinned.table().log_store();
    let listing = log_store.object_store(None);
    let found: Vec<_> = listing.list(Some(log_store.log_path())).try_collect().await?;
    let mut commits: Vec<(u64, i64)> = found
        .iter()
        .filter_map(|file| Some((commit_version(file.location.filename()?)?, file.last_modified.timestamp_millis())))
        .filter(|(version, _)| *version <= pinned.version())
        .collect();
    commits.sort_unstable();
    let mut previous = i64::MIN;
    for (_, time_ms) in &mut commits {
        *time_ms = (*time_ms).max(previous.saturating_add(1));
        previous = *time_ms;
    }
    Ok(commits)
}

/// The version of a commit file's name.
fn commit_version(name: &str) -> Option<u64> {
    name.strip_suffix(".json").filter(|digits| digits.len() == 20)?.parse().ok()
}

/// Checks that a version exists; the range is in the error.
pub(super) async fn check_version(latest: &Pinned, version: u64) -> Result<u64> {
    if version == latest.version() {
        return Ok(version);
    }
    let first = commits(latest).await?.first().map_or(latest.version(), |(version, _)| *version);
    if version > latest.version() || version < first {
        return Err(Error::not_found(format!(
            "there is no version {version}; versions {first} to {} are available",
            latest.version()
        )));
    }
    Ok(version)
}

/// The newest version at or before a time; the range is in the error.
pub(super) async fn version_at(latest: &Pinned, time_ms: i64) -> Result<u64> {
    let commits = commits(latest).await?;
    if let Some((version, _)) = commits.iter().rev().find(|(_, committed_ms)| *committed_ms <= time_ms) {
        return Ok(*version);
    }
    let shown = |time_ms: i64| {
        Timestamp::from_millisecond(time_ms).map_or_else(|_| format!("{time_ms} ms"), |time| time.to_string())
    };
    let range = match (commits.first(), commits.last()) {
        (Some((_, first)), Some((_, last))) => {
            format!("times from {} to {} are available", shown(*first), shown(*last))
        }
        _ => "the log holds no commits".to_owned(),
    };
    Err(Error::not_found(format!("there is no version at or before {}; {range}", shown(time_ms))))
}

/// The log lists a version whose state can no longer be built.
pub(super) fn unreadable_version(version: u64, error: DeltaTableError) -> Error {
    Error::from(error).context(format_args!("cannot read version {version}"))
}
