//! Automatic preprocessing: from columns as people have them to the numbers that the estimators take.

pub mod tree_columns;

pub use tree_columns::{TreeColumn, TreeValues};
