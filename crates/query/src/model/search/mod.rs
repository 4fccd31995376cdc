//! `VECTOR_SEARCH(TABLE base, 'column', TABLE q | (query), top_k => 10, distance_type => 'COSINE')`: for each row of the
//! query, the rows of the base whose vectors are nearest.
//!
//! The search is exact: every vector of the base is compared with every one of the query, by SIMD, each partition of the
//! base on its own. The rows that are kept are copied out of their batches, so that memory holds what is nearest, not what
//! was read.
//!
//! Not here: an index. A search that needs none of the guarantee and has millions of vectors is slower than it could be.

mod exec;
mod nearest;
mod node;
mod relation;

use serde::{Deserialize, Serialize};

pub(crate) use exec::{SearchExec, SearchMessage};
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
}
