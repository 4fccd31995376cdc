//! Integration tests of the estimators.

mod trees;
