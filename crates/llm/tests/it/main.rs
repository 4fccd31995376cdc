//! Tests of the engine over a toy model that reads its context through the blocks, so that a wrong table gives wrong
//! tokens.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod batch;
mod blocks;
mod guidance;
mod models;
mod naive;
mod random;
mod real;
mod requests;
mod service;
mod toy;
