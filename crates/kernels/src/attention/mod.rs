//! Attention over keys and values that are kept in blocks of sixteen tokens (PagedAttention, Kwon et al., 2023), with
//! the online softmax of FlashAttention (Dao et al., 2022).
//!
//! Keys of a block stand transposed, so that sixteen scores come out of one register. Softmax is brought up to date
//! after every [`SPAN_TOKENS`] keys, counted from the first position of the sequence. A tile of queries with all heads
//! that share keys reads each block once.
//!
//! **Architecture invariant:** the output of a query depends on its sequence alone, to the last bit: it is the same in
//! a prefill, in any chunk of it, in a decode step and beside any other sequences.

mod cache;
mod tile;

use std::cell::RefCell;

pub use cache::{KvCache, KvFormat, Place, WriteRow};

use crate::pool::{Pool, SharedMut};
use crate::simd::Level;

/// Tokens of a block of keys and values: as many as lanes, so that a block's scores are one register.
pub const BLOCK_TOKENS: usize = 16;

/// Keys between two updates of the softmax: four blocks keep enough sums in flight for the processor's pipes.
pub const SPAN_TOKENS: usize = 4 * BLOCK_TOKENS;

/// Rows (queries times heads that share keys) of a tile at most, which is how often a converted block is used.
const TILE_ROWS: usize = 64;

/// Queries of a tile at most: enough tiles for every thread of a short prefill.
const TILE_QUERIES: usize = 16;

/// The queries of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'a> {
    /// The row of the first query in the step's `[tokens, ..]`.
    pub first: usize,
    /// How many there are, at neighbouring positions.
    pub count: usize,
    /// The position of the first; it sees itself and everything before it.
    pub start: usize,
    /// The blocks of the sequence: block `i` holds positions `16 i..16 i + 16`.
    pub blocks: &'a [u32],
}

/// What is the same for all queries of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// How many positions back a query sees, itself included; all where `None`.
    pub window: Option<usize>,
}

thread_local! {
    static SCRATCH: RefCell<tile::Scratch> = RefCell::new(tile::Scratch::default());
}

/// Attention of one layer: `out[t, h] = sum over keys of softmax(q[t, h] . key) value`; `out` is
/// `[tokens, heads.queries, head width]`. `query(token, head, q)` writes a query, rotated and scaled.
///
/// # Panics
/// When a sequence's blocks do not cover its positions, a block is not in the cache, a row is not in `out`, or the
/// cache's heads do not divide the query heads.
pub fn attend(
    pool: &Pool,
    cache: &KvCache,
    layer: usize,
    heads: Heads,
    sequences: &[Queries<'_>],
    query: &(dyn Fn(usize, usize, &mut [f32]) + Sync),
    out: &mut [f32],
) {
    attend_at(Level::best(), pool, cache, layer, heads, sequences, query, out);
}

/// A tile: some neighbouring queries of one sequence, all heads that share the keys of `head`.
struct Item<'a> {
    queries: Queries<'a>,
    head: usize,
}

#[expect(clippy::too_many_arguments, reason = "the level is for tests; the rest are the inputs of attention")]
fn attend_at(
    level: Level,
    pool: &Pool,
    cache: &KvCache,
    layer: usize,
    heads: Heads,
    sequences: &[Queries<'_>],
    query: &(dyn Fn(usize, usize, &mut [f32]) + Sync),
    out: &mut [f32],
) {
    assert!(layer < cache.layers() && heads.queries.is_multiple_of(cache.heads()), "the heads of the cache");
    let (group, width) = (heads.queries / cache.heads(), cache.width());
    let per_tile = (TILE_ROWS / group).clamp(1, TILE_QUERIES);
    let mut items = Vec::new();
    for queries in sequences {
        assert!(queries.start + queries.count <= queries.blocks.len() * BLOCK_TOKENS, "the blocks of a sequence");
        assert!(queries.blocks.iter().all(|block| (*block as usize) < cache.blocks()), "the blocks of the cache");
        assert!((queries.first + queries.count) * heads.queries * width <= out.len(), "the rows of the output");
        // The last queries see most: their tiles come first, so that no thread begins a long one at the end.
        for tile in (0..queries.count.div_ceil(per_tile)).rev() {
            let (skip, count) = (tile * per_tile, per_tile.min(queries.count - tile * per_tile));
            let queries = Queries { first: queries.first + skip, start: queries.start + skip, count, ..*queries };
            items.extend((0..cache.heads()).map(|head| Item { queries, head }));
        }
    }
    assert!(disjoint(sequences), "two sequences name one row");
    let out = SharedMut(out.as_mut_ptr());
    pool.for_each_chunk(items.len(), 1, &|index| {
        let item = &items[index];
        SCRATCH.with_borrow_mut(|scratch| {
            let tile = tile::Tile { cache, layer, head: item.head, group, window: heads.window, queries: item.queries };
            let results = tile.run(level, scratch, query);
            for (row, result) in results.enumerate() {
                let (token, head) = (item.queries.first + row / group, item.head * group + row % group);
                put(&out, (token * heads.queries + head) * width, result);
            }
        });
    });
}

/// Whether no row is named twice.
fn disjoint(sequences: &[Queries<'_>]) -> bool {
    let mut rows: Vec<_> = sequences.iter().map(|queries| (queries.first, queries.first + queries.count)).collect();
    rows.sort_unstable();
    rows.windows(2).all(|pair| pair[0].1 <= pair[1].0)
}

#[expect(unsafe_code, reason = "each row is written by one tile")]
fn put(out: &SharedMut<f32>, at: usize, result: &[f32]) {
    // SAFETY: `attend_at` asserts that every row lies in the output and that no two sequences share one; tiles of a
    // sequence share neither queries nor heads.
    unsafe { std::slice::from_raw_parts_mut(out.at(at), result.len()) }.copy_from_slice(result);
}

#[cfg(test)]
mod tests;
