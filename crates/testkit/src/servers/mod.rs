//! Real servers on 127.0.0.1, started at first use and gone with the process that started them.
//!
//! Not here: installing them. `cargo xtask setup` installs PostgreSQL and the S3 server; `LAKEMILL_TEST_POSTGRES`
//! and `LAKEMILL_TEST_S3` name servers that run already.

mod guard;
mod lakemill;
mod postgres;
mod s3;

pub use lakemill::Lakemill;
pub use postgres::{Postgres, postgres};
pub use s3::{S3, s3};

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use lakemill_base::Stopwatch;

use crate::Result;

/// How long a server may take to answer: a busy machine with two cores needs up to 20 seconds.
const START_SECONDS_MAX: f64 = 60.0;
/// How often a starting server is asked.
const POLL: Duration = Duration::from_millis(50);

/// A port of 127.0.0.1 that was free a moment ago, and whose neighbour at `port + offset` was too.
fn free_port(offset: u16) -> Result<u16> {
    for _ in 0..100 {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let Some(neighbour) = port.checked_add(offset) else { continue };
        if offset == 0 || TcpListener::bind(("127.0.0.1", neighbour)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port on 127.0.0.1".into())
}

/// Asks `ready` until it says yes, and shows the end of `log` if it never does.
fn wait_until(what: &str, log: &Path, mut ready: impl FnMut() -> bool) -> Result<()> {
    let watch = Stopwatch::start();
    while watch.seconds() < START_SECONDS_MAX {
        if ready() {
            return Ok(());
        }
        std::thread::park_timeout(POLL);
    }
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let tail: Vec<&str> = log.lines().rev().take(20).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(format!("{what} did not answer within {START_SECONDS_MAX} seconds; the end of its log:\n{}", tail.join("\n"))
        .into())
}

#[cfg(test)]
mod tests {
    use super::{postgres, s3};

    #[test]
    fn postgres_gives_an_empty_database_each_time() {
        let server = postgres().unwrap();
        assert_ne!(server.database().unwrap(), server.database().unwrap());
    }

    #[test]
    fn s3_answers_with_a_bucket() {
        let server = s3().unwrap();
        assert!(server.endpoint().starts_with("http://127.0.0.1:"));
        assert_ne!(server.folder(), server.folder());
    }
}
