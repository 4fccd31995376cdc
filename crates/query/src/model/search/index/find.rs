//! The search of segments: for each row of a query the rows that are nearest in all of them together.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::execution::TaskContext;
use futures::{StreamExt, TryStreamExt, stream};
use lakemill_base::ErrorKind;
use rayon::prelude::*;

use super::cache::{Loaded, Place};
use super::files::Rows;
use super::{IndexUse, Indexes, SegmentUse, Segments};
use crate::Error;
use crate::model::search::Search;
use crate::model::search::nearest::{Vectors, other_length};

/// Whether a search should go on.
pub(in crate::model::search) type GoOn = Arc<dyn Fn() -> crate::Result<()> + Send + Sync>;

/// What is to be read of the data files that have a segment.
#[derive(Debug, Default)]
pub(in crate::model::search) struct Candidates {
    rows: HashMap<String, Rows>,
    /// Rows of the segments that were searched.
    pub(in crate::model::search) rows_searched: usize,
    /// Segments that could not be used.
    pub(in crate::model::search) segments_unusable: usize,
}

impl Candidates {
    /// What is to be read of a data file.
    pub(in crate::model::search) fn of(&self, file: &str) -> Option<Rows> {
        self.rows.get(file).cloned()
    }
}

/// Rows and what the graph measures, for each row of the query, nearest first.
type Found = Vec<Vec<(u32, f32)>>;

/// Searches the segments of an index; those that cannot be used make their data files be read whole.
///
/// # Errors
/// Invalid: the vectors have another length than the query's. Cancelled.
pub(in crate::model::search) async fn candidates(
    index: &IndexUse,
    search: &Search,
    queries: &Arc<Vectors>,
    context: &TaskContext,
    go_on: &GoOn,
) -> Result<Candidates> {
    let config = context.session_config();
    let threads = config.target_partitions().max(1);
    let known = config.options().extensions.get::<Indexes>();
    let segments = known.map(|indexes| indexes.segments.clone()).unwrap_or_default();
    let store = context.runtime_env().object_store(ObjectStoreUrl::parse(&index.store)?)?;
    let place = |segment: &SegmentUse| Place {
        store: Arc::clone(&store),
        url: index.store.clone(),
        path: segment.path.clone(),
        memory: Arc::clone(context.memory_pool()),
    };
    let job = |segment: &SegmentUse| {
        let wanted = Wanted {
            queries: Arc::clone(queries),
            top_k: search.top_k,
            breadth: index.breadth.max(search.top_k),
            rows: segment.rows,
            go_on: Arc::clone(go_on),
        };
        wanted.of_segment(segments.clone(), place(segment))
    };
    let jobs: Vec<_> = index.segments.iter().map(job).collect();
    let found: Vec<Option<Found>> = stream::iter(jobs).buffered(threads).try_collect().await.map_err(external)?;
    Ok(merged(index, search, queries.rows(), &found))
}

/// What is looked for in a segment.
struct Wanted {
    queries: Arc<Vectors>,
    top_k: usize,
    breadth: usize,
    rows: usize,
    go_on: GoOn,
}

impl Wanted {
    /// What a segment has; `None`: it cannot be used.
    async fn of_segment(self, segments: Segments, place: Place) -> crate::Result<Option<Found>> {
        let loaded = match segments.get(&place).await {
            Ok(loaded) => loaded,
            Err(error) if error.kind() == ErrorKind::Internal => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "a data file is searched without its index");
                return Ok(None);
            }
        };
        let done = tokio::task::spawn_blocking(move || self.search(&loaded)).await;
        done.map_err(|error| Error::internal(format!("a search failed: {error}")))?
    }

    fn search(&self, loaded: &Arc<Loaded>) -> crate::Result<Option<Found>> {
        let header = loaded.segment.header;
        if header.rows != self.rows {
            tracing::warn!(rows = self.rows, of_segment = header.rows, "a segment is of another data file");
            return Ok(None);
        }
        if header.dimensions != 0 && self.queries.width() != 0 && header.dimensions != self.queries.width() {
            return Err(other_length(self.queries.width(), header.dimensions));
        }
        let enough = self.top_k.min(header.vectors);
        let found: Vec<Option<Vec<(u32, f32)>>> = (0..self.queries.rows())
            .into_par_iter()
            .map(|query| {
                (self.go_on)()?;
                let Some(vector) = self.queries.get(query) else { return Ok(Some(Vec::new())) };
                let mut found = loaded.segment.search(vector, self.queries.norm(query), self.breadth);
                found.truncate(self.top_k);
                // A graph may have parts that no way leads to.
                Ok((found.len() >= enough).then_some(found))
            })
            .collect::<crate::Result<_>>()?;
        Ok(found.into_iter().collect())
    }
}

/// The nearest of all segments, as rows to read.
fn merged(index: &IndexUse, search: &Search, queries: usize, found: &[Option<Found>]) -> Candidates {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); found.len()];
    for query in 0..queries {
        let of_segment = |(segment, found): (usize, &Option<Found>)| {
            let found = found.as_ref().map(|found| found[query].as_slice()).unwrap_or_default();
            found.iter().map(move |(row, distance)| (*distance, segment, *row)).collect::<Vec<_>>()
        };
        let mut nearest: Vec<(f32, usize, u32)> = found.iter().enumerate().flat_map(of_segment).collect();
        nearest.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, segment, row) in nearest.into_iter().take(search.top_k) {
            rows[segment].push(usize::try_from(row).unwrap_or(usize::MAX));
        }
    }
    let mut candidates = Candidates::default();
    for ((segment, found), mut rows) in index.segments.iter().zip(found).zip(rows) {
        let of = segment.rows;
        rows.sort_unstable();
        rows.dedup();
        rows.retain(|row| *row < of);
        let chosen = match found {
            Some(_) => Rows::Some { rows, of },
            None => Rows::All,
        };
        match found {
            Some(_) => candidates.rows_searched += of,
            None => candidates.segments_unusable += 1,
        }
        candidates.rows.insert(segment.file.clone(), chosen);
    }
    candidates
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
