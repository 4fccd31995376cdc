//! Pipelines over real lakes and sessions.

mod fixture;
mod report;
mod resume;
mod staleness;
