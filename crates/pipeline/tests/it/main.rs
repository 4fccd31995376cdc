//! Pipelines over real lakes and sessions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fixture;
mod report;
mod resume;
mod staleness;
