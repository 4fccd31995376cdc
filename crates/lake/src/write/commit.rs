//! Commits that can be told apart, retried and explained.

use std::future::Future;

use deltalake::DeltaTable;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::kernel::{Action, Transaction};
use deltalake::logstore::{LogStore, LogStoreRef, get_actions};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, checkpoints};
use deltalake::{DeltaResult, DeltaTableError};
use lakemill_base::{ErrorKind, SplitMix64};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::name::TableName;
use crate::table::Pinned;

/// Attempts of a commit that conflicts with nothing but keeps finding its version taken.
pub(super) const RETRIES: usize = 40;

/// Rounds of attempts of an append, with growing pauses between them.
const APPEND_ROUNDS: u32 = 6;

/// The first pause between two rounds; it doubles and is spread at random, so that writers do not meet again.
const PAUSE_MS: u64 = 20;

/// A checkpoint is written at every version that this divides, by whoever committed it.
const CHECKPOINT_INTERVAL: u64 = 20;

/// The id of one commit.
#[derive(Clone, Debug)]
pub(super) struct CommitId(Uuid);

impl CommitId {
    pub(super) fn new() -> Self {
        Self(Uuid::now_v7())
    }

    fn app_id(&self) -> String {
        format!("lakemill-{}", self.0)
    }

    /// The properties of a commit with this id. Checkpoints and log cleanup are done elsewhere, by one owner.
    pub(super) fn properties(&self, now_ms: i64, retries: usize) -> CommitProperties {
        CommitProperties::default()
            .with_metadata([("lakemill".to_owned(), env!("CARGO_PKG_VERSION").into())])
            .with_application_transaction(Transaction::new_with_last_update(self.app_id(), 1, Some(now_ms)))
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false))
            .with_max_retries(retries)
    }
}

/// A commit that is there; `value` is missing when its answer was lost.
#[derive(Debug)]
pub(super) struct Settled<T> {
    pub(super) version: u64,
    pub(super) value: Option<T>,
}

/// Turns a builder's outcome into a version: looks an uncertain commit up in the log, explains a conflict, and writes the
/// checkpoint that is due.
pub(super) async fn settle<T>(
    name: &TableName,
    base: Option<&Pinned>,
    log_store: &LogStoreRef,
    id: &CommitId,
    outcome: DeltaResult<(DeltaTable, T)>,
) -> Result<Settled<T>> {
    let base_version = base.map(Pinned::version);
    let error = match outcome {
        Ok((table, value)) => {
            let version = table.version().unwrap_or_default();
            if Some(version) != base_version {
                checkpoint_if_due(name, &table).await;
            }
            return Ok(Settled { version, value: Some(value) });
        }
        Err(error) => error,
    };
    let error = Error::from(error);
    if !matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Unavailable | ErrorKind::Internal) {
        return Err(error.context(format_args!("table {name}")));
    }
    if let Some(version) = find_commit(log_store, base_version, id).await? {
        return Ok(Settled { version, value: None });
    }
    Err(match (error.kind(), base_version) {
        (ErrorKind::Conflict, Some(base)) => conflict(name, base, log_store, error).await,
        _ => error.context(format_args!("table {name}")),
    })
}

async fn conflict(name: &TableName, base: u64, log_store: &LogStoreRef, cause: Error) -> Error {
    let latest = log_store.get_latest_version(base).await.unwrap_or(base + 1);
    let operation =
        operation_of(log_store, latest).await.map(|operation| format!(" ({operation})")).unwrap_or_default();
    Error::conflict(format!(
        "table {name} was changed meanwhile: this statement read version {base}, and another writer committed version \
         {latest}{operation}; run it again"
    ))
    .with_source(cause)
}

async fn operation_of(log_store: &LogStoreRef, version: u64) -> Option<String> {
    let entry = log_store.read_commit_entry(version).await.ok()??;
    get_actions(version, &entry).ok()?.into_iter().find_map(|action| match action {
        Action::CommitInfo(info) => info.operation,
        _ => None,
    })
}

/// The version that a commit became, if it did, among those after `base`.
async fn find_commit(log_store: &LogStoreRef, base: Option<u64>, id: &CommitId) -> Result<Option<u64>> {
    let app_id = id.app_id();
    let mut version = base.map_or(0, |base| base + 1);
    while let Some(entry) = log_store.read_commit_entry(version).await? {
        let ours = |action: &Action| matches!(action, Action::Txn(transaction) if transaction.app_id == app_id);
        if get_actions(version, &entry)?.iter().any(ours) {
            return Ok(Some(version));
        }
        version += 1;
    }
    Ok(None)
}

/// Commits actions on top of a snapshot. An append is tried again for as long as nothing but the version number is in
/// its way.
pub(super) async fn commit_actions(
    base: &Pinned,
    name: &TableName,
    actions: Vec<Action>,
    operation: DeltaOperation,
    now_ms: i64,
    retries: usize,
) -> Result<u64> {
    let log_store = base.table().log_store();
    let id = CommitId::new();
    let mut random = SplitMix64::new(id.0.as_u64_pair().1);
    let rounds = if retries == 0 { 1 } else { APPEND_ROUNDS };
    let mut round = 0;
    loop {
        let snapshot = base.snapshot()?;
        let outcome = CommitBuilder::from(id.properties(now_ms, retries))
            .with_actions(actions.clone())
            .build(Some(snapshot as &dyn TableReference), log_store.clone(), operation.clone())
            .await
            .map(|commit| {
                let mut table = DeltaTable::new(log_store.clone());
                table.state = Some(commit.snapshot());
                (table, ())
            });
        round += 1;
        let crowded = matches!(&outcome, Err(error) if round < rounds && is_crowded(error));
        if !crowded || find_commit(&log_store, Some(base.version()), &id).await?.is_some() {
            return Ok(settle(name, Some(base), &log_store, &id, outcome).await?.version);
        }
        let pause_ms = (PAUSE_MS << round) + random.below(PAUSE_MS << round);
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
    }
}

fn is_crowded(error: &DeltaTableError) -> bool {
    use deltalake::kernel::transaction::TransactionError;
    matches!(error, DeltaTableError::Transaction { source: TransactionError::MaxCommitAttempts(_) })
}

/// Runs a create builder with a commit id.
pub(super) async fn commit_create(
    name: &TableName,
    base: Option<&Pinned>,
    log_store: &LogStoreRef,
    builder: CreateBuilder,
    now_ms: i64,
) -> Result<u64> {
    let id = CommitId::new();
    let outcome = builder.with_commit_properties(id.properties(now_ms, 0)).await.map(|table| (table, ()));
    Ok(settle(name, base, log_store, &id, outcome).await?.version)
}

/// Runs one of deltalake's builders with a commit id.
pub(super) async fn run<T, F, Fut>(name: &TableName, base: &Pinned, now_ms: i64, operation: F) -> Result<Settled<T>>
where
    F: FnOnce(CommitProperties) -> Fut,
    Fut: Future<Output = DeltaResult<(DeltaTable, T)>>,
{
    let id = CommitId::new();
    let outcome = Box::pin(operation(id.properties(now_ms, RETRIES))).await;
    settle(name, Some(base), &base.table().log_store(), &id, outcome).await
}

/// A version is committed by one process, so each checkpoint has one owner. Failing to write one is no failure of the
/// commit: it will be made at the next interval.
async fn checkpoint_if_due(name: &TableName, table: &DeltaTable) {
    let Some(version) = table.version() else { return };
    let configured = table.snapshot().ok().and_then(|state| {
        state.metadata().configuration().get("delta.checkpointInterval").and_then(|text| text.parse().ok())
    });
    let interval = configured.unwrap_or(CHECKPOINT_INTERVAL).max(1);
    if version == 0 || version % interval != 0 {
        return;
    }
    if let Err(error) = checkpoints::create_checkpoint(table, None).await {
        tracing::warn!(%error, table = %name, version, "no checkpoint was written");
    }
}
