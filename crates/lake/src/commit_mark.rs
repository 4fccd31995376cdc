//! The point of no return of a statement.
//!
//! A statement may be dropped at any await until it begins to commit, and not after: a commit file or a catalog row that is
//! on its way may arrive although nobody waits for the answer. Commits happen deep inside deltalake's builders, so the task
//! that runs a statement carries its [`CommitMark`], and whatever is about to commit in that task sets it.
//!
//! Not here: cancelling. Whoever runs the statement looks at the mark before dropping it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::DeltaResult;
use deltalake::kernel::Version;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{CommitOrBytes, LogStore, LogStoreConfig, LogStoreRef};
use object_store::ObjectStore;
use uuid::Uuid;

tokio::task_local! {
    static MARK: CommitMark;
}

/// Whether a piece of work has begun to commit. Clones are the same mark.
#[derive(Clone, Debug, Default)]
pub struct CommitMark(Arc<AtomicBool>);

impl CommitMark {
    /// Runs `work`; this mark is set once it begins to commit.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        MARK.scope(self.clone(), work).await
    }

    /// Whether the work has begun to commit, and must be awaited.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Says that the statement of this task is about to commit. Work without a mark commits unseen.
pub(crate) fn begin_commit() {
    // Without a mark nobody asks.
    let _ = MARK.try_with(|mark| mark.0.store(true, Ordering::SeqCst));
}

/// A log store whose commits set the mark.
#[derive(Debug)]
pub(crate) struct MarkingLogStore(LogStoreRef);

impl MarkingLogStore {
    pub(crate) fn wrap(inner: LogStoreRef) -> LogStoreRef {
        Arc::new(Self(inner))
    }
}

#[async_trait]
impl LogStore for MarkingLogStore {
    /// deltalake chooses by the name how it commits: as the inner one does.
    fn name(&self) -> String {
        self.0.name()
    }

    async fn refresh(&self) -> DeltaResult<()> {
        self.0.refresh().await
    }

    async fn read_commit_entry(&self, version: Version) -> DeltaResult<Option<Bytes>> {
        self.0.read_commit_entry(version).await
    }

    async fn write_commit_entry(
        &self,
        version: Version,
        entry: CommitOrBytes,
        operation: Uuid,
    ) -> Result<(), TransactionError> {
        begin_commit();
        self.0.write_commit_entry(version, entry, operation).await
    }

    async fn abort_commit_entry(
        &self,
        version: Version,
        entry: CommitOrBytes,
        operation: Uuid,
    ) -> Result<(), TransactionError> {
        self.0.abort_commit_entry(version, entry, operation).await
    }

    async fn get_latest_version(&self, start: Version) -> DeltaResult<Version> {
        self.0.get_latest_version(start).await
    }

    fn object_store(&self, operation: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.0.object_store(operation)
    }

    fn root_object_store(&self, operation: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.0.root_object_store(operation)
    }

    fn config(&self) -> &LogStoreConfig {
        self.0.config()
    }
}
