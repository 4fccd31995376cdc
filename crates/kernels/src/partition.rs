//! Stable partition of row numbers by the side of a split that each row falls on.

use crate::histogram::prefetch;

/// How many rows ahead a row's bin is asked for.
const PREFETCH_ROWS: usize = 32;

/// Moves the rows whose bin is marked in `left` to the front, keeping the order on both sides, and returns how many
/// they are. `bins` is `[rows, width]`, read at `column`; `right` is room for as many rows as `rows` has.
///
/// # Panics
/// When a row is outside of `bins`, or `right` is shorter than `rows`.
pub fn partition(
    rows: &mut [u32],
    right: &mut [u32],
    bins: &[u8],
    width: usize,
    column: usize,
    left: &[bool; 256],
) -> usize {
    assert!(column < width, "the column lies outside of its group");
    let right = &mut right[..rows.len()];
    let (mut lefts, mut rights) = (0, 0);
    let last = rows.len().saturating_sub(1);
    for at in 0..rows.len() {
        let row = rows[at];
        prefetch(bins, rows[(at + PREFETCH_ROWS).min(last)] as usize * width + column);
        let goes_left = left[usize::from(bins[row as usize * width + column])];
        // Both stores always happen; which of them counts is decided without a branch.
        rows[lefts] = row;
        right[rights] = row;
        lefts += usize::from(goes_left);
        rights += usize::from(!goes_left);
    }
    rows[lefts..].copy_from_slice(&right[..rights]);
    lefts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::partition;

    proptest! {
        #[test]
        fn equals_two_filters(
            bins in proptest::collection::vec(any::<u8>(), 0..400),
            width in 1usize..5,
            keep in proptest::collection::vec(any::<bool>(), 256),
            every in 1usize..4,
        ) {
            let count = bins.len() / width;
            let column = count % width;
            let mut left = [false; 256];
            left.copy_from_slice(&keep);
            let mut rows: Vec<u32> = (0..count as u32).step_by(every).collect();
            let goes = |row: &u32| left[usize::from(bins[*row as usize * width + column])];
            let (mut want, rest): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| goes(row));
            let lefts = want.len();
            want.extend(rest);
            let mut scratch = vec![0; rows.len()];
            prop_assert_eq!(partition(&mut rows, &mut scratch, &bins, width, column, &left), lefts);
            prop_assert_eq!(rows, want);
        }
    }
}
