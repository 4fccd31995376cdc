//! Sums of gradients per bin, for columns stored side by side.
//!
//! A row's first and second derivative travel as one integer: the first in the upper, the second in the lower 32
//! bits. One addition to memory per row and column is the whole work, and since it is integer addition, the sums do
//! not depend on any order.

/// Columns that are stored side by side at most. Their slots (16 * 264 * 8 bytes = 33 KiB when every bin is in use)
/// are meant to stay in the first-level cache.
pub const GROUP_COLUMNS_MAX: usize = 16;

/// Slots per column: 256 bins, and eight more so that the same bins of neighbouring columns fall into different sets
/// of the cache.
pub const SLOTS: usize = 264;

/// Bits of a rounded derivative, sign aside.
pub const DERIVATIVE_BITS: u32 = 18;

/// Rows after which packed sums must be taken out: `2^13` rows of at most `2^18 - 1` stay below `2^31`.
pub const PACKED_ROWS_MAX: usize = 1 << 13;

/// The packed sums of one column, by bin.
pub type Slots = [u64; SLOTS];

/// Packs the rounded derivatives of a row.
#[inline]
pub const fn pack(first: i64, second: i64) -> u64 {
    ((first << 32) as u64).wrapping_add(second as u64)
}

/// Takes a packed sum apart.
#[inline]
pub const fn unpack(packed: u64) -> (i64, i64) {
    ((packed as i64) >> 32, (packed & 0xFFFF_FFFF) as i64)
}

/// The rows to sum over.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// All rows from `start` up to `end`.
    Range {
        /// The first row.
        start: usize,
        /// The row behind the last.
        end: usize,
    },
    /// These rows.
    List(&'a [u32]),
}

impl Rows<'_> {
    /// The number of rows.
    pub const fn len(&self) -> usize {
        match self {
            Self::Range { start, end } => *end - *start,
            Self::List(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Adds the packed derivatives of `rows` to the slots of their bins. `bins` is `[rows, width]`, `packed` `[rows]`.
///
/// # Panics
/// When a row is outside of `bins` or `packed`, there are more than [`PACKED_ROWS_MAX`] rows, `width` is not from 1 to
/// [`GROUP_COLUMNS_MAX`], or `slots` has fewer than `width` columns.
pub fn accumulate(width: usize, bins: &[u8], rows: Rows<'_>, packed: &[u64], slots: &mut [Slots]) {
    assert!(rows.len() <= PACKED_ROWS_MAX, "more rows than packed sums can hold");
    macro_rules! dispatch {
        ($($w:literal)*) => {
            match width {
                $($w => accumulate_width::<$w>(bins, rows, packed, slots),)*
                _ => unreachable!("a group holds 1 to {GROUP_COLUMNS_MAX} columns, not {width}"),
            }
        };
    }
    dispatch!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

/// How many rows ahead of the sum a listed row's bins are asked for.
const PREFETCH_ROWS: usize = 24;

fn accumulate_width<const W: usize>(bins: &[u8], rows: Rows<'_>, packed: &[u64], slots: &mut [Slots]) {
    let (bins, _) = bins.as_chunks::<W>();
    let (slots, _) = slots.as_chunks_mut::<W>();
    let slots = &mut slots[0];
    match rows {
        Rows::Range { start, end } => {
            for (bins, &packed) in bins[start..end].iter().zip(&packed[start..end]) {
                add_row(slots, bins, packed);
            }
        }
        Rows::List(rows) => {
            let near = rows.len().saturating_sub(PREFETCH_ROWS);
            for (&row, &ahead) in rows[..near].iter().zip(&rows[PREFETCH_ROWS.min(rows.len())..]) {
                prefetch(bins, ahead as usize);
                add_row(slots, &bins[row as usize], packed[row as usize]);
            }
            for &row in &rows[near..] {
                add_row(slots, &bins[row as usize], packed[row as usize]);
            }
        }
    }
}

#[inline(always)]
fn add_row<const W: usize>(slots: &mut [Slots; W], bins: &[u8; W], packed: u64) {
    for column in 0..W {
        let slot = &mut slots[column][usize::from(bins[column])];
        *slot = slot.wrapping_add(packed);
    }
}

#[inline(always)]
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "a prefetch takes a raw pointer")]
pub(crate) fn prefetch<T>(items: &[T], at: usize) {
    // SAFETY: a prefetch of any address has no effect on memory, and the address is not dereferenced.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(items.as_ptr().wrapping_add(at).cast());
    }
}

#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn prefetch<T>(_: &[T], _: usize) {}

/// Adds packed sums to wide ones and clears them.
pub fn flush(slots: &mut [u64], sums: &mut [[i64; 2]]) {
    for (slot, sum) in slots.iter_mut().zip(sums) {
        let (first, second) = unpack(std::mem::take(slot));
        sum[0] += first;
        sum[1] += second;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reference(width: usize, bins: &[u8], rows: &[u32], derivatives: &[(i64, i64)]) -> Vec<Vec<[i64; 2]>> {
        let mut sums = vec![vec![[0; 2]; 256]; width];
        for &row in rows {
            for (column, sums) in sums.iter_mut().enumerate() {
                let sum = &mut sums[usize::from(bins[row as usize * width + column])];
                sum[0] += derivatives[row as usize].0;
                sum[1] += derivatives[row as usize].1;
            }
        }
        sums
    }

    fn wide(slots: &mut [Slots]) -> Vec<Vec<[i64; 2]>> {
        slots
            .iter_mut()
            .map(|slots| {
                let mut sums = vec![[0; 2]; 256];
                flush(&mut slots[..256], &mut sums);
                sums
            })
            .collect()
    }

    const LIMIT: i64 = (1 << DERIVATIVE_BITS) - 1;

    proptest! {
        #[test]
        fn equals_the_reference_for_every_width(
            width in 1usize..=GROUP_COLUMNS_MAX,
            rows in 1usize..300,
            seed in any::<u64>(),
            every in 1usize..5,
        ) {
            let mut state = seed | 1;
            let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
            let bins: Vec<u8> = (0..rows * width).map(|_| next() as u8).collect();
            let derivatives: Vec<(i64, i64)> = (0..rows)
                .map(|_| ((next() % (2 * LIMIT as u64 + 1)) as i64 - LIMIT, (next() % (LIMIT as u64 + 1)) as i64))
                .collect();
            let packed: Vec<u64> = derivatives.iter().map(|(first, second)| pack(*first, *second)).collect();
            let list: Vec<u32> = (0..rows as u32).step_by(every).collect();
            let mut slots = vec![[0; SLOTS]; width];
            accumulate(width, &bins, Rows::List(&list), &packed, &mut slots);
            prop_assert_eq!(wide(&mut slots), reference(width, &bins, &list, &derivatives));
            let (start, end) = (rows / 3, rows);
            let list: Vec<u32> = (start as u32..end as u32).collect();
            accumulate(width, &bins, Rows::Range { start, end }, &packed, &mut slots);
            prop_assert_eq!(wide(&mut slots), reference(width, &bins, &list, &derivatives));
        }
    }

    #[test]
    fn the_largest_sums_fit() {
        for first in [-LIMIT, LIMIT] {
            let packed = vec![pack(first, LIMIT); PACKED_ROWS_MAX];
            let bins = vec![7; PACKED_ROWS_MAX];
            let mut slots = vec![[0; SLOTS]; 1];
            accumulate(1, &bins, Rows::Range { start: 0, end: PACKED_ROWS_MAX }, &packed, &mut slots);
            let rows = PACKED_ROWS_MAX as i64;
            assert_eq!(wide(&mut slots)[0][7], [first * rows, LIMIT * rows]);
        }
    }
}
