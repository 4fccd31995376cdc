//! Numbers to bins: how many thresholds lie below a value.

/// Thresholds of a column at most, so that a bin and the mark for a missing value fit in a byte.
pub const THRESHOLDS_MAX: usize = 254;

/// Values that are searched for at a time, so that their loads overlap.
const TOGETHER: usize = 8;

/// Sorted thresholds, padded for a search whose steps do not depend on the data.
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// Padded with infinity, so that any byte is a valid index.
    padded: Box<[f64; 256]>,
    steps: u32,
}

impl Thresholds {
    /// Takes ascending thresholds; `None` when there are more than [`THRESHOLDS_MAX`] or they do not ascend.
    pub fn new(ascending: &[f64]) -> Option<Self> {
        if ascending.len() > THRESHOLDS_MAX || !ascending.windows(2).all(|pair| pair[0] < pair[1]) {
            return None;
        }
        let mut padded = Box::new([f64::INFINITY; 256]);
        padded[..ascending.len()].copy_from_slice(ascending);
        Some(Self { padded, steps: usize::BITS - ascending.len().leading_zeros() })
    }

    /// Writes for each value the number of thresholds below it, which is its bin, and `missing` for NaN. Returns
    /// whether there was a NaN.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn encode(&self, values: &[f64], missing: u8, bins: &mut [u8]) -> bool {
        assert_eq!(values.len(), bins.len());
        match self.steps {
            0 => search::<0>(&self.padded, values, missing, bins),
            1 => search::<1>(&self.padded, values, missing, bins),
            2 => search::<2>(&self.padded, values, missing, bins),
            3 => search::<3>(&self.padded, values, missing, bins),
            4 => search::<4>(&self.padded, values, missing, bins),
            5 => search::<5>(&self.padded, values, missing, bins),
            6 => search::<6>(&self.padded, values, missing, bins),
            7 => search::<7>(&self.padded, values, missing, bins),
            _ => search::<8>(&self.padded, values, missing, bins),
        }
    }
}

fn search<const STEPS: u32>(thresholds: &[f64; 256], values: &[f64], missing: u8, bins: &mut [u8]) -> bool {
    let mut any_missing = false;
    let (blocks, rest) = values.as_chunks::<TOGETHER>();
    let (bin_blocks, bin_rest) = bins.as_chunks_mut::<TOGETHER>();
    for (values, bins) in blocks.iter().zip(bin_blocks) {
        any_missing |= search_block::<STEPS>(thresholds, values, missing, bins);
    }
    let (mut last, mut last_bins) = ([0.0; TOGETHER], [0; TOGETHER]);
    last[..rest.len()].copy_from_slice(rest);
    any_missing |= search_block::<STEPS>(thresholds, &last, missing, &mut last_bins);
    bin_rest.copy_from_slice(&last_bins[..rest.len()]);
    any_missing
}

#[inline(always)]
fn search_block<const STEPS: u32>(
    thresholds: &[f64; 256],
    values: &[f64; TOGETHER],
    missing: u8,
    bins: &mut [u8; TOGETHER],
) -> bool {
    let mut below = [0u8; TOGETHER];
    for step in (0..STEPS).rev() {
        let half = 1u8 << step;
        for (below, value) in below.iter_mut().zip(values) {
            // The comparison becomes 0 or 1 and is shifted: no branch, for its outcome cannot be foreseen.
            *below += u8::from(thresholds[usize::from(*below + (half - 1))] < *value) << step;
        }
    }
    let mut any_missing = false;
    for ((bin, below), value) in bins.iter_mut().zip(below).zip(values) {
        any_missing |= value.is_nan();
        *bin = if value.is_nan() { missing } else { below };
    }
    any_missing
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_counting(
            mut thresholds in proptest::collection::vec(-50i32..50, 0..90),
            values in proptest::collection::vec(-120i32..120, 0..60),
        ) {
            thresholds.sort_unstable();
            thresholds.dedup();
            let thresholds: Vec<f64> = thresholds.iter().map(|t| f64::from(*t)).collect();
            let mut values: Vec<f64> = values.iter().map(|v| f64::from(*v) * 0.5).collect();
            values.extend([f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0]);
            let mut bins = vec![0; values.len()];
            let any = Thresholds::new(&thresholds).unwrap().encode(&values, 255, &mut bins);
            prop_assert!(any);
            for (value, bin) in values.iter().zip(bins) {
                let want = thresholds.iter().filter(|t| **t < *value).count();
                prop_assert_eq!(usize::from(bin), if value.is_nan() { 255 } else { want });
            }
        }
    }

    #[test]
    fn takes_up_to_254_thresholds() {
        let many: Vec<f64> = (0..255).map(f64::from).collect();
        assert!(Thresholds::new(&many).is_none());
        let thresholds = Thresholds::new(&many[..254]).unwrap();
        let mut bins = [0; 3];
        assert!(!thresholds.encode(&[0.0, 100.5, 1e9], 255, &mut bins));
        assert_eq!(bins, [0, 101, 254]);
        assert!(Thresholds::new(&[1.0, 1.0]).is_none());
    }
}
