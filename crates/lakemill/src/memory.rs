//! How much memory there is, and how much of it a user wants to spend.

use std::fmt;
use std::str::FromStr;

/// A size given as bytes (`4GB`, `512MiB`) or as a share of the machine (`70%`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum MemoryLimit {
    Bytes(u64),
    Percent(f64),
}

impl MemoryLimit {
    /// The limit in bytes on this machine.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => (machine_memory_bytes() as f64 * percent / 100.0) as u64,
        }
    }
}

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a size; write it like 4GB, 512MiB or 70%");
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "%" if number > 0.0 && number <= 100.0 => return Ok(Self::Percent(number)),
            "%" => return Err(format!("'{text}' is not a share of the machine; give more than 0% and at most 100%")),
            "" | "b" => 1,
            "k" | "kb" => 1_000,
            "kib" => 1 << 10,
            "m" | "mb" => 1_000_000,
            "mib" => 1 << 20,
            "g" | "gb" => 1_000_000_000,
            "gib" => 1 << 30,
            "t" | "tb" => 1_000_000_000_000,
            "tib" => 1 << 40,
            _ => return Err(wrong()),
        };
        let bytes = (number * scale as f64) as u64;
        if bytes < MEMORY_BYTES_MIN {
            return Err(format!("'{text}' is too little memory to plan a query; give at least 16MB"));
        }
        Ok(Self::Bytes(bytes))
    }
}

/// Below this, sorts and joins cannot even reserve what they need to start spilling.
const MEMORY_BYTES_MIN: u64 = 16_000_000;

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// The memory that this process may use: the machine's, or its control group's where that is less.
fn machine_memory_bytes() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = system.total_memory();
    system.cgroup_limits().map_or(machine, |group| group.total_memory.min(machine)).max(MEMORY_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use super::MemoryLimit;

    #[test]
    fn reads_sizes() {
        let read = |text: &str| text.parse::<MemoryLimit>();
        assert_eq!(read("4GB"), Ok(MemoryLimit::Bytes(4_000_000_000)));
        assert_eq!(read("512 MiB"), Ok(MemoryLimit::Bytes(512 << 20)));
        assert_eq!(read("1.5g"), Ok(MemoryLimit::Bytes(1_500_000_000)));
        assert_eq!(read("70%"), Ok(MemoryLimit::Percent(70.0)));
        for wrong in ["", "lots", "-1GB", "0%", "101%", "4XB", "1kb"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_a_share() {
        let half = MemoryLimit::Percent(50.0).bytes();
        let whole = MemoryLimit::Percent(100.0).bytes();
        assert!(half > 0 && half.abs_diff(whole / 2) <= 1);
    }
}
