//! The memory limit: how much, and how it is shared.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};

/// The share of the machine's memory that a session takes unless told otherwise.
const MACHINE_SHARE_PERCENT: u64 = 70;

/// What is assumed of a machine that does not tell.
const MACHINE_BYTES_DEFAULT: u64 = 4 << 30;

/// An error names this many of the largest consumers.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

/// The most memory that the session's queries take together.
#[derive(Clone, Debug)]
pub(crate) struct MemoryLimit {
    pool: Arc<dyn MemoryPool>,
}

impl MemoryLimit {
    /// A limit of `bytes`, or of the usual share of the machine.
    pub(crate) fn new(bytes: Option<usize>) -> Self {
        let bytes = bytes.unwrap_or_else(machine_share);
        // Operators that can spill share what the others leave, so that one large sort does not starve the rest.
        let pool = Arc::new(TrackConsumersPool::new(FairSpillPool::new(bytes), CONSUMERS_NAMED));
        Self { pool }
    }

    /// The pool that keeps it.
    pub(crate) fn pool(&self) -> Arc<dyn MemoryPool> {
        Arc::clone(&self.pool)
    }
}

fn machine_share() -> usize {
    let total = machine_bytes().unwrap_or(MACHINE_BYTES_DEFAULT);
    usize::try_from(total / 100 * MACHINE_SHARE_PERCENT).unwrap_or(usize::MAX)
}

/// The machine's memory, or the control group's limit where that is lower. Read from Linux's files: a library
/// that lists processes and disks would cost more than the rest of the start.
fn machine_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok();
    let total = meminfo.as_deref().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
    });
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    match (total, group) {
        (Some(total), Some(group)) => Some(u64::min(total, group)),
        (total, group) => total.or(group),
    }
}
