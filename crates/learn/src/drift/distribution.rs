//! The distribution of one column.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use serde_json::{Map, Value, json};

use crate::encode::leaf::{LeafKind, kind_of};
use crate::encode::numbers::{numbers, texts};
use crate::{Error, Result};

/// Cells of a number's distribution at most.
const CELLS_MAX: usize = 512;

/// Intervals that numbers are compared over.
const INTERVALS: usize = 10;

/// Categories that are counted one by one; a column with more tells nothing by its shares.
const CATEGORIES_MAX: usize = 10_000;

/// How the rows of one column are distributed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Of numbers.
    Numbers(Numbers),
    /// Of texts, booleans, dates and times of day.
    Categories(Categories),
}

/// Rows by the leading bits of a number: as many bits as leave no more than [`CELLS_MAX`] cells, which is all of them for
/// a column of few values. Which bits these are follows from the rows alone, not from their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Bits that are left out.
    shift: u32,
    cells: BTreeMap<u64, u64>,
    /// Rows that are NULL or NaN.
    nulls: u64,
}

/// Rows by category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categories {
    /// `None`: there are more than [`CATEGORIES_MAX`].
    counts: Option<BTreeMap<String, u64>>,
    nulls: u64,
}

impl Distribution {
    /// The distribution of no rows of a column; `None` for a type whose columns are not compared.
    pub fn of_type(data_type: &DataType) -> Option<Self> {
        Self::of_kind(kind_of(data_type)?)
    }

    pub(super) fn of_kind(kind: LeafKind) -> Option<Self> {
        match kind {
            LeafKind::Number => Some(Self::Numbers(Numbers::default())),
            LeafKind::Category => Some(Self::Categories(Categories { counts: Some(BTreeMap::new()), nulls: 0 })),
            LeafKind::Timestamp | LeafKind::Vector | LeafKind::Sparse => None,
        }
    }

    /// Takes rows in.
    ///
    /// # Errors
    /// The array is of another kind.
    pub fn add(&mut self, array: &ArrayRef) -> Result<()> {
        match self {
            Self::Numbers(this) => {
                this.add(&numbers(array)?);
                Ok(())
            }
            Self::Categories(this) => this.add(array),
        }
    }

    /// Takes in what other rows gave.
    ///
    /// # Errors
    /// The other is of another kind.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        match (self, other) {
            (Self::Numbers(this), Self::Numbers(other)) => this.merge(other),
            (Self::Categories(this), Self::Categories(other)) => this.merge(other),
            _ => return Err(Error::internal("two kinds of distributions of one column")),
        }
        Ok(())
    }

    /// As JSON: `{"numbers": {"shift": 44, "cells": [[cell, rows], ..], "nulls": 0}}` or
    /// `{"categories": {"counts": {"a": rows, ..}, "nulls": 0}}`, with `null` for counts of too many categories.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Numbers(Numbers { shift, cells, nulls }) => {
                let cells: Vec<(&u64, &u64)> = cells.iter().collect();
                json!({ "numbers": { "shift": shift, "cells": cells, "nulls": nulls } })
            }
            Self::Categories(Categories { counts, nulls }) => {
                json!({ "categories": { "counts": counts, "nulls": nulls } })
            }
        }
    }

    /// Reads what [`Distribution::to_json`] wrote.
    ///
    /// # Errors
    /// Data: it is damaged.
    pub fn from_json(value: &Value) -> Result<Self> {
        let read = |value: &Value| {
            let nulls = |of: &Map<String, Value>| of.get("nulls")?.as_u64();
            if let Some(of) = value.get("numbers").and_then(Value::as_object) {
                let shift = u32::try_from(of.get("shift")?.as_u64()?).ok().filter(|shift| *shift < u64::BITS)?;
                let cell = |cell: &Value| Some((cell.get(0)?.as_u64()?, cell.get(1)?.as_u64()?));
                let cells = of.get("cells")?.as_array()?.iter().map(cell).collect::<Option<_>>()?;
                return Some(Self::Numbers(Numbers { shift, cells, nulls: nulls(of)? }));
            }
            let of = value.get("categories")?.as_object()?;
            let counts = match of.get("counts")? {
                Value::Null => None,
                counts => {
                    let count = |(name, count): (&String, &Value)| Some((name.clone(), count.as_u64()?));
                    Some(counts.as_object()?.iter().map(count).collect::<Option<_>>()?)
                }
            };
            Some(Self::Categories(Categories { counts, nulls: nulls(of)? }))
        };
        read(value).ok_or_else(|| Error::data("the distribution of a column is damaged"))
    }

    /// Bytes that it holds, roughly.
    pub fn size(&self) -> usize {
        const ENTRY_BYTES: usize = 24;
        match self {
            Self::Numbers(this) => this.cells.len() * ENTRY_BYTES,
            Self::Categories(this) => {
                this.counts.iter().flatten().map(|(name, _)| name.len() + 2 * ENTRY_BYTES).sum::<usize>()
            }
        }
    }
}

impl Numbers {
    fn add(&mut self, values: &[f64]) {
        let mut keys: Vec<u64> = values.iter().filter(|value| !value.is_nan()).map(|value| ordered(*value)).collect();
        self.nulls += (values.len() - keys.len()) as u64;
        keys.sort_unstable();
        // So many cells have to go that it pays to know at once how few bits are left.
        let cells = |shift: u32| keys.chunk_by(|a, b| a >> shift == b >> shift).count();
        let shifts: Vec<u32> = (self.shift..u64::BITS).collect();
        let wide = shifts.partition_point(|shift| cells(*shift) > CELLS_MAX);
        self.coarsen(shifts.get(wide).copied().unwrap_or(u64::BITS - 1));
        for run in keys.chunk_by(|a, b| a >> self.shift == b >> self.shift) {
            *self.cells.entry(run[0] >> self.shift).or_default() += run.len() as u64;
        }
        self.fit();
    }

    fn merge(&mut self, other: &Self) {
        self.nulls += other.nulls;
        self.coarsen(other.shift);
        for (cell, count) in other.cells_at(self.shift) {
            *self.cells.entry(cell).or_default() += count;
        }
        self.fit();
    }

    /// Leaves bits out until there are no more cells than may be.
    fn fit(&mut self) {
        while self.cells.len() > CELLS_MAX {
            self.coarsen(self.shift + 1);
        }
    }

    fn coarsen(&mut self, shift: u32) {
        if shift > self.shift {
            self.cells = self.cells_at(shift);
            self.shift = shift;
        }
    }

    /// The cells with no fewer bits left out.
    fn cells_at(&self, shift: u32) -> BTreeMap<u64, u64> {
        let mut cells = BTreeMap::new();
        for (cell, count) in &self.cells {
            *cells.entry(cell >> (shift - self.shift)).or_default() += count;
        }
        cells
    }
}

impl Categories {
    fn add(&mut self, array: &ArrayRef) -> Result<()> {
        let texts = texts(array)?;
        for text in &texts {
            match (text, &mut self.counts) {
                (None, _) => self.nulls += 1,
                (Some(text), Some(counts)) => match counts.get_mut(text) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(text.to_owned(), 1);
                    }
                },
                (Some(_), None) => {}
            }
        }
        self.fit();
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        self.nulls += other.nulls;
        match (&mut self.counts, &other.counts) {
            (Some(counts), Some(more)) => {
                more.iter().for_each(|(name, more)| *counts.entry(name.clone()).or_default() += more);
            }
            _ => self.counts = None,
        }
        self.fit();
    }

    fn fit(&mut self) {
        self.counts = self.counts.take().filter(|counts| counts.len() <= CATEGORIES_MAX);
    }
}

/// A number's bits, in the order of numbers.
fn ordered(value: f64) -> u64 {
    // The two zeros are one number.
    let bits = (value + 0.0).to_bits();
    if bits >> (u64::BITS - 1) == 1 { !bits } else { bits | 1 << (u64::BITS - 1) }
}

/// The rows of both below all of `base`, in intervals that have as many rows of `base` each (as far as cells allow), above
/// all of `base`, and NULL.
pub(super) fn over_intervals(base: &Numbers, study: &Numbers) -> (Vec<u64>, Vec<u64>) {
    let shift = base.shift.max(study.shift);
    let (base_cells, study_cells) = (base.cells_at(shift), study.cells_at(shift));
    let total: u64 = base_cells.values().sum();
    // The last cell of each interval.
    let mut ends = Vec::with_capacity(INTERVALS);
    let mut below = 0;
    for (cell, count) in &base_cells {
        below += count;
        // One cell may have the rows of several intervals, which are then one.
        while ends.len() < INTERVALS && below * INTERVALS as u64 >= total * (ends.len() as u64 + 1) {
            ends.push(*cell);
        }
    }
    ends.dedup();
    let least = base_cells.keys().next().copied().unwrap_or(0);
    let counts = |cells: &BTreeMap<u64, u64>, nulls: u64| {
        let mut counts = vec![0; ends.len() + 3];
        for (cell, count) in cells {
            let place = if *cell < least { 0 } else { 1 + ends.partition_point(|end| end < cell) };
            counts[place] += count;
        }
        counts[ends.len() + 2] = nulls;
        counts
    };
    (counts(&base_cells, base.nulls), counts(&study_cells, study.nulls))
}

/// The rows of both by category, then their NULLs; `None` if one has too many categories.
pub(super) fn over_categories(base: &Categories, study: &Categories) -> Option<(Vec<u64>, Vec<u64>)> {
    let (base_counts, study_counts) = (base.counts.as_ref()?, study.counts.as_ref()?);
    let names: BTreeSet<&String> = base_counts.keys().chain(study_counts.keys()).collect();
    let counts = |counts: &BTreeMap<String, u64>, nulls: u64| {
        let counted = names.iter().map(|name| counts.get(*name).copied().unwrap_or(0));
        counted.chain([nulls]).collect()
    };
    Some((counts(base_counts, base.nulls), counts(study_counts, study.nulls)))
}
