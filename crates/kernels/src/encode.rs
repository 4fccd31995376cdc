//! Numbers to bins: how many thresholds lie below a value.

/// Thresholds of a column at most, so that a bin and the mark for a missing value fit in a byte.
pub const THRESHOLDS_MAX: usize = 254;

/// Sorted thresholds, padded for a search whose steps do not depend on the data.
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// Padded with infinity to `2^steps - 1` values.
    padded: Vec<f64>,
    steps: u32,
}

impl Thresholds {
    /// Takes ascending thresholds; `None` when there are more than [`THRESHOLDS_MAX`] or they do not ascend.
    pub fn new(ascending: &[f64]) -> Option<Self> {
        if ascending.len() > THRESHOLDS_MAX || !ascending.windows(2).all(|pair| pair[0] < pair[1]) {
            return None;
        }
        let steps = usize::BITS - ascending.len().leading_zeros();
        let mut padded = ascending.to_vec();
        padded.resize((1 << steps) - 1, f64::INFINITY);
        Some(Self { padded, steps })
    }

    /// The number of thresholds below `value`, which is the bin that holds it; NaN gives 0.
    #[inline(always)]
    fn bin(&self, value: f64) -> u8 {
        let mut below = 0;
        let mut half = 1usize << self.steps;
        while half > 1 {
            half >>= 1;
            // `below + half - 1` is at most `2^steps - 2`.
            below += if self.padded[below + half - 1] < value { half } else { 0 };
        }
        below as u8
    }

    /// Writes the bin of each value, `missing` for NaN. Returns whether there was a NaN.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn encode(&self, values: &[f64], missing: u8, bins: &mut [u8]) -> bool {
        assert_eq!(values.len(), bins.len());
        let mut any_missing = false;
        for (value, bin) in values.iter().zip(bins) {
            let found = self.bin(*value);
            any_missing |= value.is_nan();
            *bin = if value.is_nan() { missing } else { found };
        }
        any_missing
    }
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
