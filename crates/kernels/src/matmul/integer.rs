//! Integer weights times int8 activations.
//!
//! For each unit of 32 columns, each lane sums its row's products as an integer, which is exact; one fused
//! multiplication adds that sum, times both scales, to the row's `f32`, and another adds the minimum. Units go in
//! order: this is the whole definition of the result.

use super::Output;
use super::pack::{Halves, Scales, Singles, Units};
use crate::quant::Format;
use crate::quant::activations::Block;
use crate::simd::{Level, Line, Simd, Start, Work};

/// How far ahead weights are asked for: 4 KiB, since the processor's own prefetching ends at the border of a page.
const PREFETCH_LINES: usize = 64;

/// A layout of repacked integers, known to the compiler.
trait Kind {
    /// Lines hold two columns' nibbles to a byte.
    const NIBBLES: bool;
    /// Units have a minimum; else integers stand around 8 (nibbles) or 128 (bytes).
    const MINIMA: bool;
    /// Each half of a unit has a scale of its own.
    const HALVES: bool;
    /// Scales are single precision.
    const WIDE: bool;
}

struct Layout<const NIBBLES: bool, const MINIMA: bool, const HALVES: bool, const WIDE: bool>;

impl<const NIBBLES: bool, const MINIMA: bool, const HALVES: bool, const WIDE: bool> Kind
    for Layout<NIBBLES, MINIMA, HALVES, WIDE>
{
    const NIBBLES: bool = NIBBLES;
    const MINIMA: bool = MINIMA;
    const HALVES: bool = HALVES;
    const WIDE: bool = WIDE;
}

type Nibbles = Layout<true, false, false, false>;
type NibblesWithMinima = Layout<true, true, false, false>;
type NibblesWithWideMinima = Layout<true, true, false, true>;
type Bytes = Layout<false, false, false, false>;
type BytesWithMinima = Layout<false, true, false, false>;
type BytesWithWideMinima = Layout<false, true, false, true>;
type BytesInHalves = Layout<false, false, true, true>;

/// Multiplies groups of rows with tokens; `blocks` is `[all tokens, units]`.
pub(super) fn run(
    level: Level,
    format: Format,
    units: &Units,
    blocks: &[Block],
    groups: (usize, usize),
    tokens: (usize, usize),
    output: Output<'_>,
) {
    let multiply = Multiply { units, blocks, groups, tokens, output, kind: std::marker::PhantomData };
    match format {
        Format::Q4_0 => level.call(multiply.of::<Nibbles>()),
        Format::Q4_1 => level.call(multiply.of::<NibblesWithMinima>()),
        Format::Q4K => level.call(multiply.of::<NibblesWithWideMinima>()),
        Format::Q5_0 | Format::Q8_0 => level.call(multiply),
        Format::Q5_1 => level.call(multiply.of::<BytesWithMinima>()),
        Format::Q5K => level.call(multiply.of::<BytesWithWideMinima>()),
        Format::Q6K => level.call(multiply.of::<BytesInHalves>()),
        Format::F32 | Format::F16 | Format::Bf16 => unreachable!("floating-point weights are not units"),
    }
}

struct Multiply<'a, K = Bytes> {
    units: &'a Units,
    blocks: &'a [Block],
    groups: (usize, usize),
    tokens: (usize, usize),
    output: Output<'a>,
    kind: std::marker::PhantomData<K>,
}

impl<'a> Multiply<'a> {
    fn of<K>(self) -> Multiply<'a, K> {
        let Self { units, blocks, groups, tokens, output, .. } = self;
        Multiply { units, blocks, groups, tokens, output, kind: std::marker::PhantomData }
    }
}

impl<K: Kind> Work for Multiply<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for group in self.groups.0..self.groups.1 {
            let weights = Group::<K>::new(self.units, group);
            let mut token = self.tokens.0;
            while S::TILE_TOKENS >= 8 && token + 8 <= self.tokens.1 {
                self.tile::<S, 8>(simd, &weights, group, token);
                token += 8;
            }
            while S::TILE_TOKENS >= 4 && token + 4 <= self.tokens.1 {
                self.tile::<S, 4>(simd, &weights, group, token);
                token += 4;
            }
            while S::TILE_TOKENS >= 2 && token + 2 <= self.tokens.1 {
                self.tile::<S, 2>(simd, &weights, group, token);
                token += 2;
            }
            while token < self.tokens.1 {
                self.tile::<S, 1>(simd, &weights, group, token);
                token += 1;
            }
        }
    }
}

impl<K: Kind> Multiply<'_, K> {
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(&self, simd: S, weights: &Group<'_, K>, group: usize, token: usize) {
        let count = self.units.count;
        let mut tokens = [&self.blocks[..0]; T];
        for (index, blocks) in tokens.iter_mut().enumerate() {
            *blocks = &self.blocks[(token + index) * count..][..count];
        }
        let mut sums = [simd.splat(0.0); T];
        for unit in 0..count {
            let mut blocks = [&tokens[0][unit]; T];
            for (block, blocks) in blocks.iter_mut().zip(tokens) {
                *block = &blocks[unit];
            }
            if K::HALVES {
                weights.add_half::<S, T, 0>(simd, unit, blocks, &mut sums);
                weights.add_half::<S, T, 1>(simd, unit, blocks, &mut sums);
            } else {
                weights.add::<S, T>(simd, unit, blocks, &mut sums, token == self.tokens.0);
            }
        }
        for (index, sum) in sums.into_iter().enumerate() {
            self.output.put(simd, token + index, group, sum);
        }
    }
}

/// The bytes of some blocks.
#[inline(always)]
fn words_of<const T: usize>(blocks: [&Block; T]) -> [&[i32; 8]; T] {
    let mut words = [&blocks[0].words; T];
    for (words, block) in words.iter_mut().zip(blocks) {
        *words = &block.words;
    }
    words
}

/// The weights of sixteen rows.
struct Group<'a, K> {
    lines: &'a [Line],
    scales: Own<'a>,
    minima: Own<'a>,
    kind: std::marker::PhantomData<K>,
}

/// The scales of a group: one of the slices is empty.
#[derive(Clone, Copy, Default)]
struct Own<'a> {
    halves: &'a [Halves],
    singles: &'a [Singles],
}

impl<'a> Own<'a> {
    #[inline(always)]
    fn new<K: Kind>(scales: &'a Scales, first: usize, count: usize) -> Self {
        match K::WIDE {
            true => Self { halves: &[], singles: &scales.singles[first..][..count] },
            false => Self { halves: &scales.halves[first..][..count], singles: &[] },
        }
    }

    #[inline(always)]
    fn get<S: Simd, K: Kind>(&self, simd: S, index: usize) -> S::F {
        if K::WIDE { simd.load(&self.singles[index].0) } else { simd.load_f16(&self.halves[index].0) }
    }
}

impl<'a, K: Kind> Group<'a, K> {
    const LINES: usize = if K::NIBBLES { 4 } else { 8 };

    #[inline(always)]
    fn new(units: &'a Units, group: usize) -> Self {
        let (first, count) = (group * units.count, units.count);
        let lines = &units.lines[first * Self::LINES..][..count * Self::LINES];
        let per_unit = if K::HALVES { 2 } else { 1 };
        let scales = Own::new::<K>(&units.scales, first * per_unit, count * per_unit);
        let minima = if K::MINIMA { Own::new::<K>(&units.minima, first, count) } else { Own::default() };
        Self { lines, scales, minima, kind: std::marker::PhantomData }
    }

    /// Adds a unit of 32 columns.
    #[inline(always)]
    fn add<S: Simd, const T: usize>(
        &self,
        simd: S,
        unit: usize,
        blocks: [&Block; T],
        sums: &mut [S::F; T],
        fetch: bool,
    ) {
        let lines = &self.lines[unit * Self::LINES..][..Self::LINES];
        let mut products = [simd.start(Start::ZERO); T];
        for (product, block) in products.iter_mut().zip(blocks) {
            *product = match (K::MINIMA, K::NIBBLES) {
                (true, _) => simd.start(Start::ZERO),
                (false, true) => simd.start(block.from_8),
                (false, false) => simd.start_offset(block.from_128),
            };
        }
        if fetch {
            for ahead in (unit * Self::LINES..).take(Self::LINES) {
                simd.prefetch(self.lines, ahead + PREFETCH_LINES);
            }
        }
        let words = words_of(blocks);
        match *lines.as_chunks::<4>().0 {
            [ref lines] => simd.dot_nibbles(&mut products, lines, words),
            [ref first, ref second] if K::MINIMA => {
                simd.dot_bytes::<T, 0, false>(&mut products, first, words);
                simd.dot_bytes::<T, 4, false>(&mut products, second, words);
            }
            [ref first, ref second] => {
                simd.dot_bytes::<T, 0, true>(&mut products, first, words);
                simd.dot_bytes::<T, 4, true>(&mut products, second, words);
            }
            _ => unreachable!("a unit has four lines of nibbles or eight of bytes"),
        }
        let scale = self.scales.get::<S, K>(simd, unit);
        if K::MINIMA {
            let minimum = self.minima.get::<S, K>(simd, unit);
            simd.add_scaled::<T, true>(sums, products, blocks, scale, minimum);
        } else {
            simd.add_scaled::<T, false>(sums, products, blocks, scale, scale);
        }
    }

    /// Adds one half of a unit.
    #[inline(always)]
    fn add_half<S: Simd, const T: usize, const HALF: usize>(
        &self,
        simd: S,
        unit: usize,
        blocks: [&Block; T],
        sums: &mut [S::F; T],
    ) {
        let lines = &self.lines[unit * Self::LINES + HALF * 4..][..4];
        let mut products = [simd.start(Start::ZERO); T];
        for (product, block) in products.iter_mut().zip(blocks) {
            *product = simd.start_offset(block.halves_from_128[HALF]);
        }
        match (lines.first_chunk::<4>(), HALF) {
            (Some(lines), 0) => simd.dot_bytes::<T, 0, true>(&mut products, lines, words_of(blocks)),
            (Some(lines), _) => simd.dot_bytes::<T, 4, true>(&mut products, lines, words_of(blocks)),
            (None, _) => unreachable!("a half has four lines of bytes"),
        }
        let scale = self.scales.get::<S, K>(simd, unit * 2 + HALF);
        simd.add_scaled::<T, false>(sums, products, blocks, scale, scale);
    }
}
