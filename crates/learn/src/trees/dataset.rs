//! Bin numbers of all rows, columns side by side in groups that fit the first-level cache when they are summed.

use std::ops::Range;

use lakemill_kernels::histogram::GROUP_COLUMNS_MAX;
use rayon::prelude::*;

use crate::encode::TreeColumn;
use crate::{Error, Result};

use super::bins::ColumnBins;

/// Slots of a group's histograms: 8 bytes each, so that they leave room in a first-level cache of 32 KiB.
const GROUP_SLOTS_MAX: usize = 3_072;

/// Rows that are encoded at a time.
const ENCODE_ROWS: usize = 4_096;

/// Where a column's bins and histogram stand.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) group: usize,
    /// Which of the group's columns.
    pub(super) lane: usize,
    /// The first of its slots in a histogram.
    pub(super) offset: usize,
}

/// The plan of a data set: bins of each column and their places. Shared by the training and the held-out rows.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) bins: Vec<ColumnBins>,
    /// `None` for a column that cannot be split: all its values fall in one bin.
    pub(super) places: Vec<Option<Place>>,
    /// The columns of each group.
    pub(super) groups: Vec<Vec<usize>>,
    /// Slots of a histogram over all columns.
    pub(super) slots: usize,
}

impl Layout {
    pub(super) fn fit(columns: &[TreeColumn], bins_max: usize) -> Result<Self> {
        let bins: Vec<ColumnBins> =
            columns.par_iter().map(|column| ColumnBins::fit(column, bins_max)).collect::<Result<_>>()?;
        let mut useful: Vec<usize> = (0..columns.len()).filter(|c| can_split(&columns[*c], &bins[*c])).collect();
        let slots: usize = useful.iter().map(|column| bins[*column].slots()).sum();
        let count = useful.len().div_ceil(GROUP_COLUMNS_MAX).max(slots.div_ceil(GROUP_SLOTS_MAX));
        // The largest columns first, each into the group that has the fewest slots.
        useful.sort_by_key(|column| (std::cmp::Reverse(bins[*column].slots()), *column));
        let mut groups: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut filled = vec![0; count];
        for column in useful {
            let open = (0..count).filter(|group| groups[*group].len() < GROUP_COLUMNS_MAX);
            let group =
                open.min_by_key(|group| (filled[*group], *group)).ok_or_else(|| Error::internal("no group is open"))?;
            filled[group] += bins[column].slots();
            groups[group].push(column);
        }
        let mut places = vec![None; columns.len()];
        let mut offset = 0;
        for (group, members) in groups.iter().enumerate() {
            for (lane, column) in members.iter().enumerate() {
                places[*column] = Some(Place { group, lane, offset });
                offset += bins[*column].slots();
            }
        }
        Ok(Self { bins, places, groups, slots })
    }

    /// The slots of a group's columns in a histogram.
    pub(super) fn slots_of_group(&self, group: usize) -> Range<usize> {
        let start = |column: &usize| self.places[*column].as_ref().map_or(0, |place| place.offset);
        let members = &self.groups[group];
        let from = members.first().map_or(0, start);
        let to = members.last().map_or(0, |column| start(column) + self.bins[*column].slots());
        from..to
    }
}

/// Whether the rows fall into two bins at least, the one for missing values included.
fn can_split(column: &TreeColumn, bins: &ColumnBins) -> bool {
    let mut first = [0];
    let mut block = [0; ENCODE_ROWS];
    let rows = column.rows();
    if rows == 0 || bins.encode(column, 0, &mut first).is_err() {
        return false;
    }
    (0..rows).step_by(ENCODE_ROWS).any(|start| {
        let block = &mut block[..ENCODE_ROWS.min(rows - start)];
        bins.encode(column, start, block).is_ok() && block.iter().any(|bin| *bin != first[0])
    })
}

/// The bins of some rows.
#[derive(Debug)]
pub(super) struct Dataset<'a> {
    pub(super) layout: &'a Layout,
    pub(super) rows: usize,
    /// Per group `[rows, columns of the group]`.
    pub(super) bins: Vec<Vec<u8>>,
}

impl<'a> Dataset<'a> {
    pub(super) fn encode(layout: &'a Layout, columns: &[TreeColumn], rows: usize) -> Result<Self> {
        let bins =
            layout.groups.iter().map(|members| encode_group(layout, members, columns, rows)).collect::<Result<_>>()?;
        Ok(Self { layout, rows, bins })
    }

    /// The bin of a column that has a place.
    #[inline]
    pub(super) fn bin(&self, row: usize, place: &Place) -> u8 {
        self.bins[place.group][row * self.layout.groups[place.group].len() + place.lane]
    }
}

fn encode_group(layout: &Layout, members: &[usize], columns: &[TreeColumn], rows: usize) -> Result<Vec<u8>> {
    let width = members.len();
    let mut bins = vec![0u8; rows * width];
    bins.par_chunks_mut(ENCODE_ROWS * width).enumerate().try_for_each(|(chunk, bins)| {
        let mut of_column = [0; ENCODE_ROWS];
        let of_column = &mut of_column[..bins.len() / width];
        for (lane, column) in members.iter().enumerate() {
            layout.bins[*column].encode(&columns[*column], chunk * ENCODE_ROWS, of_column)?;
            for (row, bin) in bins.chunks_exact_mut(width).zip(of_column.iter()) {
                row[lane] = *bin;
            }
        }
        Ok::<(), Error>(())
    })?;
    Ok(bins)
}
