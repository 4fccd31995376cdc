//! The statistics that preprocessing freezes: one fold over the training rows for all columns.
//!
//! Means and variances are computed in two passes within a chunk and merged by the formula of Chan, Golub and LeVeque
//! (1979), which keeps their digits where sums of squares would lose them.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType};
use arrow::datatypes::{TimestampNanosecondType, TimestampSecondType};

use super::civil;
use super::leaf::{Leaf, LeafKind, extract};
use super::numbers::{numbers, texts};
use crate::{Error, Fold, Result};

/// Count, mean, spread and range of numbers. NaN counts as NULL.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NumberStats {
    pub(crate) count: u64,
    pub(crate) nulls: u64,
    pub(crate) infinite: u64,
    pub(crate) mean: f64,
    /// Sum of squared differences from the mean.
    pub(crate) squares: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl NumberStats {
    /// The statistics of `values`, NaN being NULL.
    pub(crate) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let mut stats = Self { min: f64::INFINITY, max: f64::NEG_INFINITY, ..Self::default() };
        let mut sum = 0.0;
        for value in values.clone() {
            if value.is_nan() {
                stats.nulls += 1;
                continue;
            }
            stats.infinite += u64::from(value.is_infinite());
            stats.count += 1;
            sum += value;
            stats.min = stats.min.min(value);
            stats.max = stats.max.max(value);
        }
        if stats.count > 0 {
            stats.mean = sum / stats.count as f64;
            stats.squares = values.filter(|value| !value.is_nan()).map(|value| (value - stats.mean).powi(2)).sum();
        }
        stats
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.nulls += other.nulls;
        self.infinite += other.infinite;
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            let nulls = self.nulls;
            let infinite = self.infinite;
            *self = Self { nulls, infinite, ..other.clone() };
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let difference = other.mean - self.mean;
        self.mean += difference * b / (a + b);
        self.squares += other.squares + difference * difference * a * b / (a + b);
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The population's standard deviation.
    pub(crate) fn deviation(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / self.count as f64).sqrt() }
    }
}

/// How often each category occurs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CategoryStats {
    pub(crate) counts: HashMap<String, u64>,
    pub(crate) nulls: u64,
}

impl CategoryStats {
    pub(crate) fn add(&mut self, array: &ArrayRef) -> Result<()> {
        let texts = texts(array)?;
        for text in &texts {
            match text {
                None => self.nulls += 1,
                Some(text) => match self.counts.get_mut(text) {
                    Some(count) => *count += 1,
                    None => {
                        self.counts.insert(text.to_owned(), 1);
                    }
                },
            }
        }
        Ok(())
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.nulls += other.nulls;
        if self.counts.is_empty() {
            self.counts = other.counts;
            return;
        }
        for (text, count) in other.counts {
            *self.counts.entry(text).or_default() += count;
        }
    }

    /// The categories in alphabetical order with their counts.
    pub(crate) fn sorted(&self) -> Vec<(&str, u64)> {
        let mut sorted: Vec<(&str, u64)> = self.counts.iter().map(|(text, count)| (text.as_str(), *count)).collect();
        sorted.sort_unstable();
        sorted
    }
}

/// What is known of one leaf.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LeafStats {
    Number(NumberStats),
    Category(CategoryStats),
    Timestamp(Vec<NumberStats>),
    /// One entry per element; the rows that are NULL.
    Vector(Vec<NumberStats>, u64),
    /// The largest index plus one; the rows that are NULL; the rows.
    Sparse {
        dimension: usize,
        nulls: u64,
        rows: u64,
    },
}

/// The fold over all leaves.
#[derive(Debug)]
pub(crate) struct StatsFold<'a> {
    pub(crate) leaves: &'a [Leaf],
}

impl Fold for StatsFold<'_> {
    type State = Vec<LeafStats>;
    type Output = Vec<LeafStats>;

    fn init(&self) -> Self::State {
        self.leaves
            .iter()
            .map(|leaf| match leaf.kind {
                LeafKind::Number => LeafStats::Number(NumberStats::default()),
                LeafKind::Category => LeafStats::Category(CategoryStats::default()),
                LeafKind::Timestamp => LeafStats::Timestamp(vec![NumberStats::default(); civil::PART_NAMES.len()]),
                LeafKind::Vector => LeafStats::Vector(Vec::new(), 0),
                LeafKind::Sparse => LeafStats::Sparse { dimension: 0, nulls: 0, rows: 0 },
            })
            .collect()
    }

    fn accumulate(&self, state: &mut Self::State, batch: &RecordBatch) -> Result<()> {
        for (leaf, state) in self.leaves.iter().zip(state) {
            let array = extract(batch, leaf)?;
            let part = match state {
                LeafStats::Category(stats) => {
                    stats.add(&array)?;
                    continue;
                }
                LeafStats::Number(_) => LeafStats::Number(NumberStats::of(numbers(&array)?.iter().copied())),
                LeafStats::Timestamp(_) => LeafStats::Timestamp(timestamp_stats(&array)?),
                LeafStats::Vector(..) => vector_stats(leaf, &array)?,
                LeafStats::Sparse { .. } => sparse_stats(leaf, &array)?,
            };
            merge_leaf(leaf, state, part)?;
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::State, other: Self::State) -> Result<()> {
        for ((leaf, into), other) in self.leaves.iter().zip(into).zip(other) {
            merge_leaf(leaf, into, other)?;
        }
        Ok(())
    }

    fn finish(&self, state: Self::State) -> Result<Self::Output> {
        Ok(state)
    }
}

fn merge_leaf(leaf: &Leaf, into: &mut LeafStats, other: LeafStats) -> Result<()> {
    match (into, other) {
        (LeafStats::Number(into), LeafStats::Number(other)) => into.merge(&other),
        (LeafStats::Category(into), LeafStats::Category(other)) => into.merge(other),
        (LeafStats::Timestamp(into), LeafStats::Timestamp(other)) => {
            into.iter_mut().zip(&other).for_each(|(into, other)| into.merge(other));
        }
        (LeafStats::Vector(into, nulls), LeafStats::Vector(other, more)) => {
            *nulls += more;
            if into.is_empty() {
                *into = other;
            } else if !other.is_empty() {
                same_length(leaf, into.len(), other.len())?;
                into.iter_mut().zip(&other).for_each(|(into, other)| into.merge(other));
            }
        }
        (LeafStats::Sparse { dimension, nulls, rows }, LeafStats::Sparse { dimension: d, nulls: n, rows: r }) => {
            *dimension = (*dimension).max(d);
            *nulls += n;
            *rows += r;
        }
        _ => return Err(Error::internal("statistics of different kinds met")),
    }
    Ok(())
}

/// The eight parts of each timestamp, part after part; NaN where NULL.
pub(crate) fn timestamp_parts(array: &ArrayRef) -> Result<Vec<Vec<f64>>> {
    let mut columns = vec![Vec::with_capacity(array.len()); civil::PART_NAMES.len()];
    let mut push = |ticks: Option<i64>, per_second: i64| {
        let parts = ticks.map_or([f64::NAN; 8], |ticks| civil::parts(ticks, per_second));
        columns.iter_mut().zip(parts).for_each(|(column, part)| column.push(part));
    };
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            array.as_primitive::<TimestampSecondType>().iter().for_each(|ticks| push(ticks, 1));
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().iter().for_each(|ticks| push(ticks, 1_000));
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().iter().for_each(|ticks| push(ticks, 1_000_000));
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().iter().for_each(|ticks| push(ticks, 1_000_000_000));
        }
        other => return Err(Error::internal(format!("{other} is no timestamp"))),
    }
    Ok(columns)
}

fn timestamp_stats(array: &ArrayRef) -> Result<Vec<NumberStats>> {
    Ok(timestamp_parts(array)?.iter().map(|part| NumberStats::of(part.iter().copied())).collect())
}

/// The elements of arrays of numbers, row after row, and their common length; NaN where the row or element is NULL.
pub(crate) fn vector_values(leaf: &Leaf, array: &ArrayRef, length: Option<usize>) -> Result<(Vec<f64>, usize)> {
    let lists = to_list(array)?;
    let lists = lists.as_list::<i32>();
    let mut length = length;
    let mut values = Vec::with_capacity(lists.values().len());
    let floats = arrow::compute::cast(lists.values(), &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    let mut pending_nulls = 0;
    for row in 0..lists.len() {
        if lists.is_null(row) {
            match length {
                Some(length) => values.extend(std::iter::repeat_n(f64::NAN, length)),
                None => pending_nulls += 1,
            }
            continue;
        }
        let (start, end) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
        let wanted = *length.get_or_insert(end - start);
        same_length(leaf, wanted, end - start)?;
        values.extend(std::iter::repeat_n(f64::NAN, wanted * std::mem::take(&mut pending_nulls)));
        values.extend((start..end).map(|at| if floats.is_null(at) { f64::NAN } else { floats.value(at) }));
    }
    Ok((values, length.unwrap_or(0)))
}

fn vector_stats(leaf: &Leaf, array: &ArrayRef) -> Result<LeafStats> {
    let (values, length) = vector_values(leaf, array, None)?;
    let stats = (0..length).map(|at| NumberStats::of(values.iter().skip(at).step_by(length).copied())).collect();
    Ok(LeafStats::Vector(stats, array.null_count() as u64))
}

fn same_length(leaf: &Leaf, wanted: usize, found: usize) -> Result<()> {
    if wanted == found {
        return Ok(());
    }
    let name = &leaf.name;
    let text =
        format!("feature '{name}' has arrays of {wanted} and of {found} elements; all must have the same length");
    Err(Error::column(name, text))
}

/// Sparse vectors as offsets per row, indices and values. A NULL row is empty; a NULL value is 0.
pub(crate) struct SparseVectors {
    pub(crate) offsets: Vec<usize>,
    pub(crate) indices: Vec<u32>,
    pub(crate) values: Vec<f64>,
}

/// The largest index of a sparse vector: weights are kept for every index up to the largest.
const SPARSE_INDEX_MAX: i64 = 10_000_000;

pub(crate) fn sparse_vectors(leaf: &Leaf, array: &ArrayRef) -> Result<SparseVectors> {
    let lists = to_list(array)?;
    let lists = lists.as_list::<i32>();
    let entries = lists.values().as_struct();
    let indices = arrow::compute::cast(entries.column(0), &DataType::Int64)?;
    let indices = indices.as_primitive::<arrow::datatypes::Int64Type>();
    let values = numbers(entries.column(1))?;
    let mut out = SparseVectors { offsets: vec![0], indices: Vec::new(), values: Vec::new() };
    for row in 0..lists.len() {
        if lists.is_valid(row) {
            for at in lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize {
                let index = indices.value(at);
                if indices.is_null(at) || !(0..=SPARSE_INDEX_MAX).contains(&index) {
                    let name = &leaf.name;
                    let text = format!(
                        "feature '{name}' has the index {index}; indices of sparse vectors are from 0 to {SPARSE_INDEX_MAX}"
                    );
                    return Err(Error::column(name, text));
                }
                out.indices.push(u32::try_from(index).unwrap_or(u32::MAX));
                out.values.push(if values[at].is_nan() { 0.0 } else { values[at] });
            }
        }
        out.offsets.push(out.indices.len());
    }
    Ok(out)
}

fn sparse_stats(leaf: &Leaf, array: &ArrayRef) -> Result<LeafStats> {
    let vectors = sparse_vectors(leaf, array)?;
    if vectors.values.iter().any(|value| value.is_infinite()) {
        let text = format!("feature '{}' holds infinite values; replace them by finite numbers or NULL", leaf.name);
        return Err(Error::column(&leaf.name, text));
    }
    let dimension = vectors.indices.iter().max().map_or(0, |index| *index as usize + 1);
    Ok(LeafStats::Sparse { dimension, nulls: array.null_count() as u64, rows: array.len() as u64 })
}

fn to_list(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::List(_) => Ok(array.clone()),
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Ok(arrow::compute::cast(array, &DataType::List(item.clone()))?)
        }
        other => Err(Error::internal(format!("{other} is no array"))),
    }
}
