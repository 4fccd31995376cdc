//! Integration tests of the estimators.
