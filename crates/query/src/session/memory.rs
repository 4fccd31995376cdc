//! The memory limit: how much, and how it is shared.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};

use crate::error::{Error, Result};

/// The share of the machine's memory that a session takes unless told otherwise.
const MACHINE_SHARE_PERCENT: u64 = 70;

/// What is assumed of a machine that does not tell.
const MACHINE_BYTES_DEFAULT: u64 = 4 << 30;

/// An error names this many of the largest consumers.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);

/// The most memory that the session's statements, training included, take together.
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

/// The bytes that a text such as `4GB`, `512 MiB`, `4G` or `70%` (of the machine) means.
///
/// # Errors
/// The text with what would be right.
pub(crate) fn parse_size(text: &str) -> Result<usize> {
    let wrong = || {
        Error::invalid(format!(
            "'{text}' is not an amount of memory; write a number and a unit, as in '4GB', '512MiB' or '70%'"
        ))
    };
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let scale = match unit.trim().to_ascii_lowercase().as_str() {
        "%" if number <= 100.0 => machine_bytes().unwrap_or(MACHINE_BYTES_DEFAULT) as f64 / 100.0,
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "kib" => 1024.0,
        "m" | "mb" => 1e6,
        "mib" => 1024.0 * 1024.0,
        "g" | "gb" => 1e9,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" => 1e12,
        "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = (number * scale) as usize;
    if bytes == 0 { Err(wrong()) } else { Ok(bytes) }
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

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn reads_amounts_and_says_what_would_be_right() {
        assert_eq!(parse_size("4GB").unwrap(), 4_000_000_000);
        assert_eq!(parse_size(" 1.5 mib ").unwrap(), 3 << 19);
        assert!(parse_size("50%").unwrap() > 0);
        for wrong in ["1 zebra", "", "lots", "-1GB", "0", "101%"] {
            let error = parse_size(wrong).unwrap_err().to_string();
            assert!(error.contains("write a number and a unit, as in '4GB'"), "{error}");
        }
    }
}
