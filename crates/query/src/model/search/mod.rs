//! `VECTOR_SEARCH(TABLE base, 'column', TABLE q | (query), top_k => 10, distance_type => 'COSINE')`: for each row of the
//! query, the rows of the base whose vectors are nearest.
//!
//! Every vector of the base is compared with every one of the query, by SIMD, each partition of the base on its own. The rows
//! that are kept are copied out of their batches, so that memory holds what is nearest, not what was read.
//!
//! Where the base is a table with an [`index`] over the column, of most data files only the rows that the index finds are read
//! and compared.

mod exec;
mod index;
mod nearest;
mod node;
mod relation;

use lakemill_base::unknown;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub(crate) use exec::{SearchExec, SearchMessage};
pub(crate) use index::{Indexes, Segments, execute_index, reindex};
pub(crate) use node::SearchNode;
pub(crate) use relation::SearchRelation;

/// How far two vectors are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Distance {
    /// One less the cosine of their angle.
    Cosine,
    /// The length of their difference.
    Euclidean,
    /// Their dot product with its sign turned, so that the nearest is the least.
    DotProduct,
}

impl Distance {
    const ALL: [Self; 3] = [Self::Euclidean, Self::Cosine, Self::DotProduct];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Cosine => "COSINE",
            Self::Euclidean => "EUCLIDEAN",
            Self::DotProduct => "DOT_PRODUCT",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(text));
        known.ok_or_else(|| Error::invalid(unknown("distance_type", text, Self::ALL.map(Self::as_str))))
    }
}

/// What is searched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Search {
    /// The base's column of vectors, by its place.
    base_column: usize,
    /// The query's column of vectors, by its place.
    query_column: usize,
    /// Rows for each row of the query.
    top_k: usize,
    distance: Distance,
    /// Whether every row is to be compared, whatever index there is.
    brute_force: bool,
    /// Candidates that are looked at in each segment of an index.
    breadth: Option<usize>,
}
