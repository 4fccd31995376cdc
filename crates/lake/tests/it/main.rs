//! The lake against real files, SQLite and DataFusion.

#![expect(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a test that cannot go on fails")]

mod catalog;
mod concurrency;
mod crash;
mod errors;
mod place;
mod raw_files;
mod support;
mod tables;
mod types;
