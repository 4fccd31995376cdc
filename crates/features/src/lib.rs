//! No code: one set of features for the third-party crates below DataFusion.
//!
//! Cargo unites the features of the packages that one command selects, so `cargo check -p lakemill-lake` and
//! `cargo nextest run --workspace` would each compile DataFusion for themselves. This crate asks for the union, and
//! every crate that sees DataFusion depends on it through `lake`.
