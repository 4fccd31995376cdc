//! Histograms of a leaf: for every bin of every column, the sums of its rows' derivatives.
//!
//! This is a fold over rows: [`build`] accumulates chunks and merges them. The sums are integers, so that every
//! order of accumulating and merging gives the same bits.

use lakemill_kernels::gradient::{round_and_pack, round_wide, rounding_scale};
use lakemill_kernels::histogram::{
    DERIVATIVE_BITS, GROUP_COLUMNS_MAX, PACKED_ROWS_MAX, Rows, SLOTS, accumulate, flush,
};
use rayon::prelude::*;

use super::dataset::Dataset;

/// Rows of a task when one leaf is summed by several threads.
const TASK_ROWS: usize = 4 * PACKED_ROWS_MAX;

/// Below this many rows, a leaf is summed by one thread.
const PARALLEL_ROWS_MIN: usize = 2 * PACKED_ROWS_MAX;

/// Rows that are rounded at a time.
const ROUND_ROWS: usize = 16_384;

/// Packed derivatives keep this share of the largest one's bits for the mean one; below it, wide ones are used.
const MEAN_SHARE_MIN: f64 = 1.0 / 512.0;

/// Bits of a wide derivative at most.
const WIDE_BITS_MAX: u32 = 40;

/// Sums of first and second derivatives.
pub(super) type Sums = [i64; 2];

/// Every row's derivatives as integers.
#[derive(Debug)]
pub(super) struct Rounded {
    values: Values,
    /// The derivative that 1 stands for.
    pub(super) units: [f64; 2],
}

#[derive(Debug)]
enum Values {
    /// The usual form: both in 64 bits, 18 bits and a sign each.
    Packed(Vec<u64>),
    /// For derivatives of which a few are much larger than the others: 40 bits each.
    Wide(Vec<Sums>),
}

impl Rounded {
    /// Rounds derivatives so that no precision that matters to a sum is lost.
    pub(super) fn new(first: &[f64], second: &[f64], reuse: Option<Self>) -> Self {
        let (largest, total) = first
            .par_chunks(ROUND_ROWS)
            .zip(second.par_chunks(ROUND_ROWS))
            .map(|(first, second)| (largest_and_total(first), largest_and_total(second)))
            .collect::<Vec<_>>()
            .into_iter()
            .fold(([0.0f64; 2], [0.0f64; 2]), |(largest, total), (first, second)| {
                ([largest[0].max(first.0), largest[1].max(second.0)], [total[0] + first.1, total[1] + second.1])
            });
        let rows = first.len() as f64;
        let packs = (0..2).all(|i| total[i] >= largest[i] * rows * MEAN_SHARE_MIN);
        if packs {
            let scales = largest.map(rounding_scale);
            let mut packed = match reuse.map(|rounded| rounded.values) {
                Some(Values::Packed(packed)) if packed.len() == first.len() => packed,
                _ => vec![0; first.len()],
            };
            packed
                .par_chunks_mut(ROUND_ROWS)
                .zip(first.par_chunks(ROUND_ROWS).zip(second.par_chunks(ROUND_ROWS)))
                .for_each(|(packed, (first, second))| round_and_pack(first, second, scales, packed));
            return Self { values: Values::Packed(packed), units: scales.map(f64::recip) };
        }
        // Sums of all rows must stay below 2^62.
        let bits = WIDE_BITS_MAX.min(62 - (usize::BITS - first.len().leading_zeros()));
        let more = (1u64 << bits.saturating_sub(DERIVATIVE_BITS)) as f64;
        let scales = largest.map(|largest| rounding_scale(largest) * more);
        let mut wide = vec![[0; 2]; first.len()];
        wide.par_chunks_mut(ROUND_ROWS)
            .zip(first.par_chunks(ROUND_ROWS).zip(second.par_chunks(ROUND_ROWS)))
            .for_each(|(wide, (first, second))| round_wide(first, second, scales, wide));
        Self { values: Values::Wide(wide), units: scales.map(f64::recip) }
    }

    /// The sums over some rows.
    pub(super) fn sum(&self, rows: &[u32]) -> Sums {
        let of_chunk = |rows: &[u32]| {
            let mut sums = [0; 2];
            for row in rows {
                let [first, second] = self.row(*row as usize);
                sums[0] += first;
                sums[1] += second;
            }
            sums
        };
        rows.par_chunks(TASK_ROWS).map(of_chunk).reduce(|| [0; 2], |a, b| [a[0] + b[0], a[1] + b[1]])
    }

    #[inline]
    fn row(&self, row: usize) -> Sums {
        match &self.values {
            Values::Packed(packed) => {
                let (first, second) = lakemill_kernels::histogram::unpack(packed[row]);
                [first, second]
            }
            Values::Wide(wide) => wide[row],
        }
    }
}

fn largest_and_total(values: &[f64]) -> (f64, f64) {
    // Four lanes, so that the compiler may use a register for them.
    let (mut largest, mut total) = ([0.0f64; 4], [0.0f64; 4]);
    let (quads, rest) = values.as_chunks::<4>();
    for quad in quads {
        for lane in 0..4 {
            let value = quad[lane].abs();
            largest[lane] = if value > largest[lane] { value } else { largest[lane] };
            total[lane] += value;
        }
    }
    for value in rest {
        largest[0] = largest[0].max(value.abs());
        total[0] += value.abs();
    }
    (largest.into_iter().fold(0.0, f64::max), total.into_iter().sum())
}

/// Writes the histogram of `rows` over what `sums` held. The rows are in ascending order.
pub(super) fn build(data: &Dataset<'_>, derivatives: &Rounded, rows: &[u32], sums: &mut [Sums]) {
    let groups = data.bins.len();
    if rows.len() < PARALLEL_ROWS_MIN {
        sums.fill([0; 2]);
        for group in 0..groups {
            let slots = data.layout.slots_of_group(group);
            add_group(data, derivatives, group, rows, &mut sums[slots]);
        }
        return;
    }
    let mut of_groups: Vec<&mut [Sums]> = Vec::with_capacity(groups);
    let mut rest = sums;
    for group in 0..groups {
        let (head, tail) = rest.split_at_mut(data.layout.slots_of_group(group).len());
        of_groups.push(head);
        rest = tail;
    }
    of_groups.into_par_iter().enumerate().for_each(|(group, sums)| {
        let parts: Vec<Vec<Sums>> = rows
            .par_chunks(TASK_ROWS)
            .with_max_len(1)
            .map(|rows| {
                let mut part = vec![[0; 2]; sums.len()];
                add_group(data, derivatives, group, rows, &mut part);
                part
            })
            .collect();
        sums.fill([0; 2]);
        for part in parts {
            add(sums, &part);
        }
    });
}

fn add_group(data: &Dataset<'_>, derivatives: &Rounded, group: usize, rows: &[u32], sums: &mut [Sums]) {
    let members = &data.layout.groups[group];
    let (bins, width) = (&data.bins[group], members.len());
    match &derivatives.values {
        Values::Packed(packed) => {
            let mut slots = [[0u64; SLOTS]; GROUP_COLUMNS_MAX];
            for rows in rows.chunks(PACKED_ROWS_MAX) {
                accumulate(width, bins, contiguous(rows), packed, &mut slots[..width]);
                let mut offset = 0;
                for (column, slots) in members.iter().zip(&mut slots) {
                    let count = data.layout.bins[*column].slots();
                    flush(&mut slots[..count], &mut sums[offset..offset + count]);
                    offset += count;
                }
            }
        }
        Values::Wide(wide) => {
            let mut offsets = [0; GROUP_COLUMNS_MAX];
            let mut offset = 0;
            for (column, at) in members.iter().zip(&mut offsets) {
                *at = offset;
                offset += data.layout.bins[*column].slots();
            }
            for row in rows {
                let row = *row as usize;
                for (bin, offset) in bins[row * width..(row + 1) * width].iter().zip(&offsets) {
                    let sum = &mut sums[offset + usize::from(*bin)];
                    sum[0] += wide[row][0];
                    sum[1] += wide[row][1];
                }
            }
        }
    }
}

/// Ascending rows without a gap are a range, which is read faster than a list.
fn contiguous(rows: &[u32]) -> Rows<'_> {
    match (rows.first(), rows.last()) {
        (Some(first), Some(last)) if (last - first) as usize + 1 == rows.len() => {
            Rows::Range { start: *first as usize, end: *last as usize + 1 }
        }
        _ => Rows::List(rows),
    }
}

fn add(into: &mut [Sums], other: &[Sums]) {
    for (into, other) in into.iter_mut().zip(other) {
        into[0] += other[0];
        into[1] += other[1];
    }
}

/// What remains of a parent's histogram when one child's is taken away: the other child's.
pub(super) fn subtract(parent: &mut [Sums], child: &[Sums]) {
    for (parent, child) in parent.iter_mut().zip(child) {
        parent[0] -= child[0];
        parent[1] -= child[1];
    }
}
