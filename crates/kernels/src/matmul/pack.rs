//! Repacking: sixteen rows side by side, their columns in the order in which kernels read them.

use half::f16;

use crate::quant::{Format, UNIT_ELEMENTS, Unit, dequantise, unpack};
use crate::simd::{LANES, Line};

/// One value of each of sixteen rows.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Singles(pub(crate) [f32; LANES]);

/// One IEEE half-precision value of each of sixteen rows.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(crate) struct Halves(pub(crate) [u16; LANES]);

/// One bfloat16 of each of sixteen rows.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(crate) struct Brains(pub(crate) [u16; LANES]);

/// Repacked weights. Rows behind the last are zeros.
#[derive(Debug)]
pub(crate) enum Data {
    Units(Units),
    /// `[groups, columns]`.
    Single(Vec<Singles>),
    Half(Vec<Halves>),
    Brain(Vec<Brains>),
}

/// Integer weights in units of 32 columns, `[groups, units, ..]`.
#[derive(Debug)]
pub(crate) struct Units {
    /// Units of a row.
    pub(crate) count: usize,
    /// Lines of a unit: 4 of nibbles or 8 of bytes. Line `i` of nibbles holds columns `8i..8i + 4` in the lower and
    /// `8i + 4..8i + 8` in the upper halves; line `i` of bytes columns `4i..4i + 4`.
    pub(crate) lines: Vec<Line>,
    pub(crate) scales: Scales,
    /// As many as units; none where the format has no minima.
    pub(crate) minima: Scales,
}

/// Scales of sixteen rows: half precision where the file has it, single where scales of scales were multiplied out.
#[derive(Debug, Default)]
pub(crate) struct Scales {
    pub(crate) halves: Vec<Halves>,
    pub(crate) singles: Vec<Singles>,
}

impl Scales {
    fn memory_bytes(&self) -> usize {
        size_of_val(&*self.halves) + size_of_val(&*self.singles)
    }

    fn get(&self, index: usize, lane: usize) -> f32 {
        match self.halves.get(index) {
            Some(halves) => f16::from_bits(halves.0[lane]).to_f32(),
            None => self.singles.get(index).map_or(0.0, |singles| singles.0[lane]),
        }
    }

    fn set(&mut self, index: usize, lane: usize, value: f32) {
        if let Some(halves) = self.halves.get_mut(index) {
            halves.0[lane] = f16::from_f32(value).to_bits();
        }
        if let Some(singles) = self.singles.get_mut(index) {
            singles.0[lane] = value;
        }
    }
}

/// How a format is laid out once repacked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    nibbles: bool,
    /// What unit integers are raised by: bytes around a zero stand around 128.
    raise: u8,
    minima: bool,
    /// Scales per unit.
    scales: usize,
    /// Whether scales are single precision.
    wide: bool,
}

impl Layout {
    fn of(format: Format) -> Self {
        let layout = |nibbles, raise, minima| Self { nibbles, raise, minima, scales: 1, wide: false };
        match format {
            Format::Q4_0 => layout(true, 0, false),
            Format::Q4_1 => layout(true, 0, true),
            Format::Q4K => Self { wide: true, ..layout(true, 0, true) },
            Format::Q5_0 => layout(false, 128 - 16, false),
            Format::Q5_1 => layout(false, 0, true),
            Format::Q5K => Self { wide: true, ..layout(false, 0, true) },
            Format::Q6K => Self { scales: 2, wide: true, ..layout(false, 128 - 32, false) },
            Format::Q8_0 | Format::F32 | Format::F16 | Format::Bf16 => layout(false, 0, false),
        }
    }

    /// What stands for zero in the repacked integers.
    fn zero(self) -> f32 {
        match (self.minima, self.nibbles) {
            (true, _) => 0.0,
            (false, true) => 8.0,
            (false, false) => 128.0,
        }
    }

    fn lines(self) -> usize {
        if self.nibbles { 4 } else { 8 }
    }
}

impl Data {
    pub(crate) fn new(format: Format, rows: usize, columns: usize, bytes: &[u8]) -> Self {
        match format {
            Format::F32 => {
                Self::Single(side_by_side(rows, columns, bytes, Singles([0.0; LANES]), |lanes, lane, bytes| {
                    lanes.0[lane] = f32::from_le_bytes(bytes);
                }))
            }
            Format::F16 => Self::Half(side_by_side(rows, columns, bytes, Halves([0; LANES]), |lanes, lane, bytes| {
                lanes.0[lane] = u16::from_le_bytes(bytes);
            })),
            Format::Bf16 => {
                Self::Brain(side_by_side(rows, columns, bytes, Brains([0; LANES]), |lanes, lane, bytes| {
                    lanes.0[lane] = u16::from_le_bytes(bytes);
                }))
            }
            _ => Self::Units(units(format, rows, columns, bytes)),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Units(units) => {
                size_of_val(&*units.lines) + units.scales.memory_bytes() + units.minima.memory_bytes()
            }
            Self::Single(lanes) => size_of_val(&**lanes),
            Self::Half(lanes) => size_of_val(&**lanes),
            Self::Brain(lanes) => size_of_val(&**lanes),
        }
    }

    pub(crate) fn row(&self, format: Format, row: usize, columns: usize, out: &mut [f32]) {
        let (first, lane) = (row / LANES * columns, row % LANES);
        match self {
            Self::Units(units) => units.row(Layout::of(format), row, out),
            Self::Single(lanes) => {
                for (out, lanes) in out.iter_mut().zip(&lanes[first..]) {
                    *out = lanes.0[lane];
                }
            }
            Self::Half(lanes) => {
                for (out, lanes) in out.iter_mut().zip(&lanes[first..]) {
                    dequantise(Format::F16, &lanes.0[lane].to_le_bytes(), std::slice::from_mut(out));
                }
            }
            Self::Brain(lanes) => {
                for (out, lanes) in out.iter_mut().zip(&lanes[first..]) {
                    *out = f32::from_bits(u32::from(lanes.0[lane]) << 16);
                }
            }
        }
    }
}

/// `[groups, columns]` of floating-point weights.
fn side_by_side<T: Clone, const N: usize>(
    rows: usize,
    columns: usize,
    bytes: &[u8],
    zero: T,
    set: impl Fn(&mut T, usize, [u8; N]),
) -> Vec<T> {
    let mut lanes = vec![zero; rows.div_ceil(LANES) * columns];
    let (elements, _) = bytes.as_chunks::<N>();
    for (index, element) in elements.iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        set(&mut lanes[row / LANES * columns + column], row % LANES, *element);
    }
    lanes
}

fn units(format: Format, rows: usize, columns: usize, bytes: &[u8]) -> Units {
    let layout = Layout::of(format);
    let count = columns / UNIT_ELEMENTS;
    let all = rows.div_ceil(LANES) * count;
    let scales = |number: usize| {
        let (halves, singles) = if layout.wide { (0, number) } else { (number, 0) };
        Scales { halves: vec![Halves([0; LANES]); halves], singles: vec![Singles([0.0; LANES]); singles] }
    };
    let mut units = Units {
        count,
        lines: vec![Line([0; 64]); all * layout.lines()],
        scales: scales(all * layout.scales),
        minima: scales(if layout.minima { all } else { 0 }),
    };
    for (row, bytes) in bytes.chunks_exact(format.row_bytes(columns).max(1)).enumerate() {
        let mut at = row / LANES * count;
        for block in bytes.chunks_exact(format.block_bytes()) {
            unpack(format, block, &mut |unit| {
                units.set(layout, at, row % LANES, unit);
                at += 1;
            });
        }
    }
    units
}

impl Units {
    fn set(&mut self, layout: Layout, at: usize, lane: usize, unit: &Unit) {
        for (half, scale) in unit.scale.iter().take(layout.scales).enumerate() {
            self.scales.set(at * layout.scales + half, lane, *scale);
        }
        self.minima.set(at, lane, unit.minimum);
        let lines = &mut self.lines[at * layout.lines()..][..layout.lines()];
        for (column, quant) in unit.quants.iter().enumerate() {
            let (word, byte) = (column / 4, lane * 4 + column % 4);
            if layout.nibbles {
                lines[word / 2].0[byte] |= quant << (word % 2 * 4);
            } else {
                lines[word].0[byte] = quant + layout.raise;
            }
        }
    }

    fn row(&self, layout: Layout, row: usize, out: &mut [f32]) {
        let (first, lane) = (row / LANES * self.count, row % LANES);
        for (at, out) in (first..).zip(out.chunks_exact_mut(UNIT_ELEMENTS)) {
            let lines = &self.lines[at * layout.lines()..][..layout.lines()];
            let minimum = self.minima.get(at, lane);
            for (column, out) in out.iter_mut().enumerate() {
                let (word, byte) = (column / 4, lane * 4 + column % 4);
                let quant =
                    if layout.nibbles { lines[word / 2].0[byte] >> (word % 2 * 4) & 15 } else { lines[word].0[byte] };
                let scale = self.scales.get(at * layout.scales + column / 16 * (layout.scales - 1), lane);
                *out = scale * (f32::from(quant) - layout.zero()) + minimum;
            }
        }
    }
}
