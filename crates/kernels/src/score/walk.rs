//! Trees of any size over binned columns, followed from the root. Eight rows walk at a time, so that their loads
//! overlap; a leaf points to itself, so that all take as many steps as the tree is deep. What is left of the rows walks
//! alone: the next tree's steps overlap with it then.

use super::BLOCK_ROWS;

/// Rows that walk together.
const TOGETHER: usize = 8;

/// A node of a walked tree.
#[derive(Clone, Debug)]
pub enum WalkNode {
    /// An inner node.
    Split {
        /// The column of the block.
        column: u32,
        /// The bins that go left.
        left_bins: LeftBins,
        /// The left child.
        left: u32,
        /// The right child.
        right: u32,
    },
    /// A leaf with its value.
    Leaf(f64),
}

/// Which bins go left.
#[derive(Clone, Debug)]
pub enum LeftBins {
    /// This bin and those below.
    AtMost(u8),
    /// Those whose bit is set.
    In(Box<[u8; 32]>),
}

#[derive(Clone, Copy, Debug)]
struct Packed {
    offset: u32,
    /// The last bin that goes left; for a set its number, counted from `SET`.
    test: u32,
    /// Left and right.
    children: [u32; 2],
}

/// From here on, a test is the number of a set.
const SET: u32 = 256;

/// A tree made ready for [`WalkTree::add`].
#[derive(Clone, Debug)]
pub struct WalkTree {
    nodes: Vec<Packed>,
    sets: Vec<[u8; 32]>,
    values: Vec<f64>,
    depth: usize,
    columns: usize,
}

impl WalkTree {
    /// Takes a tree whose root is node 0 and whose children stand behind their parents.
    ///
    /// # Panics
    /// When there is no node, or a child does not stand behind its parent.
    pub fn new(nodes: &[WalkNode]) -> Self {
        assert!(!nodes.is_empty(), "a tree has a root");
        let mut tree = Self { nodes: Vec::new(), sets: Vec::new(), values: Vec::new(), depth: 0, columns: 0 };
        let mut depths = vec![0; nodes.len()];
        for (at, node) in nodes.iter().enumerate() {
            let own = at as u32;
            let (packed, value) = match node {
                WalkNode::Leaf(value) => (Packed { offset: 0, test: 255, children: [own, own] }, *value),
                WalkNode::Split { column, left_bins, left, right } => {
                    for child in [*left, *right] {
                        assert!(child > own && (child as usize) < nodes.len(), "a child stands behind its parent");
                        depths[child as usize] = depths[at] + 1;
                    }
                    tree.columns = tree.columns.max(*column as usize + 1);
                    let test = match left_bins {
                        LeftBins::AtMost(bin) => u32::from(*bin),
                        LeftBins::In(set) => {
                            tree.sets.push(**set);
                            SET + tree.sets.len() as u32 - 1
                        }
                    };
                    (Packed { offset: column * BLOCK_ROWS as u32, test, children: [*left, *right] }, 0.0)
                }
            };
            tree.nodes.push(packed);
            tree.values.push(value);
            tree.depth = tree.depth.max(depths[at]);
        }
        tree
    }

    /// Adds the tree's leaf values to the scores of the first rows of a block. `bins` is `[columns, BLOCK_ROWS]`.
    ///
    /// # Panics
    /// When `bins` has too few columns or `scores` more than `BLOCK_ROWS` rows.
    pub fn add(&self, bins: &[u8], scores: &mut [f64]) {
        assert!(bins.len() >= BLOCK_ROWS * self.columns && scores.len() <= BLOCK_ROWS);
        let mut first = 0;
        let (together, alone) = scores.as_chunks_mut::<TOGETHER>();
        for scores in together {
            self.add_rows(bins, first, scores);
            first += TOGETHER;
        }
        for score in alone {
            self.add_rows(bins, first, std::array::from_mut(score));
            first += 1;
        }
    }

    #[inline]
    fn add_rows<const ROWS: usize>(&self, bins: &[u8], first: usize, scores: &mut [f64; ROWS]) {
        let mut at = [0u32; ROWS];
        for _ in 0..self.depth {
            for (row, at) in at.iter_mut().enumerate() {
                let node = &self.nodes[*at as usize];
                let bin = bins[node.offset as usize + first + row];
                let right = match node.test {
                    test if test < SET => u32::from(bin) > test,
                    set => self.sets[(set - SET) as usize][usize::from(bin >> 3)] >> (bin & 7) & 1 == 0,
                };
                *at = node.children[usize::from(right)];
            }
        }
        for (score, at) in scores.iter_mut().zip(at) {
            *score += self.values[at as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_to_the_leaf_of_each_row() {
        let mut set = Box::new([0u8; 32]);
        set[0] = 0b0000_0100;
        let tree = WalkTree::new(&[
            WalkNode::Split { column: 0, left_bins: LeftBins::AtMost(99), left: 1, right: 2 },
            WalkNode::Leaf(1.0),
            WalkNode::Split { column: 1, left_bins: LeftBins::In(set), left: 3, right: 4 },
            WalkNode::Leaf(2.0),
            WalkNode::Leaf(4.0),
        ]);
        let mut bins: Vec<u8> = (0..=255).collect();
        bins.extend((0..=255u8).map(|row| row % 4));
        let want = |row: usize| match row {
            ..100 => 1.5,
            _ if row % 4 == 2 => 2.5,
            _ => 4.5,
        };
        for rows in [BLOCK_ROWS, 107, 3] {
            let mut scores = vec![0.5; rows];
            tree.add(&bins, &mut scores);
            assert_eq!(scores, (0..rows).map(want).collect::<Vec<_>>());
        }
    }
}
