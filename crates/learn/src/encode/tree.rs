//! Encoding for trees.

use arrow::array::RecordBatch;
use arrow::buffer::ScalarBuffer;

use super::civil::PART_NAMES;
use super::encoder::{CategoryEncoding, Encoder, FittedLeaf, Vocabulary};
use super::leaf::{Leaf, extract};
use super::numbers::{numbers, texts};
use super::stats::{sparse_vectors, timestamp_parts, vector_values};
use super::{NULL_CATEGORY, TreeColumn, TreeValues};
use crate::{Error, Result};

/// Sparse vectors become a column per index for trees; beyond so many that is no sensible model.
const SPARSE_TREE_COLUMNS_MAX: usize = 4_096;

impl Encoder {
    /// The rows of a batch as columns for trees; a batch without struct, array or text columns is not copied.
    pub(crate) fn tree_columns(&self, batch: &RecordBatch) -> Result<Vec<TreeColumn>> {
        let mut columns = Vec::with_capacity(self.leaves.len());
        for (leaf, fitted) in &self.leaves {
            let array = extract(batch, leaf)?;
            match fitted {
                FittedLeaf::Number(_) => columns.push(numeric(leaf.name.clone(), numbers(&array)?)),
                FittedLeaf::Timestamp(_) => {
                    for (name, values) in PART_NAMES.iter().zip(timestamp_parts(&array)?) {
                        columns.push(numeric(format!("{}_{name}", leaf.name), values.into()));
                    }
                }
                FittedLeaf::Vector(scales) => {
                    let (values, length) = vector_values(leaf, &array, Some(scales.len()))?;
                    for at in 0..length {
                        let element: Vec<f64> = values.iter().skip(at).step_by(length).copied().collect();
                        columns.push(numeric(format!("{}[{at}]", leaf.name), element.into()));
                    }
                }
                FittedLeaf::Category(vocabulary) => match self.categories {
                    CategoryEncoding::Label => {
                        let codes = vocabulary.labels(&texts(&array)?).into();
                        let cardinality = vocabulary.categories.len() as u32 + 1;
                        let values = TreeValues::Categorical { codes, cardinality };
                        columns.push(TreeColumn { name: leaf.name.clone(), values });
                    }
                    _ => one_hot(leaf, vocabulary, &vocabulary.labels(&texts(&array)?), &mut columns),
                },
                FittedLeaf::Sparse { dimension } => {
                    columns.extend(densify(leaf, &sparse_vectors(leaf, &array)?, *dimension)?);
                }
            }
        }
        Ok(columns)
    }
}

fn numeric(name: String, values: ScalarBuffer<f64>) -> TreeColumn {
    TreeColumn { name, values: TreeValues::Numeric(values) }
}

fn one_hot(leaf: &Leaf, vocabulary: &Vocabulary, labels: &[u32], columns: &mut Vec<TreeColumn>) {
    let names = vocabulary.categories.iter().map(String::as_str).enumerate();
    let null = vocabulary.null.then_some((usize::MAX, NULL_CATEGORY));
    for (code, category) in names.chain(null) {
        let wanted = code.wrapping_add(1) as u32;
        let values: Vec<f64> = labels.iter().map(|label| f64::from(u8::from(*label == wanted))).collect();
        columns.push(numeric(format!("{}[{category}]", leaf.name), values.into()));
    }
}

fn densify(leaf: &Leaf, vectors: &super::stats::SparseVectors, dimension: usize) -> Result<Vec<TreeColumn>> {
    if dimension > SPARSE_TREE_COLUMNS_MAX {
        let name = &leaf.name;
        let text = format!(
            "feature '{name}' has indices up to {}; trees take sparse vectors of at most {SPARSE_TREE_COLUMNS_MAX} \
             indices, use a linear model or fewer categories",
            dimension - 1
        );
        return Err(Error::column(name, text));
    }
    let rows = vectors.offsets.len() - 1;
    let mut dense = vec![vec![0.0; rows]; dimension];
    for (row, range) in vectors.offsets.windows(2).enumerate() {
        for at in range[0]..range[1] {
            if let Some(column) = dense.get_mut(vectors.indices[at] as usize) {
                column[row] = vectors.values[at];
            }
        }
    }
    let named = dense.into_iter().enumerate();
    Ok(named.map(|(index, values)| numeric(format!("{}[{index}]", leaf.name), values.into())).collect())
}
