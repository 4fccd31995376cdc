//! Scores of blocks of rows by trees of up to 256 leaves, without following any path.
//!
//! After QuickScorer (Lucchese et al., SIGIR 2015) and RapidScorer (Ye et al., KDD 2018), over binned columns. Every
//! row keeps one bit per leaf. Each inner node whose test holds for the row clears the leaves of the child that the
//! row cannot reach; the lowest bit that is left is the row's leaf. Tests need no order and no branch, so 32 rows are
//! tested by one instruction. The leaves of a tree are cut into slices of eight (a byte per row), and the tests of a
//! slice stand together, so that a slice stays in registers while its tests run over 256 rows.
//!
//! [`walk`] holds the path-following alternative for larger trees.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
pub mod walk;

/// Rows of a block.
pub const BLOCK_ROWS: usize = 256;

/// Leaves of a tree at most.
pub const LEAVES_MAX: usize = 256;

const SLICE_LEAVES: usize = 8;

/// What a row's bin must be for a test to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// Above this bin.
    Above(u8),
    /// This bin or below; at most 254.
    AtMost(u8),
    /// One of the bins whose bit is set.
    In([u8; 32]),
}

/// An inner node: where `condition` holds on `column`, the leaves from `clear_from` up to `clear_to` are out.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// The column of the block.
    pub column: u32,
    /// When the test holds.
    pub condition: Condition,
    /// The first leaf to clear.
    pub clear_from: u32,
    /// The leaf behind the last to clear.
    pub clear_to: u32,
}

/// A comparison, its bytes repeated four times so that one instruction spreads them over a register.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Comparison {
    /// Where the column begins in the block.
    offset: u32,
    /// The test is `(bin ^ flip) > threshold` on signed bytes: 0x80 keeps the order of bins, 0x7F reverses it.
    flip: u32,
    threshold: u32,
    clear: u32,
}

#[derive(Clone, Copy, Debug)]
struct Membership {
    offset: u32,
    clear: u32,
    set: [u8; 32],
}

/// The ends of a slice's tests, in the lists of all tests.
#[derive(Clone, Copy, Debug)]
struct Slice {
    comparisons_end: u32,
    memberships_end: u32,
}

#[derive(Clone, Debug)]
struct Leaves {
    slices_end: u32,
    output: u32,
    /// Padded to [`LEAVES_MAX`], so that any byte is a valid index.
    values: Box<[f64; LEAVES_MAX]>,
}

/// Trees made ready for [`Program::add`].
#[derive(Clone, Debug, Default)]
pub struct Program {
    comparisons: Vec<Comparison>,
    memberships: Vec<Membership>,
    slices: Vec<Slice>,
    trees: Vec<Leaves>,
    columns: usize,
    outputs: usize,
}

impl Program {
    /// Appends a tree with one value per leaf, whose values are added to `output`.
    ///
    /// # Panics
    /// When there are no leaves or more than [`LEAVES_MAX`], or a test clears a leaf that does not exist.
    pub fn push(&mut self, tests: &[Test], values: &[f64], output: u32) {
        assert!((1..=LEAVES_MAX).contains(&values.len()), "a tree has 1 to {LEAVES_MAX} leaves");
        let mut padded = Box::new([0.0; LEAVES_MAX]);
        padded[..values.len()].copy_from_slice(values);
        for first in (0..values.len()).step_by(SLICE_LEAVES) {
            for test in tests {
                assert!(test.clear_from <= test.clear_to && test.clear_to as usize <= values.len());
                self.push_test(test, first as u32);
            }
            self.slices.push(Slice {
                comparisons_end: self.comparisons.len() as u32,
                memberships_end: self.memberships.len() as u32,
            });
        }
        self.outputs = self.outputs.max(output as usize + 1);
        self.trees.push(Leaves { slices_end: self.slices.len() as u32, output, values: padded });
    }

    fn push_test(&mut self, test: &Test, first: u32) {
        let bits = |leaf: u32| (1u32 << leaf.saturating_sub(first).min(SLICE_LEAVES as u32)) - 1;
        let clear = (bits(test.clear_to) & !bits(test.clear_from)) * 0x0101_0101;
        if clear == 0 {
            return;
        }
        self.columns = self.columns.max(test.column as usize + 1);
        let offset = test.column * BLOCK_ROWS as u32;
        let spread = |byte: u8| u32::from(byte) * 0x0101_0101;
        match test.condition {
            Condition::Above(bin) => {
                let (flip, threshold) = (spread(0x80), spread(bin ^ 0x80));
                self.comparisons.push(Comparison { offset, flip, threshold, clear });
            }
            Condition::AtMost(bin) => {
                let (flip, threshold) = (spread(0x7F), spread((bin.min(254) + 1) ^ 0x7F));
                self.comparisons.push(Comparison { offset, flip, threshold, clear });
            }
            Condition::In(set) => self.memberships.push(Membership { offset, clear, set }),
        }
    }

    /// The number of trees.
    pub fn len(&self) -> usize {
        self.trees.len()
    }

    /// Whether there are no trees.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Adds every tree's leaf values to the scores of the first `rows` rows of a block. `bins` is
    /// `[columns, BLOCK_ROWS]`, `scores` `[outputs, BLOCK_ROWS]`.
    ///
    /// # Panics
    /// When `bins` or `scores` are too short for the trees, or a block has fewer rows.
    pub fn add(&self, bins: &[u8], scores: &mut [f64], rows: usize) {
        assert!(bins.len() >= self.columns * BLOCK_ROWS, "too few columns for the trees");
        assert!(scores.len() >= self.outputs * BLOCK_ROWS, "too few outputs for the trees");
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return self.add_through(bins, scores, rows, avx2::leaves);
        }
        self.add_through(bins, scores, rows, scalar::leaves);
    }

    fn add_through(&self, bins: &[u8], scores: &mut [f64], rows: usize, leaves: LeavesOf) {
        let mut index = [0; BLOCK_ROWS];
        let index = &mut index[..rows];
        let mut tests = (0, 0);
        let mut slices = 0;
        for tree in &self.trees {
            let of_tree = &self.slices[slices..tree.slices_end as usize];
            leaves(self, of_tree, tests, bins, index);
            slices = tree.slices_end as usize;
            if let Some(last) = of_tree.last() {
                tests = (last.comparisons_end as usize, last.memberships_end as usize);
            }
            let scores = &mut scores[tree.output as usize * BLOCK_ROWS..][..rows];
            for (score, leaf) in scores.iter_mut().zip(&*index) {
                *score += tree.values[usize::from(*leaf)];
            }
        }
    }
}

/// Finds the leaf of each of the first rows in the tree of these slices, whose tests begin at the given places.
type LeavesOf = fn(&Program, &[Slice], (usize, usize), &[u8], &mut [u8]);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A random tree over `leaves` leaves; returns its tests and, for a row, its leaf.
    fn grow(leaves: (u32, u32), columns: u32, random: &mut impl FnMut() -> u64, tests: &mut Vec<Test>) {
        let (from, to) = leaves;
        if to - from < 2 {
            return;
        }
        let middle = from + 1 + (random() % u64::from(to - from - 1)) as u32;
        let column = (random() % u64::from(columns)) as u32;
        let condition = match random() % 3 {
            0 => Condition::Above(random() as u8),
            1 => Condition::AtMost((random() % 255) as u8),
            _ => Condition::In(std::array::from_fn(|_| random() as u8)),
        };
        tests.push(Test { column, condition, clear_from: from, clear_to: middle });
        grow((from, middle), columns, random, tests);
        grow((middle, to), columns, random, tests);
    }

    fn holds(condition: Condition, bin: u8) -> bool {
        match condition {
            Condition::Above(limit) => bin > limit,
            Condition::AtMost(limit) => bin <= limit,
            Condition::In(set) => set[usize::from(bin >> 3)] >> (bin & 7) & 1 == 1,
        }
    }

    /// The leaf of a row by the definition: clear, then take the lowest that is left.
    fn leaf(tests: &[Test], leaves: u32, bins: &[u8], row: usize) -> u32 {
        let out: Vec<&Test> =
            tests.iter().filter(|t| holds(t.condition, bins[t.column as usize * BLOCK_ROWS + row])).collect();
        (0..leaves).find(|leaf| !out.iter().any(|t| (t.clear_from..t.clear_to).contains(leaf))).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_path_finds_the_leaf_of_the_definition(
            sizes in proptest::collection::vec(1u32..=256, 1..5),
            columns in 1u32..6,
            rows in 1..=BLOCK_ROWS,
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let mut random = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state >> 8 };
            let bins: Vec<u8> = (0..columns as usize * BLOCK_ROWS).map(|_| random() as u8).collect();
            let mut program = Program::default();
            let mut want = vec![0.0; 2 * BLOCK_ROWS];
            for (number, leaves) in sizes.iter().enumerate() {
                let mut tests = Vec::new();
                grow((0, *leaves), columns, &mut random, &mut tests);
                let values: Vec<f64> = (0..*leaves).map(|leaf| f64::from(leaf * 7 + 1)).collect();
                let output = number % 2;
                program.push(&tests, &values, output as u32);
                for row in 0..rows {
                    want[output * BLOCK_ROWS + row] += values[leaf(&tests, *leaves, &bins, row) as usize];
                }
            }
            let mut scores = vec![0.0; 2 * BLOCK_ROWS];
            program.add(&bins, &mut scores, rows);
            prop_assert_eq!(&scores, &want);
            scores.fill(0.0);
            program.add_through(&bins, &mut scores, rows, scalar::leaves);
            prop_assert_eq!(&scores, &want);
        }
    }
}
