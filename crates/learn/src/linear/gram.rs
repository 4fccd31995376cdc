//! Weighted products of columns, `Xᵀ diag(s) X`, as a fold over panels of rows of the result.
//!
//! The lower triangle is computed. Dense columns go through a register-blocked kernel; one-hot and sparse entries touch
//! only what they meet. A panel bounds the memory of a fold's state, whatever the number of columns.

use std::ops::Range;

use arrow::array::RecordBatch;

use crate::encode::design::{BlockRows, Design, Layout, NO_COLUMN, view};
use crate::{Driver, Fold, Result};

/// The most bytes of one fold state.
const PANEL_BYTES: usize = 64 << 20;
/// Rows that are packed at a time: with a hundred columns they stay in the second-level cache.
const PACK_ROWS: usize = 128;
const TILE_ROWS: usize = 4;
const TILE_COLUMNS: usize = 8;

/// Gives each row's factors: one per matrix. Arguments: rows, targets, row weights.
pub(super) type Factors<'a> = dyn Fn(&Design<'_>, &[f64], &[f64]) -> Vec<Vec<f64>> + Sync + 'a;

/// The lower triangles of `matrices` products, each `[columns + 1]²`, the intercept being the last column.
pub(super) fn gram(
    layout: &Layout,
    rows: &[RecordBatch],
    matrices: usize,
    factors: &Factors<'_>,
    driver: &Driver,
) -> Result<Vec<Vec<f64>>> {
    let n = layout.columns + 1;
    let mut products = vec![vec![0.0; n * n]; matrices];
    let panel_rows = (PANEL_BYTES / (8 * n * matrices)).clamp(TILE_ROWS, n.max(TILE_ROWS)) / TILE_ROWS * TILE_ROWS;
    let mut start = 0;
    while start < n {
        let panel = start..n.min(start + panel_rows.max(TILE_ROWS));
        let fold = GramFold { layout, panel: panel.clone(), matrices, factors };
        let sums = driver.fold(&fold, rows)?;
        for (product, part) in products.iter_mut().zip(sums.chunks_exact(panel.len() * n)) {
            product[panel.start * n..panel.end * n].copy_from_slice(part);
        }
        start = panel.end;
    }
    Ok(products)
}

struct GramFold<'a> {
    layout: &'a Layout,
    panel: Range<usize>,
    matrices: usize,
    factors: &'a Factors<'a>,
}

impl Fold for GramFold<'_> {
    type State = Vec<f64>;
    type Output = Vec<f64>;

    fn init(&self) -> Vec<f64> {
        vec![0.0; self.matrices * self.panel.len() * (self.layout.columns + 1)]
    }

    fn accumulate(&self, state: &mut Vec<f64>, batch: &RecordBatch) -> Result<()> {
        let (design, targets, weights) = view(self.layout, batch)?;
        let size = self.panel.len() * (self.layout.columns + 1);
        let factors = (self.factors)(&design, targets, weights);
        for (factors, out) in factors.iter().zip(state.chunks_exact_mut(size)) {
            let mut panel = Panel { rows: self.panel.clone(), columns: self.layout.columns, out };
            panel.add_dense(&design, factors);
            panel.add_rest(&design, factors);
        }
        Ok(())
    }

    fn merge(&self, into: &mut Vec<f64>, other: Vec<f64>) -> Result<()> {
        into.iter_mut().zip(&other).for_each(|(into, other)| *into += other);
        Ok(())
    }

    fn finish(&self, state: Vec<f64>) -> Result<Vec<f64>> {
        Ok(state)
    }
}

struct Panel<'a> {
    rows: Range<usize>,
    columns: usize,
    out: &'a mut [f64],
}

impl Panel<'_> {
    fn row(&mut self, row: usize) -> &mut [f64] {
        let n = self.columns + 1;
        let at = (row - self.rows.start) * n;
        &mut self.out[at..at + n]
    }

    /// Dense columns with dense columns.
    fn add_dense(&mut self, design: &Design<'_>, factors: &[f64]) {
        let width = design.dense_width;
        if self.rows.start >= width {
            return;
        }
        let stride = width.div_ceil(TILE_COLUMNS) * TILE_COLUMNS;
        let (mut plain, mut weighted) = (vec![0.0; PACK_ROWS * stride], vec![0.0; PACK_ROWS * stride]);
        for (pack, factors) in design.dense.chunks(PACK_ROWS * width).zip(factors.chunks(PACK_ROWS)) {
            for (row, (values, factor)) in pack.chunks_exact(width).zip(factors).enumerate() {
                plain[row * stride..row * stride + width].copy_from_slice(values);
                for (out, value) in weighted[row * stride..row * stride + width].iter_mut().zip(values) {
                    *out = value * factor;
                }
            }
            let used = factors.len() * stride;
            let mut tile_row = self.rows.start / TILE_ROWS * TILE_ROWS;
            while tile_row < self.rows.end.min(width) {
                for tile_column in (0..(tile_row + TILE_ROWS).min(width)).step_by(TILE_COLUMNS) {
                    let tile = multiply_tile(&weighted[..used], &plain[..used], stride, tile_row, tile_column);
                    self.add_tile(&tile, tile_row, tile_column, width);
                }
                tile_row += TILE_ROWS;
            }
        }
    }

    fn add_tile(&mut self, tile: &[[f64; TILE_COLUMNS]; TILE_ROWS], tile_row: usize, tile_column: usize, width: usize) {
        for (at, values) in tile.iter().enumerate() {
            let row = tile_row + at;
            if row >= width || !self.rows.contains(&row) {
                continue;
            }
            let out = self.row(row);
            let end = (row + 1).min(tile_column + TILE_COLUMNS);
            if tile_column < end {
                out[tile_column..end].iter_mut().zip(values).for_each(|(out, value)| *out += value);
            }
        }
    }

    /// One-hot and sparse columns, and the intercept, with everything before them.
    fn add_rest(&mut self, design: &Design<'_>, factors: &[f64]) {
        let width = design.dense_width;
        if self.rows.end <= width {
            return;
        }
        let mut entries: Vec<(usize, f64)> = Vec::new();
        for (row, factor) in factors.iter().enumerate() {
            if *factor == 0.0 {
                continue;
            }
            entries.clear();
            design.row_entries(row, &mut entries);
            entries.push((self.columns, 1.0));
            let dense = &design.dense[row * width..(row + 1) * width];
            for (column, value) in &entries {
                if !self.rows.contains(column) {
                    continue;
                }
                let scaled = factor * value;
                let out = self.row(*column);
                out[..width].iter_mut().zip(dense).for_each(|(out, value)| *out += scaled * value);
                for (other, other_value) in entries.iter().filter(|(other, _)| other <= column) {
                    out[*other] += scaled * other_value;
                }
            }
        }
    }
}

impl Design<'_> {
    /// The entries of a row outside of the dense columns.
    fn row_entries(&self, row: usize, entries: &mut Vec<(usize, f64)>) {
        for block in &self.blocks {
            match block {
                BlockRows::OneHot { offset, codes } => {
                    if codes[row] != NO_COLUMN {
                        entries.push((offset + codes[row] as usize, 1.0));
                    }
                }
                BlockRows::Sparse { offset, offsets, indices, values } => {
                    for at in offsets[row] as usize..offsets[row + 1] as usize {
                        entries.push((offset + indices[at] as usize, values[at]));
                    }
                }
            }
        }
    }
}

/// `Σ_rows a[row][i..i+4]ᵀ b[row][j..j+8]`; the strides are multiples of eight, so every load is in bounds.
fn multiply_tile(a: &[f64], b: &[f64], stride: usize, i: usize, j: usize) -> [[f64; TILE_COLUMNS]; TILE_ROWS] {
    let mut sums = [[0.0; TILE_COLUMNS]; TILE_ROWS];
    for (a, b) in a.chunks_exact(stride).zip(b.chunks_exact(stride)) {
        let (Some(a), Some(b)) = (a[i..].first_chunk::<TILE_ROWS>(), b[j..].first_chunk::<TILE_COLUMNS>()) else {
            continue;
        };
        for (sums, a) in sums.iter_mut().zip(a) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = a.mul_add(*b, *sum);
            }
        }
    }
    sums
}
