//! A trained forest: its trees as nodes, and prediction.

use std::sync::OnceLock;

use arrow::array::RecordBatch;
use rayon::prelude::*;

use crate::encode::{TreeColumn, TreeValues};
use crate::{Driver, Error, Result};

use super::scorer::Scorer;
use super::split::{BinSet, contains};
use super::{FeatureImportance, Objective, codec, importance};

/// Rows that a thread scores at a time.
const TASK_ROWS: usize = 4_096;

/// What a feature's values are.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureKind {
    /// Numbers; NaN is missing.
    Numeric,
    /// Categories; `bin_of_code[code]` is the bin that a category is counted in. Code 0 is missing, and codes behind
    /// the last count as missing too.
    Categorical {
        /// The bin of each code.
        bin_of_code: Vec<u8>,
    },
}

/// A feature of a forest.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: FeatureKind,
}

/// What sends a row to the left child.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// A number up to this one.
    AtMost(f64),
    /// A category whose bin's bit is set; the bin of missing values is one of them.
    In([u64; 4]),
}

/// The split of an inner node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSplit {
    /// Which of the forest's features is tested.
    pub feature: u32,
    /// What sends a row to the left child.
    pub test: Test,
    /// Whether rows with a missing value go left.
    pub missing_left: bool,
    /// What the split took off twice the loss.
    pub gain: f64,
    /// The left child.
    pub left: u32,
    /// The right child.
    pub right: u32,
}

/// A node of a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The split; `None` for a leaf.
    pub split: Option<NodeSplit>,
    /// What a leaf adds to the score. For an inner node, what it would add if it were one.
    pub value: f64,
    /// Sum of second derivatives of the training rows that came here.
    pub cover: f64,
}

/// One tree, its nodes in preorder.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// Which score it adds to.
    pub output: u32,
    /// The boosting round that it comes from.
    pub iteration: u32,
    /// Its nodes; children stand behind their parents.
    pub nodes: Vec<Node>,
}

impl Tree {
    /// The node of the leaf that a row falls in, followed from the root on the values themselves.
    fn leaf(&self, features: &[Feature], columns: &[TreeColumn], row: usize) -> &Node {
        let mut node = &self.nodes[0];
        while let Some(split) = &node.split {
            let feature = split.feature as usize;
            let left = match (&split.test, &columns[feature].values, &features[feature].kind) {
                (Test::AtMost(threshold), TreeValues::Numeric(values), _) => {
                    if values[row].is_nan() {
                        split.missing_left
                    } else {
                        values[row] <= *threshold
                    }
                }
                (Test::In(set), TreeValues::Categorical { codes, .. }, FeatureKind::Categorical { bin_of_code }) => {
                    category_goes_left(set, bin_of_code, codes[row], split.missing_left)
                }
                _ => split.missing_left,
            };
            node = &self.nodes[if left { split.left } else { split.right } as usize];
        }
        node
    }
}

fn category_goes_left(set: &BinSet, bin_of_code: &[u8], code: u32, missing_left: bool) -> bool {
    bin_of_code.get(code as usize).map_or(missing_left, |bin| contains(set, *bin))
}

/// A sum of trees. Send and Sync; predictions need no lock.
#[derive(Clone, Debug)]
pub struct Forest {
    pub(super) objective: Objective,
    pub(super) features: Vec<Feature>,
    pub(super) base_scores: Vec<f64>,
    pub(super) trees: Vec<Tree>,
    /// The trees made ready for prediction, once they are needed.
    scorer: OnceLock<Option<Scorer>>,
}

impl PartialEq for Forest {
    fn eq(&self, other: &Self) -> bool {
        (self.objective, &self.features, &self.base_scores, &self.trees)
            == (other.objective, &other.features, &other.base_scores, &other.trees)
    }
}

impl Forest {
    pub(super) fn new(objective: Objective, features: Vec<Feature>, base_scores: Vec<f64>, trees: Vec<Tree>) -> Self {
        Self { objective, features, base_scores, trees, scorer: OnceLock::new() }
    }

    /// What the forest was trained for.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// The features in the order that predictions expect their columns in.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The trees, iteration by iteration, within each output by output.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// The scores before any tree, one per output.
    pub fn base_scores(&self) -> &[f64] {
        &self.base_scores
    }

    /// The scores of `columns` before the link function, row by row: `[rows, outputs]`. Uses the calling thread alone.
    ///
    /// # Errors
    /// The columns are not the forest's features, or `out` has the wrong length.
    pub fn margins_into(&self, columns: &[TreeColumn], out: &mut [f64]) -> Result<()> {
        self.check(columns, out.len())?;
        self.add_rows(columns, 0, out);
        Ok(())
    }

    /// The predictions of `columns`, row by row: a number, the probability of class 1, or one probability per class.
    /// Uses the calling thread alone.
    ///
    /// # Errors
    /// The columns are not the forest's features, or `out` has the wrong length.
    pub fn predict_into(&self, columns: &[TreeColumn], out: &mut [f64]) -> Result<()> {
        self.margins_into(columns, out)?;
        self.objective.link(out);
        Ok(())
    }

    /// As [`Forest::predict_into`], on all threads of `driver`.
    ///
    /// # Errors
    /// The columns are not the forest's features, or `out` has the wrong length.
    pub fn predict_parallel_into(&self, columns: &[TreeColumn], out: &mut [f64], driver: &Driver) -> Result<()> {
        self.check(columns, out.len())?;
        let task = TASK_ROWS * self.objective.outputs();
        driver.pool().install(|| {
            out.par_chunks_mut(task).enumerate().for_each(|(number, out)| {
                self.add_rows(columns, number * TASK_ROWS, out);
                self.objective.link(out);
            });
        });
        Ok(())
    }

    /// The scores by following every tree's path on the values themselves: slow, and what the fast way is tested
    /// against.
    ///
    /// # Errors
    /// The columns are not the forest's features, or `out` has the wrong length.
    pub fn margins_by_path_into(&self, columns: &[TreeColumn], out: &mut [f64]) -> Result<()> {
        self.check(columns, out.len())?;
        self.add_rows_by_path(columns, 0, out);
        Ok(())
    }

    fn add_rows(&self, columns: &[TreeColumn], start: usize, out: &mut [f64]) {
        match self.scorer.get_or_init(|| Scorer::new(self)) {
            Some(scorer) => scorer.score(&self.base_scores, columns, start, out),
            None => self.add_rows_by_path(columns, start, out),
        }
    }

    fn add_rows_by_path(&self, columns: &[TreeColumn], start: usize, out: &mut [f64]) {
        let outputs = self.objective.outputs();
        for (row, scores) in out.chunks_exact_mut(outputs).enumerate() {
            scores.copy_from_slice(&self.base_scores);
            for tree in &self.trees {
                scores[tree.output as usize] += tree.leaf(&self.features, columns, start + row).value;
            }
        }
    }

    fn check(&self, columns: &[TreeColumn], out: usize) -> Result<()> {
        if columns.len() != self.features.len() {
            let (given, want) = (columns.len(), self.features.len());
            return Err(Error::internal(format!("a forest of {want} features was given {given} columns")));
        }
        for (column, feature) in columns.iter().zip(&self.features) {
            let categorical = matches!(feature.kind, FeatureKind::Categorical { .. });
            if column.is_categorical() != categorical {
                let want = if categorical { "categories" } else { "numbers" };
                return Err(Error::column(&feature.name, format!("feature '{}' must hold {want}", feature.name)));
            }
        }
        let rows = columns.first().map_or(out / self.objective.outputs(), TreeColumn::rows);
        if columns.iter().any(|column| column.rows() != rows) || out != rows * self.objective.outputs() {
            return Err(Error::internal("the columns and the output of a prediction differ in rows"));
        }
        Ok(())
    }

    /// The importance of every feature, in the order of the features; 0 where no split uses it.
    pub fn importance(&self) -> Vec<FeatureImportance> {
        importance::of(self)
    }

    /// The forest as two relations for a model artifact: one row per node, and one per feature.
    ///
    /// # Errors
    /// Arrow cannot build the batches.
    pub fn to_batches(&self) -> Result<(RecordBatch, RecordBatch)> {
        codec::encode(self)
    }

    /// Reads what [`Forest::to_batches`] wrote.
    ///
    /// # Errors
    /// The batches are not a forest: what is wrong with them.
    pub fn from_batches(nodes: &RecordBatch, features: &RecordBatch) -> Result<Self> {
        codec::decode(nodes, features)
    }
}
