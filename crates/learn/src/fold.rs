//! The one shape of learning: `init`, `accumulate`, `merge`, `finish`; and the driver that runs it on local threads.
//!
//! Whatever is computed from all rows (the normal equations, a gradient, a column's statistics, a metric) is a
//! [`Fold`]. Another driver may run the same fold over the executors of a cluster or the new versions of a table.
//!
//! **Architecture invariant:** the result does not depend on the number of threads nor on how the rows are cut into
//! batches. The driver cuts the rows at fixed multiples of [`CHUNK_ROWS`], hands each chunk to `accumulate` as one
//! batch on a fresh state, and merges the states in the order of the chunks.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use rayon::prelude::*;

use crate::{Error, Result};

/// Rows of one unit of work. Large enough that merging states costs nothing, small enough that sixteen threads have
/// work on a quarter of a million rows.
pub const CHUNK_ROWS: usize = 16_384;

/// A computation over all rows of a relation that can be cut into parts.
pub trait Fold: Sync {
    /// What is known after some of the rows.
    type State: Send;
    /// What is known after all of them.
    type Output;

    /// The state before any row.
    fn init(&self) -> Self::State;

    /// Takes rows in. A driver may call it several times for one state.
    ///
    /// # Errors
    /// The rows cannot be used.
    fn accumulate(&self, state: &mut Self::State, batch: &RecordBatch) -> Result<()>;

    /// Takes in a state whose rows come after those of `into`.
    ///
    /// # Errors
    /// The states do not fit together.
    fn merge(&self, into: &mut Self::State, other: Self::State) -> Result<()>;

    /// Ends the computation.
    ///
    /// # Errors
    /// The rows do not determine the output.
    fn finish(&self, state: Self::State) -> Result<Self::Output>;
}

/// Runs folds on a pool of threads. Cheap to share; safe to call from inside its own pool.
#[derive(Debug)]
pub struct Driver {
    pool: rayon::ThreadPool,
}

impl Driver {
    /// A driver with `threads` threads (at least one).
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn new(threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|index| format!("learn-{index}"))
            .build()
            .map_err(|error| Error::exhausted(format!("cannot start {threads} threads: {error}")))?;
        Ok(Self { pool })
    }

    /// The pool, for work that is no fold (sorting, linear algebra).
    pub fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    /// The number of threads. Never let a result depend on it.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Folds over the rows of `batches`, in their order.
    ///
    /// # Errors
    /// The first error of the fold, in the order of the rows.
    pub fn fold<F: Fold>(&self, fold: &F, batches: &[RecordBatch]) -> Result<F::Output> {
        let chunks = chunks(batches);
        let mut total = fold.init();
        // A wave holds one state per thread: large states (a block of the normal equations) stay bounded in number.
        for wave in chunks.chunks(self.threads()) {
            let states: Vec<Result<F::State>> = self.pool.install(|| {
                wave.par_iter()
                    .map(|chunk| {
                        let mut state = fold.init();
                        fold.accumulate(&mut state, &chunk.batch()?)?;
                        Ok(state)
                    })
                    .collect()
            });
            for state in states {
                fold.merge(&mut total, state?)?;
            }
        }
        fold.finish(total)
    }
}

/// Rows `[n * CHUNK_ROWS, (n + 1) * CHUNK_ROWS)` of a sequence of batches, as pieces of those batches.
struct Chunk<'a> {
    pieces: Vec<(&'a RecordBatch, usize, usize)>,
}

impl Chunk<'_> {
    fn batch(&self) -> Result<RecordBatch> {
        match self.pieces.as_slice() {
            [(batch, offset, rows)] => Ok(batch.slice(*offset, *rows)),
            pieces => {
                let slices: Vec<RecordBatch> = pieces.iter().map(|(b, offset, rows)| b.slice(*offset, *rows)).collect();
                let Some(first) = slices.first() else {
                    return Err(Error::internal("a chunk without rows"));
                };
                Ok(concat_batches(&first.schema(), &slices)?)
            }
        }
    }
}

fn chunks(batches: &[RecordBatch]) -> Vec<Chunk<'_>> {
    let mut chunks: Vec<Chunk<'_>> = Vec::new();
    let mut room = 0;
    for batch in batches {
        let mut offset = 0;
        while offset < batch.num_rows() {
            if room == 0 {
                chunks.push(Chunk { pieces: Vec::new() });
                room = CHUNK_ROWS;
            }
            let rows = room.min(batch.num_rows() - offset);
            if let Some(chunk) = chunks.last_mut() {
                chunk.pieces.push((batch, offset, rows));
            }
            offset += rows;
            room -= rows;
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Float64Array};
    use arrow::datatypes::Float64Type;
    use proptest::prelude::*;

    use super::*;

    struct Sum;

    impl Fold for Sum {
        type State = f64;
        type Output = f64;

        fn init(&self) -> f64 {
            0.0
        }

        fn accumulate(&self, state: &mut f64, batch: &RecordBatch) -> Result<()> {
            *state += batch.column(0).as_primitive::<Float64Type>().values().iter().sum::<f64>();
            Ok(())
        }

        fn merge(&self, into: &mut f64, other: f64) -> Result<()> {
            *into += other;
            Ok(())
        }

        fn finish(&self, state: f64) -> Result<f64> {
            Ok(state)
        }
    }

    fn batches(rows: usize, cuts: &[usize]) -> Vec<RecordBatch> {
        let values = Float64Array::from_iter_values((0..rows).map(|i| ((i * 7919) % 1013) as f64 * 0.1 - 3.0));
        let whole = RecordBatch::try_from_iter([("x", Arc::new(values) as ArrayRef)]).unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (rows + 1)).chain([0, rows]).collect();
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| whole.slice(pair[0], pair[1] - pair[0])).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_sum_does_not_depend_on_batches_or_threads(
            rows in 1usize..70_000,
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
            threads in 1usize..5,
        ) {
            let one = Driver::new(1).unwrap().fold(&Sum, &batches(rows, &[])).unwrap();
            let many = Driver::new(threads).unwrap().fold(&Sum, &batches(rows, &cuts)).unwrap();
            prop_assert_eq!(one.to_bits(), many.to_bits());
        }
    }

    #[test]
    fn a_fold_inside_a_fold_finishes() {
        let driver = Driver::new(2).unwrap();
        let total: f64 = driver
            .pool()
            .install(|| (0..8).into_par_iter().map(|_| driver.fold(&Sum, &batches(40_000, &[])).unwrap()).sum());
        assert!(total.is_finite());
    }
}
