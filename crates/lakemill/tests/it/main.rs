//! Drives the real binary: what it prints, what it leaves behind and the code that it exits with.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
mod chat;
mod formats;
mod help;
mod interrupt;
mod lakes;
mod listings;
mod prompt;
mod runs;
mod scripts;
mod support;
