//! Fast prediction: values become bins of the forest's own thresholds, then trees are scored on bytes.
//!
//! A forest uses at most 254 thresholds of a feature (training cuts no more bins), so a byte tells exactly on which
//! side of each of them a value lies, and no precision is lost. Where a feature has nodes that send missing values
//! left and others that send them right, it has two columns of bins, with missing values lowest and highest.

use std::collections::BTreeMap;

use lakemill_kernels::encode::Thresholds;
use lakemill_kernels::score::walk::{LeftBins, WalkNode, WalkTree};
use lakemill_kernels::score::{BLOCK_ROWS, Condition, LEAVES_MAX, Program, Test as LeafTest};

use crate::encode::{TreeColumn, TreeValues};

use super::forest::{FeatureKind, Forest, NodeSplit, Test, Tree};
use super::split::BinSet;

/// The bin that stands above those of all values.
const HIGHEST: u8 = 255;

/// The last bin that a value can have.
const HIGHEST_VALUE: u8 = 254;

/// So few rows follow their paths in all trees: the leaves' way tests 32 rows at once, whether there are as many or not.
const FEW_ROWS: usize = 8;

/// A forest made ready for prediction.
#[derive(Clone, Debug)]
pub(super) struct Scorer {
    inputs: Vec<Input>,
    columns: usize,
    /// Every tree, and its output.
    trees: Vec<(WalkTree, usize)>,
    stages: Vec<Stage>,
}

/// A feature that some tree tests.
#[derive(Clone, Debug)]
struct Input {
    feature: usize,
    kind: InputKind,
}

#[derive(Clone, Debug)]
enum InputKind {
    /// Where the bins go with missing values lowest, and with missing values highest.
    Numeric {
        thresholds: Thresholds,
        sorted: Vec<f64>,
        low: Option<usize>,
        high: Option<usize>,
    },
    Categorical {
        bin_of_code: Vec<u8>,
        column: usize,
    },
}

/// Trees that follow each other and are scored in the same way.
#[derive(Clone, Debug)]
enum Stage {
    Leaves(Program),
    /// The tree of this number.
    Walk(usize),
}

impl Scorer {
    /// `None` when the forest cannot be scored on bytes: it then has more thresholds than training cuts.
    pub(super) fn new(forest: &Forest) -> Option<Self> {
        let mut scorer = Self { inputs: Vec::new(), columns: 0, trees: Vec::new(), stages: Vec::new() };
        let by_feature = scorer.plan_inputs(forest)?;
        for (number, tree) in forest.trees.iter().enumerate() {
            let walk = scorer.walk(tree, &by_feature)?;
            scorer.trees.push((walk, tree.output as usize));
            let leaves = tree.nodes.iter().filter(|node| node.split.is_none()).count();
            if leaves > LEAVES_MAX {
                scorer.stages.push(Stage::Walk(number));
                continue;
            }
            let mut compiled = Compiled { tests: Vec::new(), values: Vec::new() };
            scorer.number(tree, &by_feature, &mut compiled)?;
            if !matches!(scorer.stages.last(), Some(Stage::Leaves(_))) {
                scorer.stages.push(Stage::Leaves(Program::default()));
            }
            if let Some(Stage::Leaves(program)) = scorer.stages.last_mut() {
                program.push(&compiled.tests, &compiled.values, tree.output);
            }
        }
        Some(scorer)
    }

    /// Gives every tested feature its columns; returns the place of each feature's input.
    fn plan_inputs(&mut self, forest: &Forest) -> Option<BTreeMap<u32, usize>> {
        #[derive(Default)]
        struct Use {
            thresholds: Vec<f64>,
            missing: [bool; 2],
        }
        let mut uses: BTreeMap<u32, Use> = BTreeMap::new();
        for split in forest.trees.iter().flat_map(|tree| &tree.nodes).filter_map(|node| node.split.as_ref()) {
            let used = uses.entry(split.feature).or_default();
            used.missing[usize::from(split.missing_left)] = true;
            match split.test {
                Test::AtMost(threshold) if threshold < f64::INFINITY => used.thresholds.push(threshold),
                _ => {}
            }
        }
        let mut by_feature = BTreeMap::new();
        for (feature, used) in uses {
            by_feature.insert(feature, self.inputs.len());
            let kind = match &forest.features[feature as usize].kind {
                FeatureKind::Categorical { bin_of_code } => {
                    InputKind::Categorical { bin_of_code: bin_of_code.clone(), column: self.column() }
                }
                FeatureKind::Numeric => {
                    let mut sorted = used.thresholds;
                    sorted.sort_unstable_by(f64::total_cmp);
                    sorted.dedup();
                    let high = used.missing[0].then(|| self.column());
                    let low = used.missing[1].then(|| self.column());
                    InputKind::Numeric { thresholds: Thresholds::new(&sorted)?, sorted, low, high }
                }
            };
            self.inputs.push(Input { feature: feature as usize, kind });
        }
        Some(by_feature)
    }

    fn column(&mut self) -> usize {
        self.columns += 1;
        self.columns - 1
    }

    /// The column of a split, and the bins that go left.
    fn test(&self, split: &NodeSplit, by_feature: &BTreeMap<u32, usize>) -> Option<(u32, Bins)> {
        match (&self.inputs[*by_feature.get(&split.feature)?].kind, &split.test) {
            (InputKind::Categorical { column, .. }, Test::In(set)) => Some((*column as u32, Bins::In(bytes(set)))),
            (InputKind::Numeric { sorted, low, high, .. }, Test::AtMost(threshold)) => {
                let column = if split.missing_left { low } else { high };
                // The bins up to that of the threshold itself go left; behind the last threshold, all values do.
                let last = match sorted.binary_search_by(|other| other.total_cmp(threshold)) {
                    Ok(at) => at as u8,
                    Err(_) => HIGHEST_VALUE,
                };
                Some(((*column)? as u32, Bins::AtMost(last)))
            }
            _ => None,
        }
    }

    fn walk(&self, tree: &Tree, by_feature: &BTreeMap<u32, usize>) -> Option<WalkTree> {
        let nodes: Option<Vec<WalkNode>> = tree
            .nodes
            .iter()
            .map(|node| {
                let Some(split) = &node.split else { return Some(WalkNode::Leaf(node.value)) };
                let (column, bins) = self.test(split, by_feature)?;
                let left_bins = match bins {
                    Bins::AtMost(last) => LeftBins::AtMost(last),
                    Bins::In(set) => LeftBins::In(Box::new(set)),
                };
                Some(WalkNode::Split { column, left_bins, left: split.left, right: split.right })
            })
            .collect();
        nodes.map(|nodes| WalkTree::new(&nodes))
    }

    /// Numbers the leaves so that at every node the child with fewer leaves comes first: its leaves are the ones that
    /// a test clears, and the fewer they are, the fewer slices hold that test.
    fn number(&self, tree: &Tree, by_feature: &BTreeMap<u32, usize>, compiled: &mut Compiled) -> Option<()> {
        let mut leaves = vec![1u32; tree.nodes.len()];
        for (at, node) in tree.nodes.iter().enumerate().rev() {
            if let Some(split) = &node.split {
                leaves[at] = leaves[split.left as usize] + leaves[split.right as usize];
            }
        }
        let mut open = vec![0u32];
        while let Some(at) = open.pop() {
            let node = &tree.nodes[at as usize];
            let Some(split) = &node.split else {
                compiled.values.push(node.value);
                continue;
            };
            let (column, bins) = self.test(split, by_feature)?;
            let left_first = leaves[split.left as usize] <= leaves[split.right as usize];
            let (first, second) = if left_first { (split.left, split.right) } else { (split.right, split.left) };
            let condition = match (bins, left_first) {
                (Bins::AtMost(last), true) => Condition::Above(last),
                (Bins::AtMost(last), false) => Condition::AtMost(last),
                (Bins::In(set), true) => Condition::In(set.map(|byte| !byte)),
                (Bins::In(set), false) => Condition::In(set),
            };
            let clear_from = compiled.values.len() as u32;
            compiled.tests.push(LeafTest {
                column,
                condition,
                clear_from,
                clear_to: clear_from + leaves[first as usize],
            });
            open.extend([second, first]);
        }
        Some(())
    }

    /// Writes the scores of the rows from `start` on, `[rows, outputs]`.
    pub(super) fn score(&self, base: &[f64], columns: &[TreeColumn], start: usize, out: &mut [f64]) {
        let outputs = base.len();
        let mut bins = vec![0u8; self.columns * BLOCK_ROWS];
        let mut scores = vec![0.0; outputs * BLOCK_ROWS];
        for (block, out) in out.chunks_mut(BLOCK_ROWS * outputs).enumerate() {
            let rows = out.len() / outputs;
            self.encode(columns, start + block * BLOCK_ROWS, rows, &mut bins);
            for (scores, base) in scores.chunks_exact_mut(BLOCK_ROWS).zip(base) {
                scores.fill(*base);
            }
            let walk = |(tree, output): &(WalkTree, usize), scores: &mut [f64]| {
                tree.add(&bins, &mut scores[output * BLOCK_ROWS..][..rows]);
            };
            if rows <= FEW_ROWS {
                self.trees.iter().for_each(|tree| walk(tree, &mut scores));
            } else {
                for stage in &self.stages {
                    match stage {
                        Stage::Leaves(program) => program.add(&bins, &mut scores, rows),
                        Stage::Walk(tree) => walk(&self.trees[*tree], &mut scores),
                    }
                }
            }
            for (row, out) in out.chunks_exact_mut(outputs).enumerate() {
                for (output, out) in out.iter_mut().enumerate() {
                    *out = scores[output * BLOCK_ROWS + row];
                }
            }
        }
    }

    fn encode(&self, columns: &[TreeColumn], start: usize, rows: usize, bins: &mut [u8]) {
        for input in &self.inputs {
            match (&input.kind, &columns[input.feature].values) {
                (InputKind::Numeric { thresholds, low, high, .. }, TreeValues::Numeric(values)) => {
                    encode_numeric(thresholds, &values[start..start + rows], *low, *high, bins);
                }
                (InputKind::Categorical { bin_of_code, column }, TreeValues::Categorical { codes, .. }) => {
                    let missing = bin_of_code.first().copied().unwrap_or(HIGHEST);
                    for (bin, code) in bins[column * BLOCK_ROWS..].iter_mut().zip(&codes[start..start + rows]) {
                        *bin = bin_of_code.get(*code as usize).copied().unwrap_or(missing);
                    }
                }
                // `Forest::check` refuses such columns.
                _ => debug_assert!(false, "a column changed between number and category"),
            }
        }
    }
}

fn encode_numeric(thresholds: &Thresholds, values: &[f64], low: Option<usize>, high: Option<usize>, bins: &mut [u8]) {
    let place = |column: usize| column * BLOCK_ROWS..column * BLOCK_ROWS + values.len();
    match (low, high) {
        (Some(low), None) => {
            thresholds.encode(values, 0, &mut bins[place(low)]);
        }
        (low, Some(high)) => {
            let any_missing = thresholds.encode(values, HIGHEST, &mut bins[place(high)]);
            let Some(low) = low else { return };
            bins.copy_within(place(high), low * BLOCK_ROWS);
            if any_missing {
                bins[place(low)].iter_mut().filter(|bin| **bin == HIGHEST).for_each(|bin| *bin = 0);
            }
        }
        (None, None) => {}
    }
}

enum Bins {
    AtMost(u8),
    In([u8; 32]),
}

struct Compiled {
    tests: Vec<LeafTest>,
    values: Vec<f64>,
}

fn bytes(set: &BinSet) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (word, bytes) in set.iter().zip(bytes.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
