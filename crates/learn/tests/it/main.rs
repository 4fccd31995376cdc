//! Integration tests of the estimators. Numbers are compared to scikit-learn's, which
//! `tests/reference/learn_reference.py` computes.

#![expect(clippy::unwrap_used, clippy::panic, clippy::type_complexity, reason = "a test that cannot go on fails")]

mod artifacts;
mod data;
mod determinism;
mod encoding;
mod errors;
mod linear_models;
mod metrics;
mod transforms;
mod trees;
