//! How often a password may be guessed: after a few failures of a user from an address, that user waits there, longer
//! each time.
//!
//! Neither a user nor an address alone is shut out: that would let anybody shut out anybody.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use lakemill_base::Stopwatch;
use parking_lot::Mutex;

/// Failures before the first wait: people mistype.
const FREE: u32 = 5;

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// When failures are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// Users and addresses that are remembered; the one that failed longest ago goes first.
const KEYS_MAX: usize = 10_000;

/// The failures of late.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<(String, IpAddr), Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Stopwatch,
}

impl Failures {
    fn wait(self) -> Duration {
        match self.count.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(beyond) => Duration::from_secs(1 << beyond.min(16)).min(WAIT_MAX),
        }
    }
}

impl Throttle {
    /// How long a user has to wait at an address; `None`: it may try.
    pub(super) fn wait(&self, user: &str, address: IpAddr) -> Option<Duration> {
        let failures = *self.0.lock().get(&(user.to_owned(), address))?;
        failures.wait().checked_sub(failures.last.elapsed()).filter(|wait| !wait.is_zero())
    }

    /// Counts a failure. Gives whether the audit log should have a line of it: the first ones, then ever fewer, so that
    /// nobody fills the catalog by failing.
    pub(super) fn failed(&self, user: &str, address: IpAddr) -> bool {
        let mut keys = self.0.lock();
        if keys.len() >= KEYS_MAX {
            keys.retain(|_, failures| failures.last.elapsed() < FORGOTTEN);
        }
        if keys.len() >= KEYS_MAX {
            let oldest = keys.iter().max_by_key(|(_, failures)| failures.last.elapsed()).map(|(key, _)| key.clone());
            oldest.map(|key| keys.remove(&key));
        }
        let failures =
            keys.entry((user.to_owned(), address)).or_insert_with(|| Failures { count: 0, last: Stopwatch::start() });
        if failures.last.elapsed() >= FORGOTTEN {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = Stopwatch::start();
        failures.count <= FREE || failures.count.is_power_of_two()
    }

    /// Forgets the failures of a user who has logged in.
    pub(super) fn passed(&self, user: &str, address: IpAddr) {
        self.0.lock().remove(&(user.to_owned(), address));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use super::{Failures, KEYS_MAX, Throttle};

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn the_sixth_guess_waits_and_others_do_not() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            assert!(throttle.wait("ann", HOME).is_none());
            assert!(throttle.failed("ann", HOME));
        }
        assert!(throttle.wait("ann", HOME).is_some_and(|wait| wait <= Duration::from_secs(1)));
        assert!(throttle.wait("bob", HOME).is_none() && throttle.wait("ann", AWAY).is_none());
        assert!(!throttle.failed("ann", HOME));
        assert!(throttle.wait("ann", HOME).is_some_and(|wait| wait > Duration::from_secs(1)));
        throttle.passed("ann", HOME);
        assert!(throttle.wait("ann", HOME).is_none());
    }

    #[test]
    fn waits_and_memory_are_bounded() {
        let last = lakemill_base::Stopwatch::start();
        assert_eq!(Failures { count: u32::MAX, last }.wait(), Duration::from_secs(60));
        let throttle = Throttle::default();
        for user in 0..KEYS_MAX + 10 {
            throttle.failed(&user.to_string(), HOME);
        }
        assert!(throttle.0.lock().len() <= KEYS_MAX);
    }
}
