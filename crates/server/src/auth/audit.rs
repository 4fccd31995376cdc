//! Lines of the audit log on their way to the catalog: nobody waits for them, and they are written several at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lakemill_lake::{AuditEntry, Lake};
use lakemill_query::Auditor;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Lines that wait to be written. What comes when they are as many is lost, and the log says how many were.
const QUEUE_MAX: usize = 4_096;

/// Lines that are written together.
const BATCH_MAX: usize = 256;

/// How often lines that have become too old are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

/// The way to the audit log.
#[derive(Debug)]
pub(super) struct Audit {
    sender: mpsc::Sender<AuditEntry>,
    lost: Arc<AtomicU64>,
    stop: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Starts what writes the lines, and removes those that are older than `keep`.
    pub(super) fn start(lake: Lake, work: &Handle, keep: Option<Duration>) -> Arc<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let (lost, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let forget = keep.map(|keep| work.spawn(forget(lake.clone(), keep, stop.clone())));
        let lines = write(lake, receiver, Arc::clone(&lost), stop.clone());
        let writer = work.spawn(async move {
            lines.await;
            if let Some(forget) = forget {
                let _ = forget.await;
            }
        });
        Arc::new(Self { sender, lost, stop, writer: Mutex::new(Some(writer)) })
    }

    /// Takes no more lines, and waits until those that it has are written.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            let _ = writer.await;
        }
    }
}

impl Auditor for Audit {
    fn record(&self, entry: AuditEntry) {
        if self.sender.try_send(entry).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn write(lake: Lake, mut lines: mpsc::Receiver<AuditEntry>, lost: Arc<AtomicU64>, stop: CancellationToken) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        let count = tokio::select! {
            biased;
            count = lines.recv_many(&mut batch, BATCH_MAX) => count,
            () = stop.cancelled() => {
                lines.close();
                lines.recv_many(&mut batch, BATCH_MAX).await
            }
        };
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            batch.push(lost_lines(&lake, lost));
        }
        if !batch.is_empty()
            && let Err(error) = lake.record_audit(std::mem::take(&mut batch)).await
        {
            tracing::error!(%error, "the audit log cannot be written");
        }
        if count == 0 {
            return;
        }
    }
}

/// Removes lines that are older than `keep`, now and from time to time.
async fn forget(lake: Lake, keep: Duration, stop: CancellationToken) {
    let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let mut turns = tokio::time::interval(FORGET_EVERY);
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            () = stop.cancelled() => return,
        }
        match lake.forget_audit(lake.options().clock.now_ms().saturating_sub(keep_ms)).await {
            Ok(0) => {}
            Ok(lines) => tracing::info!(lines, "old lines of the audit log were removed"),
            Err(error) => tracing::error!(%error, "old lines of the audit log cannot be removed"),
        }
    }
}

fn lost_lines(lake: &Lake, count: u64) -> AuditEntry {
    AuditEntry {
        at_ms: lake.options().clock.now_ms(),
        user: String::new(),
        address: String::new(),
        protocol: "server".to_owned(),
        action: "audit".to_owned(),
        object: String::new(),
        outcome: format!("{count} lines were lost: they came faster than the catalog takes them"),
    }
}
