//! Cancelling a statement: before its commit nothing happens, from its commit on it is done, and the answer says which.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::{NoObserver, Observer, Session, SessionOptions};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use tempfile::TempDir;
use url::Url;

/// The local disk, with commits that take their time and say when they begin.
#[derive(Debug)]
struct SlowCommits {
    disk: LocalFileSystem,
    committing: Arc<AtomicBool>,
}

impl fmt::Display for SlowCommits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slow commits")
    }
}

#[async_trait]
impl ObjectStore for SlowCommits {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if path.as_ref().contains("_delta_log/") {
            self.committing.store(true, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        self.disk.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.disk.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.disk.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.disk.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.disk.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.disk.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.disk.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.disk.copy_opts(from, to, options).await
    }
}

/// Cancels once the flag is set.
#[derive(Debug)]
struct CancelWhen(Arc<AtomicBool>);

impl Observer for CancelWhen {
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

struct Fixture {
    _folder: TempDir,
    session: Session,
    committing: Arc<AtomicBool>,
}

impl Fixture {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(LakeOptions::new(folder.path().to_str().unwrap())).await.unwrap();
        let committing = Arc::new(AtomicBool::new(false));
        let store = SlowCommits { disk: LocalFileSystem::new(), committing: Arc::clone(&committing) };
        lake.object_store_registry().register_store(&Url::parse("file:///").unwrap(), Arc::new(store));
        let session = Session::open(lake, SessionOptions::default()).unwrap();
        session.sql("CREATE TABLE t AS SELECT value AS a FROM generate_series(1, 10)").await.unwrap();
        committing.store(false, Ordering::SeqCst);
        Self { _folder: folder, session, committing }
    }

    /// Executes a statement that is cancelled when `flag` is set; gives what it says of itself.
    async fn cancelled_when(&self, flag: &Arc<AtomicBool>, sql: &str) -> std::result::Result<String, String> {
        let parsed = self.session.parse(sql).unwrap().remove(0);
        match self.session.execute(&parsed, Arc::new(CancelWhen(Arc::clone(flag)))).await {
            Ok(executed) => match executed.outcome {
                lakemill_query::Outcome::Done(summary) => Ok(summary.message),
                lakemill_query::Outcome::Rows(_) => panic!("{sql} is no query"),
            },
            Err(error) => Err(error.message().to_owned()),
        }
    }

    async fn count(&self, sql: &str) -> usize {
        self.session.sql(sql).await.unwrap().iter().map(|batch| batch.num_rows()).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_while_it_commits_is_done_and_says_so() {
    let f = Fixture::new().await;
    for (sql, says, rows) in [
        ("INSERT INTO t VALUES (11), (12)", "inserted 2 rows into t (version 1)", 12),
        ("DELETE FROM t WHERE a > 10", "deleted 2 rows from t (version 2)", 10),
        ("UPDATE t SET a = a + 1 WHERE a < 3", "updated 2 rows in t (version 3)", 10),
        ("CREATE OR REPLACE TABLE t AS SELECT value AS a FROM generate_series(1, 3)", "(version 4)", 3),
    ] {
        f.committing.store(false, Ordering::SeqCst);
        let said = f.cancelled_when(&f.committing, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(said.contains(says), "{sql}: {said}");
        assert!(f.committing.load(Ordering::SeqCst), "{sql} was cancelled while it committed");
        assert_eq!(f.count("SELECT * FROM t").await, rows, "{sql}");
    }
    f.committing.store(false, Ordering::SeqCst);
    f.cancelled_when(&f.committing, "CREATE TABLE u AS SELECT 1 AS a").await.unwrap();
    assert_eq!(f.count("SELECT * FROM u").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_before_it_commits_changes_nothing() {
    let f = Fixture::new().await;
    let now = Arc::new(AtomicBool::new(true));
    let endless = "SELECT a.value AS a FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    for sql in [
        format!("INSERT INTO t {endless}"),
        format!("CREATE OR REPLACE TABLE t AS {endless}"),
        format!("CREATE TABLE u AS {endless}"),
        format!("MERGE INTO t USING ({endless}) AS s ON t.a = s.a WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a)"),
    ] {
        let error = f.cancelled_when(&now, &sql).await.unwrap_err();
        assert_eq!(error, "the statement was cancelled; nothing was committed", "{sql}");
    }
    assert!(!f.committing.load(Ordering::SeqCst), "no commit has begun");
    assert_eq!(f.count("SELECT * FROM t").await, 10);
    let parsed = f.session.parse("SELECT * FROM u").unwrap().remove(0);
    assert!(f.session.execute(&parsed, Arc::new(NoObserver)).await.is_err(), "u was not made");
}

/// Without a yield or a question within the join each of these would run for hours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_that_make_many_rows_or_none_are_stopped_while_they_run() {
    let f = Fixture::new().await;
    let many = "generate_series(1, 1000000)";
    let same = format!("(SELECT 1 AS k, value AS v FROM {many})");
    for join in [
        format!("{many} a, {many} b"),
        format!("{many} a JOIN {many} b ON a.value * b.value < 0"),
        format!("{many} a LEFT JOIN {many} b ON a.value > b.value + 1000000"),
        format!("{same} a JOIN {same} b ON a.k = b.k AND a.v + b.v < 0"),
    ] {
        let stop = Arc::new(AtomicBool::new(false));
        // A thread of its own: the join may keep all of the runtime's.
        let later = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let (_open, never) = std::sync::mpsc::channel::<()>();
                let _ = never.recv_timeout(Duration::from_millis(300));
                stop.store(true, Ordering::SeqCst);
            }
        });
        let error = f.cancelled_when(&stop, &format!("CREATE TABLE u AS SELECT count(*) AS n FROM {join}")).await;
        assert_eq!(error.unwrap_err(), "the statement was cancelled; nothing was committed", "{join}");
        later.join().unwrap();
    }
}
