//! Keys and values of all layers, in blocks.

use half::f16;

use super::BLOCK_TOKENS;
use crate::pool::Pool;
use crate::simd::{LANES, Simd};

/// New tokens of a step above which heads are stored by several threads.
const SERIAL_TOKENS: usize = 16;

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvFormat {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// Signed bytes with a scale for each token's key, and for its value, of each head.
    Q8,
}

/// Where a token's key and value go.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The block.
    pub block: u32,
    /// The place in the block, below [`BLOCK_TOKENS`].
    pub slot: usize,
}

/// Writes the key and the value of a token and a head.
pub type WriteRow<'a> = dyn Fn(usize, usize, &mut [f32], &mut [f32]) + Sync + 'a;

/// Keys and values: `[layers, heads, blocks]` of tiles. A tile is `[head width, 16]` keys, then `[16, head width]`
/// values, whose rows are filled up to whole registers.
#[derive(Debug)]
pub struct KvCache {
    format: KvFormat,
    layers: usize,
    heads: usize,
    width: usize,
    blocks: usize,
    data: Data,
    /// `[layers, heads, blocks, 2, 16]` of bytes' scales, keys first; else empty.
    scales: Vec<f32>,
}

#[derive(Debug)]
enum Data {
    F32(Vec<f32>),
    F16(Vec<u16>),
    Q8(Vec<i8>),
}

/// An element of a tile.
pub(super) trait Element: Copy + Send {
    fn load<S: Simd>(simd: S, values: &[Self; LANES]) -> S::F;
    fn of(value: f32) -> Self;
}

impl Element for f32 {
    #[inline(always)]
    fn load<S: Simd>(simd: S, values: &[Self; LANES]) -> S::F {
        simd.load(values)
    }

    fn of(value: f32) -> Self {
        value
    }
}

impl Element for u16 {
    #[inline(always)]
    fn load<S: Simd>(simd: S, values: &[Self; LANES]) -> S::F {
        simd.load_f16(values)
    }

    fn of(value: f32) -> Self {
        f16::from_f32(value).to_bits()
    }
}

impl Element for i8 {
    #[inline(always)]
    fn load<S: Simd>(simd: S, values: &[Self; LANES]) -> S::F {
        simd.load_i8(values)
    }

    fn of(value: f32) -> Self {
        value.round_ties_even() as Self
    }
}

impl KvCache {
    /// Room for `blocks` blocks of `heads` heads of `width` elements in each of `layers` layers. The system gives the
    /// memory as it is touched.
    pub fn new(format: KvFormat, layers: usize, heads: usize, width: usize, blocks: usize) -> Self {
        let tiles = layers * heads * blocks;
        let elements = tiles * BLOCK_TOKENS * (width + width.next_multiple_of(LANES));
        let data = match format {
            KvFormat::F32 => Data::F32(vec![0.0; elements]),
            KvFormat::F16 => Data::F16(vec![0; elements]),
            KvFormat::Q8 => Data::Q8(vec![0; elements]),
        };
        let scales = vec![0.0; if format == KvFormat::Q8 { tiles * 2 * BLOCK_TOKENS } else { 0 }];
        Self { format, layers, heads, width, blocks, data, scales }
    }

    /// How keys and values are kept.
    pub fn format(&self) -> KvFormat {
        self.format
    }

    /// Blocks, used or not.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Layers.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Heads of keys and values.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Elements of a head.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Bytes of a block in all layers.
    pub fn block_bytes(&self) -> usize {
        let (element, scales) = match self.format {
            KvFormat::F32 => (4, 0),
            KvFormat::F16 => (2, 0),
            KvFormat::Q8 => (1, 2 * BLOCK_TOKENS * size_of::<f32>()),
        };
        self.layers * self.heads * (self.tile_elements() * element + scales)
    }

    /// Copies a block's keys and values of all layers.
    ///
    /// # Panics
    /// When there is no such block.
    pub fn copy_block(&mut self, from: u32, to: u32) {
        let (from, to, blocks, tile) = (from as usize, to as usize, self.blocks, self.tile_elements());
        assert!(from < blocks && to < blocks, "a block of the cache");
        for head in 0..self.layers * self.heads {
            let (from, to) = (head * blocks + from, head * blocks + to);
            let own = from * tile..(from + 1) * tile;
            match &mut self.data {
                Data::F32(data) => data.copy_within(own, to * tile),
                Data::F16(data) => data.copy_within(own, to * tile),
                Data::Q8(data) => data.copy_within(own, to * tile),
            }
            if !self.scales.is_empty() {
                let scales = 2 * BLOCK_TOKENS;
                self.scales.copy_within(from * scales..(from + 1) * scales, to * scales);
            }
        }
    }

    /// Stores the keys and values of a step in one layer. `row(token, head, key, value)` writes those of the token
    /// that goes to `places[token]`, each of one head's width.
    ///
    /// # Panics
    /// When there is no such layer or place.
    pub fn store(&mut self, pool: &Pool, layer: usize, places: &[Place], row: &WriteRow<'_>) {
        assert!(layer < self.layers, "a layer of the cache");
        let inside = |place: &Place| (place.block as usize) < self.blocks && place.slot < BLOCK_TOKENS;
        assert!(places.iter().all(inside), "places of the cache");
        let (heads, width, blocks, tile) = (self.heads, self.width, self.blocks, self.tile_elements());
        let store = Store { pool, width, places, row };
        let own = |elements: usize| layer * heads * blocks * elements..(layer + 1) * heads * blocks * elements;
        match &mut self.data {
            Data::F32(data) => store.run(&mut data[own(tile)], &mut [], blocks),
            Data::F16(data) => store.run(&mut data[own(tile)], &mut [], blocks),
            Data::Q8(data) => store.run(&mut data[own(tile)], &mut self.scales[own(2 * BLOCK_TOKENS)], blocks),
        }
    }

    fn tile_elements(&self) -> usize {
        BLOCK_TOKENS * (self.width + self.width.next_multiple_of(LANES))
    }

    /// Converts a tile: keys become `[width, 16]`, values `[16, registers of a row]`.
    #[inline(always)]
    pub(super) fn load<S: Simd>(
        &self,
        simd: S,
        at: (usize, usize, u32),
        keys: &mut [[f32; LANES]],
        values: &mut [[f32; LANES]],
    ) {
        let tile = (at.0 * self.heads + at.1) * self.blocks + at.2 as usize;
        let first = tile * self.tile_elements();
        match &self.data {
            Data::F32(data) => convert(simd, &data[first..], keys, values),
            Data::F16(data) => convert(simd, &data[first..], keys, values),
            Data::Q8(data) => {
                convert(simd, &data[first..], keys, values);
                let (scales, _) = self.scales[tile * 2 * BLOCK_TOKENS..].as_chunks::<LANES>();
                let key_scales = simd.load(&scales[0]);
                for key in keys {
                    simd.store(simd.mul(simd.load(key), key_scales), key);
                }
                let registers = self.width.div_ceil(LANES);
                for (row, scale) in values.chunks_exact_mut(registers).zip(&scales[1]) {
                    for value in row {
                        simd.store(simd.mul(simd.load(value), simd.splat(*scale)), value);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn convert<S: Simd, E: Element>(simd: S, tile: &[E], keys: &mut [[f32; LANES]], values: &mut [[f32; LANES]]) {
    let (tile, _) = tile.as_chunks::<LANES>();
    let (tile_keys, tile_values) = tile.split_at(keys.len());
    for (from, to) in tile_keys.iter().zip(keys) {
        simd.store(E::load(simd, from), to);
    }
    for (from, to) in tile_values.iter().zip(values) {
        simd.store(E::load(simd, from), to);
    }
}

/// The arguments of [`KvCache::store`].
struct Store<'a> {
    pool: &'a Pool,
    width: usize,
    places: &'a [Place],
    row: &'a WriteRow<'a>,
}

impl Store<'_> {
    /// `data` and `scales` are those of a layer; each head's part goes to one thread.
    fn run<E: Element>(&self, data: &mut [E], scales: &mut [f32], blocks: usize) {
        let (width, row_width) = (self.width, self.width.next_multiple_of(LANES));
        let tile = BLOCK_TOKENS * (width + row_width);
        let scaled = !scales.is_empty();
        let mut scales = scales.chunks_mut((blocks * 2 * BLOCK_TOKENS).max(1));
        let mut heads: Vec<_> =
            data.chunks_mut((blocks * tile).max(1)).map(|data| (data, scales.next().unwrap_or_default())).collect();
        let chunk = if self.places.len() > SERIAL_TOKENS { 1 } else { heads.len() };
        self.pool.for_each_mut(&mut heads, chunk, &|head, (data, scales)| {
            let mut row = vec![0.0; 2 * width];
            let (key, value) = row.split_at_mut(width);
            for (token, place) in self.places.iter().enumerate() {
                (self.row)(token, head, key, value);
                let block = place.block as usize;
                if scaled {
                    let scales = &mut scales[block * 2 * BLOCK_TOKENS..][..2 * BLOCK_TOKENS];
                    scales[place.slot] = to_bytes_range(key);
                    scales[BLOCK_TOKENS + place.slot] = to_bytes_range(value);
                }
                let (keys, values) = data[block * tile..][..tile].split_at_mut(BLOCK_TOKENS * width);
                for (lanes, key) in keys.chunks_exact_mut(BLOCK_TOKENS).zip(&*key) {
                    lanes[place.slot] = E::of(*key);
                }
                for (to, value) in values[place.slot * row_width..].iter_mut().zip(&*value) {
                    *to = E::of(*value);
                }
            }
        });
    }
}

/// Stretches values to -127..=127 and returns what undoes it.
fn to_bytes_range(values: &mut [f32]) -> f32 {
    let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let factor = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    values.iter_mut().for_each(|value| *value *= factor);
    largest / 127.0
}
