//! What a server is started with.

use std::net::SocketAddr;
use std::time::Duration;

use crate::engine::StatementLimits;
use crate::tls::TlsFiles;

/// Whether clients must say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// They must, by password or token.
    Required,
    /// They need not, and may do everything.
    Off,
}

/// Where a server listens and what its clients may take.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where HTTP is spoken; `None`: nowhere.
    pub http: Option<SocketAddr>,
    /// Where PostgreSQL's protocol is spoken.
    pub postgres: Option<SocketAddr>,
    /// Where Arrow Flight SQL is spoken.
    pub flight: Option<SocketAddr>,
    /// Whether clients must say who they are; `None`: they must if an address is open to other machines.
    pub auth: Option<Auth>,
    /// The certificate and key of the server; `None`: nothing is encrypted.
    pub tls: Option<TlsFiles>,
    /// Whether addresses may be open to other machines without TLS: something before them has it.
    pub insecure: bool,
    /// What statements may take.
    pub statements: StatementLimits,
    /// Open connections of each protocol.
    pub connections_max: usize,
    /// The largest body of an HTTP request, in bytes; a batch of rows of Flight SQL may have four times as many.
    pub message_bytes_max: usize,
    /// How long a client may say nothing, or take nothing of what is sent to it.
    pub idle_max: Duration,
    /// The share of `:predict` requests whose rows are kept in the lake, from 0 to 1.
    pub log_predictions: f64,
    /// How long lines of the audit log are kept; `None`: for ever.
    pub keep_audit: Option<Duration>,
    /// How long statements go on after the server was told to stop.
    pub drain_max: Duration,
}
