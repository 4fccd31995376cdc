//! What a server is started with.

use std::net::SocketAddr;
use std::time::Duration;

use crate::engine::StatementLimits;

/// Where a server listens and what its clients may take.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    /// Where HTTP is spoken; `None`: nowhere.
    pub http: Option<SocketAddr>,
    /// Where PostgreSQL's protocol is spoken.
    pub postgres: Option<SocketAddr>,
    /// Where Arrow Flight SQL is spoken.
    pub flight: Option<SocketAddr>,
    /// What statements may take.
    pub statements: StatementLimits,
    /// Open connections of each protocol.
    pub connections_max: usize,
    /// The largest body of an HTTP request, in bytes; a batch of rows of Flight SQL may have four times as many.
    pub message_bytes_max: usize,
    /// How long a client may say nothing, or take nothing of what is sent to it.
    pub idle_max: Duration,
    /// How long statements go on after the server was told to stop.
    pub drain_max: Duration,
}
