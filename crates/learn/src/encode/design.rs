//! The matrix of a linear model, kept in the shape that its columns have.
//!
//! Columns are numbered: first the dense ones, then block by block the one-hot and sparse ones, last the intercept.
//! Encoded rows are a `RecordBatch` (so that every fold runs over them): `dense` FixedSizeList<Float64>, `codes.<i>`
//! UInt32 (the column within the block, [`NO_COLUMN`] for none), `sparse.<i>` List<Struct<index, value>>, `target` and
//! `weight` Float64.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array, ListArray, RecordBatch, StructArray, UInt32Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Schema, UInt32Type};

use super::stats::SparseVectors;
use crate::{Error, Result};

/// The code of a row that has no column of a block set: an unseen category or a dropped one.
pub(crate) const NO_COLUMN: u32 = u32::MAX;

/// What kind of block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    OneHot,
    Sparse,
}

/// A run of columns that belong together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) kind: BlockKind,
    /// Its first column.
    pub(crate) offset: usize,
    pub(crate) width: usize,
    /// Every training row has exactly one column set: the columns sum to the intercept's.
    pub(crate) complete: bool,
}

/// How columns are numbered.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Layout {
    /// The number of dense columns.
    pub(crate) dense: usize,
    pub(crate) blocks: Vec<Block>,
    /// Dense and block columns, without the intercept.
    pub(crate) columns: usize,
}

impl Layout {
    pub(crate) fn push_block(&mut self, kind: BlockKind, width: usize, complete: bool) {
        self.blocks.push(Block { kind, offset: self.columns, width, complete });
        self.columns += width;
    }
}

/// Encoded rows that own their memory.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) rows: usize,
    /// `[rows, dense]`, row by row.
    pub(crate) dense: Vec<f64>,
    /// In the order of the layout's blocks.
    pub(crate) blocks: Vec<EncodedBlock>,
}

#[derive(Debug)]
pub(crate) enum EncodedBlock {
    OneHot(Vec<u32>),
    Sparse { offsets: Vec<i32>, indices: Vec<u32>, values: Vec<f64> },
}

impl EncodedBlock {
    pub(crate) fn sparse(vectors: SparseVectors, dimension: usize) -> Result<Self> {
        let mut offsets = Vec::with_capacity(vectors.offsets.len());
        let (mut indices, mut values) = (Vec::new(), Vec::new());
        offsets.push(0);
        for range in vectors.offsets.windows(2) {
            for at in range[0]..range[1] {
                // An index that training did not see weighs 0.
                if (vectors.indices[at] as usize) < dimension {
                    indices.push(vectors.indices[at]);
                    values.push(vectors.values[at]);
                }
            }
            let offset = i32::try_from(indices.len());
            offsets.push(offset.map_err(|_| Error::exhausted("a batch of sparse vectors has over 2^31 entries"))?);
        }
        Ok(Self::Sparse { offsets, indices, values })
    }
}

/// Encoded rows to compute with.
#[derive(Debug)]
pub(crate) struct Design<'a> {
    pub(crate) rows: usize,
    pub(crate) dense_width: usize,
    pub(crate) dense: &'a [f64],
    pub(crate) blocks: Vec<BlockRows<'a>>,
}

#[derive(Debug)]
pub(crate) enum BlockRows<'a> {
    OneHot { offset: usize, codes: &'a [u32] },
    Sparse { offset: usize, offsets: &'a [i32], indices: &'a [u32], values: &'a [f64] },
}

impl Encoded {
    pub(crate) fn design<'a>(&'a self, layout: &Layout) -> Design<'a> {
        let blocks = layout.blocks.iter().zip(&self.blocks).map(|(block, rows)| match rows {
            EncodedBlock::OneHot(codes) => BlockRows::OneHot { offset: block.offset, codes },
            EncodedBlock::Sparse { offsets, indices, values } => {
                BlockRows::Sparse { offset: block.offset, offsets, indices, values }
            }
        });
        Design { rows: self.rows, dense_width: layout.dense, dense: &self.dense, blocks: blocks.collect() }
    }

    /// The rows as a batch with their targets and weights.
    pub(crate) fn into_batch(self, layout: &Layout, target: Vec<f64>, weight: Vec<f64>) -> Result<RecordBatch> {
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        if layout.dense > 0 {
            let width = i32::try_from(layout.dense).map_err(|_| Error::exhausted("more than 2^31 features"))?;
            let item = Arc::new(Field::new("item", DataType::Float64, false));
            let values = Arc::new(Float64Array::from(self.dense));
            columns.push(("dense".to_owned(), Arc::new(FixedSizeListArray::try_new(item, width, values, None)?)));
        }
        for (index, block) in self.blocks.into_iter().enumerate() {
            let array: ArrayRef = match block {
                EncodedBlock::OneHot(codes) => Arc::new(UInt32Array::from(codes)),
                EncodedBlock::Sparse { offsets, indices, values } => {
                    let fields = Fields::from(vec![
                        Field::new("index", DataType::UInt32, false),
                        Field::new("value", DataType::Float64, false),
                    ]);
                    let arrays: Vec<ArrayRef> =
                        vec![Arc::new(UInt32Array::from(indices)), Arc::new(Float64Array::from(values))];
                    let entries = StructArray::try_new(fields.clone(), arrays, None)?;
                    let item = Arc::new(Field::new("item", DataType::Struct(fields), false));
                    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                    Arc::new(ListArray::try_new(item, offsets, Arc::new(entries), None)?)
                }
            };
            columns.push((format!("block.{index}"), array));
        }
        columns.push(("target".to_owned(), Arc::new(Float64Array::from(target))));
        columns.push(("weight".to_owned(), Arc::new(Float64Array::from(weight))));
        let fields: Vec<Field> =
            columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), false)).collect();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect())?)
    }
}

/// The encoded rows of a batch, with target and weight.
pub(crate) fn view<'a>(layout: &Layout, batch: &'a RecordBatch) -> Result<(Design<'a>, &'a [f64], &'a [f64])> {
    let bug = || Error::internal("an encoded batch does not have the layout's columns");
    let mut columns = batch.columns().iter();
    let mut dense: &[f64] = &[];
    if layout.dense > 0 {
        let list = columns.next().and_then(|array| array.as_fixed_size_list_opt()).ok_or_else(bug)?;
        let values = list.values().as_primitive_opt::<Float64Type>().ok_or_else(bug)?;
        // `values` of a sliced array is already cut to the slice.
        dense = &values.values()[..batch.num_rows() * layout.dense];
    }
    let mut blocks = Vec::with_capacity(layout.blocks.len());
    for block in &layout.blocks {
        let array = columns.next().ok_or_else(bug)?;
        blocks.push(match block.kind {
            BlockKind::OneHot => {
                let codes = array.as_primitive_opt::<UInt32Type>().ok_or_else(bug)?;
                BlockRows::OneHot { offset: block.offset, codes: codes.values() }
            }
            BlockKind::Sparse => {
                let list = array.as_list_opt::<i32>().ok_or_else(bug)?;
                let entries = list.values().as_struct_opt().ok_or_else(bug)?;
                BlockRows::Sparse {
                    offset: block.offset,
                    offsets: list.value_offsets(),
                    indices: entries.column(0).as_primitive_opt::<UInt32Type>().ok_or_else(bug)?.values(),
                    values: entries.column(1).as_primitive_opt::<Float64Type>().ok_or_else(bug)?.values(),
                }
            }
        });
    }
    let target = columns.next().and_then(|array| array.as_primitive_opt::<Float64Type>()).ok_or_else(bug)?;
    let weight = columns.next().and_then(|array| array.as_primitive_opt::<Float64Type>()).ok_or_else(bug)?;
    let design = Design { rows: batch.num_rows(), dense_width: layout.dense, dense, blocks };
    Ok((design, target.values(), weight.values()))
}

impl Design<'_> {
    /// `out[row] += row · weights`; `weights` has an entry per column and one more for the intercept.
    pub(crate) fn multiply_add(&self, weights: &[f64], out: &mut [f64]) {
        let (dense_weights, intercept) = (&weights[..self.dense_width], weights.last().copied().unwrap_or(0.0));
        if self.dense_width == 0 {
            out.iter_mut().for_each(|value| *value += intercept);
        } else {
            for (row, value) in self.dense.chunks_exact(self.dense_width).zip(out.iter_mut()) {
                *value += intercept + dot(row, dense_weights);
            }
        }
        for block in &self.blocks {
            match block {
                BlockRows::OneHot { offset, codes } => {
                    let weights = &weights[*offset..];
                    for (value, code) in out.iter_mut().zip(*codes) {
                        if *code != NO_COLUMN {
                            *value += weights[*code as usize];
                        }
                    }
                }
                BlockRows::Sparse { offset, offsets, indices, values } => {
                    let weights = &weights[*offset..];
                    for (value, range) in out.iter_mut().zip(offsets.windows(2)) {
                        for at in range[0] as usize..range[1] as usize {
                            *value += weights[indices[at] as usize] * values[at];
                        }
                    }
                }
            }
        }
    }

    /// `out[column] += sum over rows of row[column] * factors[row]`; the last entry of `out` is the intercept's.
    pub(crate) fn transpose_multiply_add(&self, factors: &[f64], out: &mut [f64]) {
        if self.dense_width > 0 {
            let dense_out = &mut out[..self.dense_width];
            for (row, factor) in self.dense.chunks_exact(self.dense_width).zip(factors) {
                dense_out.iter_mut().zip(row).for_each(|(out, value)| *out += value * factor);
            }
        }
        for block in &self.blocks {
            match block {
                BlockRows::OneHot { offset, codes } => {
                    let out = &mut out[*offset..];
                    for (factor, code) in factors.iter().zip(*codes) {
                        if *code != NO_COLUMN {
                            out[*code as usize] += factor;
                        }
                    }
                }
                BlockRows::Sparse { offset, offsets, indices, values } => {
                    let out = &mut out[*offset..];
                    for (factor, range) in factors.iter().zip(offsets.windows(2)) {
                        for at in range[0] as usize..range[1] as usize {
                            out[indices[at] as usize] += factor * values[at];
                        }
                    }
                }
            }
        }
        if let Some(intercept) = out.last_mut() {
            *intercept += factors.iter().sum::<f64>();
        }
    }
}

/// The sum of products, in eight lanes so that it vectorises.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let halves = [lanes[0] + lanes[4], lanes[1] + lanes[5], lanes[2] + lanes[6], lanes[3] + lanes[7]];
    (halves[0] + halves[2]) + (halves[1] + halves[3]) + tail
}
