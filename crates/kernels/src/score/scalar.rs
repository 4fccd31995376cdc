//! The readable reference: the same bytes, one row after the other.

use super::{Program, Slice};

pub(super) fn leaves(program: &Program, slices: &[Slice], begin: (usize, usize), bins: &[u8], index: &mut [u8]) {
    for (row, leaf) in index.iter_mut().enumerate() {
        let (mut comparisons, mut memberships) = begin;
        for (number, slice) in slices.iter().enumerate() {
            let mut open = 0xFFu8;
            for test in &program.comparisons[comparisons..slice.comparisons_end as usize] {
                let bin = bins[test.offset as usize + row] ^ test.flip as u8;
                if bin.cast_signed() > (test.threshold as u8).cast_signed() {
                    open &= !(test.clear as u8);
                }
            }
            for test in &program.memberships[memberships..slice.memberships_end as usize] {
                let bin = bins[test.offset as usize + row];
                if test.set[usize::from(bin >> 3)] >> (bin & 7) & 1 == 1 {
                    open &= !(test.clear as u8);
                }
            }
            if open != 0 {
                *leaf = (number * 8) as u8 + open.trailing_zeros() as u8;
                break;
            }
            comparisons = slice.comparisons_end as usize;
            memberships = slice.memberships_end as usize;
        }
    }
}
