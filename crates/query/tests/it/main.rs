//! The integration tests of SQL over a lake.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cancel;
mod codec;
mod copy;
mod errors;
mod faces;
mod features;
mod join_order;
mod language;
mod models;
mod security;
mod vector_index;
