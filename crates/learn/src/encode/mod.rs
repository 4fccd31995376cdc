//! Automatic preprocessing: from columns as people have them to the numbers that the estimators take.
//!
//! [`leaf`] flattens structs into columns, [`stats`] gathers their statistics in one fold, [`Encoder`] freezes them.
//! It encodes for linear models as a [`design`] (a dense block, a code per one-hot column, sparse vectors) and for
//! trees as [`TreeColumn`]s. Nothing is densified: a column of 10,000 categories costs four bytes per row.

mod civil;
pub(crate) mod design;
mod encoder;
mod json;
pub(crate) mod leaf;
pub(crate) mod numbers;
pub(crate) mod stats;
mod tree;
pub mod tree_columns;

pub(crate) use civil::PART_NAMES;
pub(crate) use encoder::{CategoryEncoding, Encoder, EncoderSettings, FittedLeaf, NumberScale, Vocabulary};
pub use tree_columns::{TreeColumn, TreeValues};

/// How reports name the category of NULL.
pub(crate) const NULL_CATEGORY: &str = "_null_filler";
