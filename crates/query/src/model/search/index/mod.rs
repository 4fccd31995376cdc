//! Indexes over columns of vectors: for each data file of a table a *segment*, a graph in which near vectors are found.
//!
//! - [`statement`]: CREATE, ALTER, DROP VECTOR INDEX and SHOW VECTOR INDEXES. [`build`]: from data files to segments.
//! - [`segment`]: a segment as bytes, and searched. [`cache`]: those that are loaded.
//! - [`choose`]: which index a search may use, and its plan. [`find`]: the search itself. [`files`]: scans of some files, or of
//!   some rows of them.
//!
//! What is found by an index is read from the table and compared anew, so that distances and ranks are those of an exact search.
//!
//! **Architecture invariant:** an index is never needed for a right answer. A data file without a segment, or with one that
//! cannot be used, is compared row by row; so rows that came after an index was built are found at once.

mod build;
mod cache;
mod choose;
mod files;
mod find;
mod segment;
mod statement;

use std::any::Any;

use datafusion::common::DataFusionError;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use lakemill_lake::Lake;
use serde::{Deserialize, Serialize};

pub(crate) use cache::Segments;
pub(super) use choose::{Chosen, choose};
pub(super) use files::{Rows, find_pages, read_rows};
pub(super) use find::{GoOn, candidates};
pub(crate) use statement::{execute as execute_index, reindex};

use super::Distance;

/// Data files of fewer rows have no segment: comparing them all takes a few milliseconds.
pub(super) const FILE_ROWS_MIN: usize = 10_000;

/// Candidates that a search looks at in each segment, unless told otherwise.
pub(super) const EF_SEARCH: usize = 128;

/// More candidates than this and a scan is the better tool.
pub(super) const EF_SEARCH_MAX: i64 = 10_000;

/// What an index is, as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Definition {
    distance: Distance,
    /// Neighbours of a vector in the graph.
    connectivity: usize,
    /// Candidates that are looked at for each vector that is added.
    ef_construction: usize,
}

/// An index that a search uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexUse {
    pub(super) name: String,
    /// Candidates that are looked at in each segment.
    pub(super) breadth: usize,
    /// The object store that the segments are in, as a URL.
    pub(super) store: String,
    pub(super) segments: Vec<SegmentUse>,
    /// Data files that have no segment, and their rows.
    pub(super) files_exact: usize,
    pub(super) rows_exact: usize,
}

impl IndexUse {
    /// Rows of the data files that have a segment.
    pub(super) fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.rows).sum()
    }
}

/// A segment that a search uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SegmentUse {
    /// Where it is in its store.
    pub(super) path: String,
    /// Its data file, in the table's store.
    pub(super) file: String,
    /// Rows of the data file.
    pub(super) rows: usize,
}

/// What planning and running a search need to know of indexes: part of the settings of a statement.
#[derive(Clone, Debug)]
pub(crate) struct Indexes {
    lake: Lake,
    segments: Segments,
}

impl Indexes {
    /// Those of a lake, and the segments of them that are loaded.
    pub(crate) fn new(lake: &Lake, segments: &Segments) -> Self {
        Self { lake: lake.clone(), segments: segments.clone() }
    }
}

impl ConfigExtension for Indexes {
    const PREFIX: &'static str = "vector_indexes";
}

impl ExtensionOptions for Indexes {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<(), DataFusionError> {
        Err(DataFusionError::Configuration(format!("unknown setting '{}.{key}'", Self::PREFIX)))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
