//! The nearest rows of a base, for each row of a query.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch, UInt64Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Field, Float32Type};
use lakemill_kernels::distance::{dot, squared_distance};
use std::sync::Arc;

use super::{Distance, Search};
use crate::{Error, Result};

/// Vectors of the base that are compared with every one of the query before the next ones: they stay in the cache.
const BLOCK_VECTORS: usize = 16;

/// Vectors of one length, one after the other; `None` where a row has none.
#[derive(Debug)]
pub(super) struct Vectors {
    values: Float32Array,
    /// Where each row's vector begins; `None` where there is none.
    starts: Vec<Option<usize>>,
    /// Elements of a vector; 0 where no row has one.
    width: usize,
    /// The length of each vector.
    norms: Vec<f32>,
}

impl Vectors {
    /// The vectors of a column.
    ///
    /// # Errors
    /// Invalid: they differ in their number of elements, or one has a NULL in it.
    pub(super) fn new(column: &ArrayRef, of: &str) -> Result<Self> {
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        let lists = cast(column, &DataType::LargeList(item))?;
        let lists = lists.as_list::<i64>();
        let values = lists.values().as_primitive::<Float32Type>().clone();
        let (mut starts, mut width) = (Vec::with_capacity(lists.len()), 0);
        for row in 0..lists.len() {
            let (start, length) = (lists.value_offsets()[row] as usize, lists.value_length(row) as usize);
            if lists.is_null(row) || length == 0 {
                starts.push(None);
                continue;
            }
            if width != 0 && width != length {
                return Err(Error::invalid(format!(
                    "the vectors of {of} differ in length: some have {width} elements, others {length}"
                )));
            }
            width = length;
            if values.slice(start, length).null_count() > 0 {
                return Err(Error::invalid(format!("a vector of {of} has an element that is NULL")));
            }
            starts.push(Some(start));
        }
        let mut vectors = Self { values, starts, width, norms: Vec::new() };
        vectors.norms = (0..vectors.starts.len())
            .map(|row| vectors.get(row).map_or(0.0, |vector| dot(vector, vector).sqrt()))
            .collect();
        Ok(vectors)
    }

    pub(super) fn get(&self, row: usize) -> Option<&[f32]> {
        let start = self.starts[row]?;
        self.values.values().get(start..start + self.width)
    }

    pub(super) fn rows(&self) -> usize {
        self.starts.len()
    }

    /// Elements of a vector; 0 where no row has one.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The length of a row's vector.
    pub(super) fn norm(&self, row: usize) -> f32 {
        self.norms[row]
    }

    /// Whether every element is a number.
    pub(super) fn are_finite(&self) -> bool {
        (0..self.rows()).all(|row| self.get(row).is_none_or(|vector| vector.iter().all(|element| element.is_finite())))
    }
}

/// Vectors of two models cannot be compared.
pub(super) fn other_length(query: usize, base: usize) -> Error {
    Error::invalid(format!(
        "the vectors of the query have {query} elements, and those of the base {base}; both must come of one model"
    ))
}

/// A row of the base that may be among the nearest.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    distance: f64,
    /// Which of the batches that rows were taken into.
    batch: usize,
    row: usize,
}

/// The farthest is the greatest; of equals the one that came last.
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let place = |candidate: &Self| (candidate.batch, candidate.row);
        self.distance.total_cmp(&other.distance).then_with(|| place(self).cmp(&place(other)))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// The nearest rows so far.
#[derive(Debug)]
pub(super) struct Nearest {
    queries: Arc<Vectors>,
    search: Search,
    heaps: Vec<BinaryHeap<Candidate>>,
    /// Rows that were among the nearest when their batch was read, and how many of them still are.
    kept: Vec<(RecordBatch, usize)>,
}

impl Nearest {
    pub(super) fn new(queries: Arc<Vectors>, search: Search) -> Self {
        let heaps = (0..queries.rows()).map(|_| BinaryHeap::new()).collect();
        Self { queries, search, heaps, kept: Vec::new() }
    }

    /// Compares the rows of a batch; `go_on` is asked now and then.
    ///
    /// # Errors
    /// Invalid: the vectors have another length than the query's. Cancelled.
    pub(super) fn add(&mut self, batch: &RecordBatch, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
        let vectors = Vectors::new(batch.column(self.search.base_column), "the base")?;
        if vectors.width == 0 || self.queries.width == 0 {
            return Ok(());
        }
        if vectors.width != self.queries.width {
            return Err(other_length(self.queries.width, vectors.width));
        }
        let batch_place = self.kept.len();
        self.kept.push((batch.slice(0, 0), 0));
        for first in (0..vectors.rows()).step_by(BLOCK_VECTORS) {
            go_on()?;
            let last = (first + BLOCK_VECTORS).min(vectors.rows());
            for query in 0..self.queries.rows() {
                self.compare(query, &vectors, first..last, batch_place);
            }
        }
        self.take(batch, batch_place)
    }

    fn compare(&mut self, query: usize, base: &Vectors, rows: std::ops::Range<usize>, batch: usize) {
        let Some(wanted) = self.queries.get(query) else { return };
        let heap = &mut self.heaps[query];
        for row in rows {
            let Some(vector) = base.get(row) else { continue };
            let distance = match self.search.distance {
                Distance::Euclidean => f64::from(squared_distance(wanted, vector)).sqrt(),
                Distance::DotProduct => -f64::from(dot(wanted, vector)),
                Distance::Cosine => {
                    let norms = f64::from(self.queries.norms[query]) * f64::from(base.norms[row]);
                    let cosine = if norms > 0.0 { f64::from(dot(wanted, vector)) / norms } else { 0.0 };
                    1.0 - cosine.clamp(-1.0, 1.0)
                }
            };
            let candidate = Candidate { distance, batch, row };
            if heap.len() < self.search.top_k {
                heap.push(candidate);
            } else if let Some(mut farthest) = heap.peek_mut()
                && candidate < *farthest
            {
                if farthest.batch != batch {
                    self.kept[farthest.batch].1 -= 1;
                }
                *farthest = candidate;
            }
        }
    }

    /// Copies the rows of a batch that are among the nearest, and lets go of batches of which none is any more.
    fn take(&mut self, batch: &RecordBatch, place: usize) -> Result<()> {
        let mut rows: Vec<usize> =
            self.heaps.iter().flatten().filter(|one| one.batch == place).map(|one| one.row).collect();
        let uses = rows.len();
        rows.sort_unstable();
        rows.dedup();
        let indices = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
        self.kept[place] = (take_record_batch(batch, &indices)?, uses);
        for heap in &mut self.heaps {
            let moved = std::mem::take(heap).into_iter().map(|mut one| {
                if one.batch == place {
                    one.row = rows.partition_point(|row| *row < one.row);
                }
                one
            });
            *heap = moved.collect();
        }
        for (batch, uses) in &mut self.kept {
            if *uses == 0 {
                *batch = batch.slice(0, 0);
            }
        }
        Ok(())
    }

    /// Bytes of the rows that are kept.
    pub(super) fn memory_bytes(&self) -> usize {
        self.kept.iter().filter(|(_, uses)| *uses > 0).map(|(batch, _)| batch.get_array_memory_size()).sum()
    }

    /// The nearest rows of all partitions: for each query, by distance, `(query, distance, partition, batch, row)`.
    pub(super) fn merge(parts: Vec<Self>, top_k: usize) -> (Vec<Found>, Vec<Vec<RecordBatch>>) {
        let queries = parts.first().map_or(0, |part| part.queries.rows());
        let (mut heaps, mut batches) = (Vec::with_capacity(parts.len()), Vec::with_capacity(parts.len()));
        for part in parts {
            heaps.push(part.heaps);
            batches.push(part.kept.into_iter().map(|(batch, _)| batch).collect());
        }
        let mut found = Vec::new();
        for query in 0..queries {
            let mut of_query: Vec<Found> = heaps
                .iter_mut()
                .enumerate()
                .flat_map(|(partition, heaps)| {
                    std::mem::take(&mut heaps[query]).into_iter().map(move |one| Found {
                        query,
                        distance: one.distance,
                        partition,
                        batch: one.batch,
                        row: one.row,
                    })
                })
                .collect();
            of_query.sort_by(|a, b| {
                let place = |found: &Found| (found.partition, found.batch, found.row);
                a.distance.total_cmp(&b.distance).then_with(|| place(a).cmp(&place(b)))
            });
            of_query.truncate(top_k);
            found.extend(of_query);
        }
        (found, batches)
    }
}

/// A row of the base that is near a row of the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) query: usize,
    pub(super) distance: f64,
    pub(super) partition: usize,
    pub(super) batch: usize,
    pub(super) row: usize,
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, ListArray};

    use super::*;

    fn column(rows: &[Option<Vec<f32>>]) -> ArrayRef {
        let rows = rows.iter().map(|row| row.as_ref().map(|row| row.iter().copied().map(Some).collect::<Vec<_>>()));
        Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
    }

    fn value(seed: u64) -> f32 {
        (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 40) as f32 / 1e7
    }

    /// Against a sort of all distances, over several batches and partitions.
    #[test]
    fn what_is_kept_is_what_a_sort_of_everything_finds() {
        let width = 5;
        let vector = |seed: u64| (0..width).map(|lane| value(seed * 31 + lane)).collect::<Vec<f32>>();
        let queries: Vec<Option<Vec<f32>>> = (0..4).map(|query| (query != 2).then(|| vector(1000 + query))).collect();
        let base: Vec<Option<Vec<f32>>> = (0..200).map(|row| (row % 17 != 3).then(|| vector(row))).collect();
        let search = Search {
            base_column: 1,
            query_column: 0,
            top_k: 7,
            distance: Distance::Euclidean,
            brute_force: false,
            breadth: None,
        };
        let wanted = Arc::new(Vectors::new(&column(&queries), "the query").unwrap());
        let parts = base.chunks(100).enumerate().map(|(part, rows)| {
            let mut nearest = Nearest::new(Arc::clone(&wanted), search.clone());
            for (chunk, rows) in rows.chunks(30).enumerate() {
                let ids = (0..rows.len()).map(|row| i32::try_from(part * 100 + chunk * 30 + row).unwrap());
                let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(ids));
                let batch = RecordBatch::try_from_iter([("id", ids), ("vector", column(rows))]).unwrap();
                nearest.add(&batch, &|| Ok(())).unwrap();
            }
            nearest
        });
        let (found, batches) = Nearest::merge(parts.collect(), search.top_k);
        for (query, wanted) in queries.iter().enumerate() {
            let of_query: Vec<&Found> = found.iter().filter(|found| found.query == query).collect();
            let Some(wanted) = wanted else {
                assert!(of_query.is_empty());
                continue;
            };
            let mut all: Vec<(f64, i32)> = base
                .iter()
                .enumerate()
                .filter_map(|(row, vector)| {
                    let sum: f32 = vector.as_ref()?.iter().zip(wanted).map(|(a, b)| (a - b) * (a - b)).sum();
                    Some((f64::from(sum).sqrt(), i32::try_from(row).unwrap()))
                })
                .collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert_eq!(of_query.len(), search.top_k);
            for (found, (distance, id)) in of_query.iter().zip(&all) {
                let ids = batches[found.partition][found.batch].column(0);
                assert_eq!(ids.as_primitive::<arrow::datatypes::Int32Type>().value(found.row), *id);
                assert!((found.distance - distance).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn vectors_of_different_lengths_are_refused() {
        let error = Vectors::new(&column(&[Some(vec![1.0]), Some(vec![1.0, 2.0])]), "the base").unwrap_err();
        assert_eq!(error.message(), "the vectors of the base differ in length: some have 1 elements, others 2");
    }
}
