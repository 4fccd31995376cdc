//! The lake for the clients that people have: PostgreSQL's wire protocol, Arrow Flight SQL and HTTP, one engine behind.
//!
//! - [`Server`] binds the ports, serves, and drains when told to stop;
//! - `engine`: a session for each client, statements that wait their turn, run on threads of their own and stop when
//!   told to; `ingest`: rows that clients send;
//! - `auth`: who a client is; `tls`: certificate and key; `connections`: ports and their connections;
//! - `http`, `postgres`, `flight`: one folder for each protocol, none of which knows another.
//!
//! Not here: what statements mean (`query`), and the command that starts a server (the binary).
//!
//! **Architecture invariant:** no client can make the server hold more than its limits: statements, queues, connections
//! and messages are all bounded, and what is beyond a bound is refused with the reason.

mod admission;
mod auth;
mod cancel;
mod connections;
mod engine;
mod error;
mod flight;
mod gather;
mod http;
mod ingest;
mod metrics;
mod options;
mod postgres;
mod predictions;
mod rate;
mod server;
mod tls;

pub use admission::AdmissionLimits;
pub use engine::StatementLimits;
pub use error::{Error, Result};
pub use options::{Auth, ServerOptions};
pub use postgres::is_of_a_broken_message;
pub use server::Server;
pub use tls::TlsFiles;
