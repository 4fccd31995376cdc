//! `lakemill serve` over a lake of the test, on free ports.

use std::net::SocketAddr;

use tempfile::TempDir;

use super::guard::Guarded;
use super::wait_until;
use crate::{Result, process};

/// A running server; dropping it stops the server as SIGTERM does.
#[derive(Debug)]
pub struct Lakemill {
    addresses: Vec<(String, SocketAddr)>,
    _guarded: Guarded,
    _folder: TempDir,
}

impl Lakemill {
    /// Serves `lake`, a folder or URL. `options` of `lakemill serve` come after those that choose free ports.
    pub fn serve(lake: &str, options: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("lakemill-serve-").tempdir()?;
        let log = folder.path().join("log");
        let binary = process::lakemill()?.display().to_string();
        let mut command = vec![binary.as_str(), "--lake", lake, "serve"];
        command.extend(["--http", "127.0.0.1:0", "--postgres", "127.0.0.1:0", "--flight", "127.0.0.1:0"]);
        command.extend(options);
        let guarded = Guarded::start(folder.path(), "TERM", &log, &command)?;
        let mut addresses = Vec::new();
        wait_until("lakemill serve", &log, || {
            addresses = std::fs::read_to_string(&log).unwrap_or_default().lines().filter_map(listening).collect();
            ["http", "postgres", "flight"].iter().all(|name| addresses.iter().any(|(known, _)| known == name))
        })?;
        Ok(Self { addresses, _guarded: guarded, _folder: folder })
    }

    /// Where a protocol is spoken: `http`, `postgres` or `flight`.
    pub fn address(&self, protocol: &str) -> Result<SocketAddr> {
        let found = self.addresses.iter().find(|(name, _)| name == protocol);
        found.map(|(_, address)| *address).ok_or_else(|| format!("lakemill serve does not speak {protocol}").into())
    }
}

/// `http 127.0.0.1:8000`
fn listening(line: &str) -> Option<(String, SocketAddr)> {
    let (name, address) = line.split_once(' ')?;
    Some((name.to_owned(), address.parse().ok()?))
}
