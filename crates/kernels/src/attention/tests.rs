//! Attention against sums in double precision, and against itself in other schedules.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
struct Shape {
    heads: usize,
    group: usize,
    width: usize,
    window: Option<usize>,
}

fn value(seed: usize, token: usize, head: usize, element: usize) -> f32 {
    let mixed = (seed * 31 + token * 1009 + head * 131 + element * 7919).wrapping_mul(2_654_435_761) >> 7;
    (mixed % 2001) as f32 / 1000.0 - 1.0
}

/// The cache of a sequence of `tokens` tokens, whose blocks lie in reverse, behind one that is not its own.
fn filled(pool: &Pool, format: KvFormat, shape: Shape, tokens: usize) -> (KvCache, Vec<u32>) {
    let count = tokens.div_ceil(BLOCK_TOKENS);
    let blocks: Vec<u32> = (1..=count as u32).rev().collect();
    let mut cache = KvCache::new(format, 2, shape.heads, shape.width, count + 1);
    let places: Vec<Place> =
        (0..tokens).map(|token| Place { block: blocks[token / BLOCK_TOKENS], slot: token % BLOCK_TOKENS }).collect();
    cache.store(pool, 1, &places, &|token, head, keys, values| {
        for element in 0..shape.width {
            keys[element] = value(1, token, head, element);
            values[element] = value(2, token, head, element);
        }
    });
    (cache, blocks)
}

fn query(shape: Shape, position: usize, head: usize, out: &mut [f32]) {
    for (element, out) in out.iter_mut().enumerate() {
        *out = value(3, position, head, element) * 3.0 / (shape.width as f32).sqrt();
    }
}

fn reference(shape: Shape, position: usize, head: usize) -> Vec<f64> {
    let mut q = vec![0.0; shape.width];
    query(shape, position, head, &mut q);
    let kv_head = head / shape.group;
    let first = shape.window.map_or(0, |window| (position + 1).saturating_sub(window));
    let scores: Vec<f64> = (first..=position)
        .map(|key| (0..shape.width).map(|e| f64::from(q[e]) * f64::from(value(1, key, kv_head, e))).sum())
        .collect();
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = scores.iter().map(|score| (score - max).exp()).sum();
    (0..shape.width)
        .map(|e| {
            let weighted = scores
                .iter()
                .zip(first..)
                .map(|(score, key)| (score - max).exp() * f64::from(value(2, key, kv_head, e)));
            weighted.sum::<f64>() / total
        })
        .collect()
}

/// The outputs of positions `start..start + count`.
fn run(
    level: Level,
    pool: &Pool,
    cache: &KvCache,
    blocks: &[u32],
    shape: Shape,
    start: usize,
    count: usize,
) -> Vec<f32> {
    let heads = Heads { queries: shape.heads * shape.group, window: shape.window };
    let mut out = vec![0.0; count * heads.queries * shape.width];
    let sequence = Queries { first: 0, count, start, blocks };
    let query = |token: usize, head: usize, out: &mut [f32]| query(shape, start + token, head, out);
    attend_at(level, pool, cache, 1, heads, &[sequence], &query, &mut out);
    out
}

fn shapes() -> impl Strategy<Value = Shape> {
    let widths = proptest::sample::select(&[4usize, 16, 40, 64, 80, 128][..]);
    (1usize..4, 1usize..6, widths, proptest::option::of(1usize..200)).prop_map(|(heads, group, width, window)| Shape {
        heads,
        group,
        width,
        window,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn outputs_are_the_weighted_values(
        shape in shapes(),
        format in proptest::sample::select(&[KvFormat::F32, KvFormat::F16, KvFormat::Q8][..]),
        tokens in 1usize..200,
        count in 1usize..40,
    ) {
        let pool = Pool::new(2);
        let (cache, blocks) = filled(&pool, format, shape, tokens);
        let count = count.min(tokens);
        let start = tokens - count;
        let first = run(Level::Scalar, &pool, &cache, &blocks, shape, start, count);
        let bound = match format { KvFormat::F32 => 2e-5, KvFormat::F16 => 2e-3, KvFormat::Q8 => 3e-2 };
        for (row, got) in first.chunks_exact(shape.width).enumerate() {
            let (token, head) = (row / (shape.heads * shape.group), row % (shape.heads * shape.group));
            for (got, want) in got.iter().zip(reference(shape, start + token, head)) {
                prop_assert!((f64::from(*got) - want).abs() < bound, "{got} {want}");
            }
        }
        for level in Level::available() {
            prop_assert_eq!(&run(level, &pool, &cache, &blocks, shape, start, count), &first, "{:?}", level);
        }
    }

    #[test]
    fn a_schedule_decides_nothing(shape in shapes(), tokens in 1usize..150, cut in 0usize..150) {
        let (one, three) = (Pool::new(1), Pool::new(3));
        let (cache, blocks) = filled(&three, KvFormat::F16, shape, tokens);
        let row = shape.heads * shape.group * shape.width;
        let whole = run(Level::best(), &three, &cache, &blocks, shape, 0, tokens);
        for token in 0..tokens {
            let alone = run(Level::best(), &one, &cache, &blocks, shape, token, 1);
            prop_assert_eq!(&whole[token * row..][..row], &alone[..]);
        }
        let cut = cut.min(tokens);
        let mut out = vec![0.0; tokens * row];
        let sequences = [
            Queries { first: cut, count: tokens - cut, start: cut, blocks: &blocks },
            Queries { first: 0, count: cut, start: 0, blocks: &blocks },
        ];
        let heads = Heads { queries: shape.heads * shape.group, window: shape.window };
        attend(&three, &cache, 1, heads, &sequences, &|token, head, out| query(shape, token, head, out), &mut out);
        prop_assert_eq!(out, whole);
    }
}

#[test]
fn a_copied_block_holds_the_same() {
    let shape = Shape { heads: 2, group: 2, width: 40, window: None };
    let pool = Pool::new(1);
    for format in [KvFormat::F32, KvFormat::F16, KvFormat::Q8] {
        let (mut cache, mut blocks) = filled(&pool, format, shape, 30);
        let before = run(Level::best(), &pool, &cache, &blocks, shape, 29, 1);
        cache.copy_block(blocks[1], 0);
        blocks[1] = 0;
        assert_eq!(run(Level::best(), &pool, &cache, &blocks, shape, 29, 1), before);
        let element = match format {
            KvFormat::F32 => 4,
            KvFormat::F16 => 2,
            KvFormat::Q8 => 1,
        };
        let scales = if format == KvFormat::Q8 { 2 * 16 * 4 } else { 0 };
        assert_eq!(cache.block_bytes(), 2 * 2 * (16 * (40 + 48) * element + scales));
    }
}
