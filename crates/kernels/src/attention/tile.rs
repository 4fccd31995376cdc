//! One tile of queries against all keys that they see.

use super::{BLOCK_TOKENS, KvCache, Queries, SPAN_TOKENS};
use crate::activation::exp;
use crate::simd::{LANES, Level, Simd, Work};

/// Blocks of a span.
const SPAN_BLOCKS: usize = SPAN_TOKENS / BLOCK_TOKENS;

/// Rows that are computed together: four rows times four blocks of keys are sixteen sums in flight.
const ROWS: usize = 4;

/// Some queries, with all heads that share keys.
pub(super) struct Tile<'a> {
    pub(super) cache: &'a KvCache,
    pub(super) layer: usize,
    /// The head of keys and values.
    pub(super) head: usize,
    /// Query heads that share it.
    pub(super) group: usize,
    pub(super) window: Option<usize>,
    pub(super) queries: Queries<'a>,
}

/// What a tile needs room for; kept by each thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// `[rows, width]`.
    queries: Vec<f32>,
    /// `[rows, registers of a row]`: sums of values, not yet divided.
    sums: Vec<[f32; LANES]>,
    rows: Vec<Row>,
    /// `[blocks of a span, width]`.
    keys: Vec<[f32; LANES]>,
    /// `[tokens of a span, registers of a row]`.
    values: Vec<[f32; LANES]>,
}

/// The softmax of a row so far.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The largest score.
    max: f32,
    /// The sum of `exp(score - max)`.
    total: f32,
}

impl Tile<'_> {
    /// The outputs of the rows, query by query, each of a head's width.
    pub(super) fn run<'s>(
        &self,
        level: Level,
        scratch: &'s mut Scratch,
        query: &(dyn Fn(usize, usize, &mut [f32]) + Sync),
    ) -> impl Iterator<Item = &'s [f32]> + use<'s> {
        let (width, rows) = (self.cache.width(), self.queries.count * self.group);
        let registers = width.div_ceil(LANES);
        scratch.queries.resize(rows * width, 0.0);
        for (row, values) in scratch.queries.chunks_exact_mut(width).enumerate() {
            query(self.queries.first + row / self.group, self.head * self.group + row % self.group, values);
        }
        scratch.sums.clear();
        scratch.sums.resize(rows * registers, [0.0; LANES]);
        scratch.rows.clear();
        scratch.rows.resize(rows, Row { max: f32::NEG_INFINITY, total: 0.0 });
        scratch.keys.resize(SPAN_BLOCKS * width, [0.0; LANES]);
        scratch.values.resize(SPAN_TOKENS * registers, [0.0; LANES]);
        level.call(Spans { tile: self, scratch, registers });
        scratch.sums.as_flattened().chunks_exact(registers * LANES).map(move |row| &row[..width])
    }

    /// The first position that the query at `position` sees.
    #[inline(always)]
    fn first_seen(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
}

struct Spans<'a, 'b> {
    tile: &'a Tile<'b>,
    scratch: &'a mut Scratch,
    registers: usize,
}

impl Work for Spans<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { tile, scratch, registers } = self;
        let (start, end) = (tile.queries.start, tile.queries.start + tile.queries.count);
        for span in tile.first_seen(start) / SPAN_TOKENS..end.div_ceil(SPAN_TOKENS) {
            let first = span * SPAN_TOKENS;
            let count = SPAN_TOKENS.min(end - first);
            let width = tile.cache.width();
            for block in 0..count.div_ceil(BLOCK_TOKENS) {
                let number = tile.queries.blocks[span * SPAN_BLOCKS + block];
                let keys = &mut scratch.keys[block * width..][..width];
                let values = &mut scratch.values[block * BLOCK_TOKENS * registers..][..BLOCK_TOKENS * registers];
                tile.cache.load(simd, (tile.layer, tile.head, number), keys, values);
            }
            let rows = scratch.rows.len();
            let mut row = 0;
            while row + ROWS <= rows {
                attend::<S, ROWS>(simd, tile, scratch, registers, row, (first, count));
                row += ROWS;
            }
            match rows - row {
                3 => attend::<S, 3>(simd, tile, scratch, registers, row, (first, count)),
                2 => attend::<S, 2>(simd, tile, scratch, registers, row, (first, count)),
                1 => attend::<S, 1>(simd, tile, scratch, registers, row, (first, count)),
                _ => {}
            }
        }
        for (row, sums) in scratch.rows.iter().zip(scratch.sums.chunks_exact_mut(registers)) {
            let factor = simd.splat(1.0 / row.total);
            for sum in sums {
                simd.store(simd.mul(simd.load(sum), factor), sum);
            }
        }
    }
}

/// Brings `R` rows up to date with the `span.1` keys from position `span.0` on.
#[inline(always)]
fn attend<S: Simd, const R: usize>(
    simd: S,
    tile: &Tile<'_>,
    scratch: &mut Scratch,
    registers: usize,
    row: usize,
    span: (usize, usize),
) {
    let width = tile.cache.width();
    let mut weights = [[0.0; SPAN_TOKENS]; R];
    let mut factors = [1.0; R];
    scores::<S, R>(simd, &scratch.queries[row * width..][..R * width], &scratch.keys, width, &mut weights);
    for index in 0..R {
        let position = tile.queries.start + (row + index) / tile.group;
        let from = tile.first_seen(position).saturating_sub(span.0).min(SPAN_TOKENS);
        let to = (position + 1).saturating_sub(span.0).min(SPAN_TOKENS);
        if from >= to {
            // The query sees nothing of this span: its softmax stays as it is.
            weights[index] = [0.0; SPAN_TOKENS];
            continue;
        }
        weights[index][..from].fill(f32::NEG_INFINITY);
        weights[index][to..].fill(f32::NEG_INFINITY);
        factors[index] = soften(simd, &mut weights[index], &mut scratch.rows[row + index]);
    }
    let sums = &mut scratch.sums[row * registers..][..R * registers];
    let mut register = 0;
    while register + 4 <= registers {
        add_values::<S, R, 4>(simd, &weights, factors, &scratch.values, sums, (register, registers), span.1);
        register += 4;
    }
    while register < registers {
        add_values::<S, R, 1>(simd, &weights, factors, &scratch.values, sums, (register, registers), span.1);
        register += 1;
    }
}

/// The scores of `R` queries with all keys of a span, also of those that are not seen.
#[inline(always)]
fn scores<S: Simd, const R: usize>(
    simd: S,
    queries: &[f32],
    keys: &[[f32; LANES]],
    width: usize,
    out: &mut [[f32; SPAN_TOKENS]; R],
) {
    let mut rows = [&queries[..0]; R];
    for (index, row) in rows.iter_mut().enumerate() {
        *row = &queries[index * width..][..width];
    }
    let (a, rest) = keys.split_at(width);
    let (b, rest) = rest.split_at(width);
    let (c, rest) = rest.split_at(width);
    let d = &rest[..width];
    let mut sums = [[simd.splat(0.0); SPAN_BLOCKS]; R];
    for element in 0..width {
        let keys = [simd.load(&a[element]), simd.load(&b[element]), simd.load(&c[element]), simd.load(&d[element])];
        for r in 0..R {
            let query = simd.splat(rows[r][element]);
            for block in 0..SPAN_BLOCKS {
                sums[r][block] = simd.fma(query, keys[block], sums[r][block]);
            }
        }
    }
    for r in 0..R {
        for (out, sum) in out[r].as_chunks_mut::<LANES>().0.iter_mut().zip(sums[r]) {
            simd.store(sum, out);
        }
    }
}

/// Turns a row's scores into weights and returns what its earlier sums are to be multiplied with.
#[inline(always)]
fn soften<S: Simd>(simd: S, scores: &mut [f32; SPAN_TOKENS], row: &mut Row) -> f32 {
    let (scores, _) = scores.as_chunks_mut::<LANES>();
    let mut largest = simd.splat(row.max);
    for scores in &*scores {
        largest = simd.max(simd.load(scores), largest);
    }
    let max = simd.max_lane(largest);
    let mut total = simd.splat(0.0);
    for scores in scores {
        let weight = exp(simd, simd.sub(simd.load(scores), simd.splat(max)));
        simd.store(weight, scores);
        total = simd.add(total, weight);
    }
    let mut factor = [0.0; LANES];
    simd.store(exp(simd, simd.splat(row.max - max)), &mut factor);
    row.total = row.total.mul_add(factor[0], simd.sum(total));
    row.max = max;
    factor[0]
}

/// Adds weighted values to `D` neighbouring registers of `R` rows.
#[inline(always)]
fn add_values<S: Simd, const R: usize, const D: usize>(
    simd: S,
    weights: &[[f32; SPAN_TOKENS]; R],
    factors: [f32; R],
    values: &[[f32; LANES]],
    sums: &mut [[f32; LANES]],
    (register, registers): (usize, usize),
    count: usize,
) {
    let mut own = [[simd.splat(0.0); D]; R];
    for r in 0..R {
        for d in 0..D {
            own[r][d] = simd.mul(simd.load(&sums[r * registers + register + d]), simd.splat(factors[r]));
        }
    }
    for (key, row) in values.chunks_exact(registers).take(count).enumerate() {
        let Some(row) = row[register..].first_chunk::<D>() else { continue };
        let mut loaded = [simd.splat(0.0); D];
        for d in 0..D {
            loaded[d] = simd.load(&row[d]);
        }
        for r in 0..R {
            let weight = simd.splat(weights[r][key]);
            for d in 0..D {
                own[r][d] = simd.fma(weight, loaded[d], own[r][d]);
            }
        }
    }
    for r in 0..R {
        for d in 0..D {
            simd.store(own[r][d], &mut sums[r * registers + register + d]);
        }
    }
}
