//! The blocks of ggml's formats, taken apart into units of 32 elements.

use half::f16;

use super::Format;

/// Elements of a unit: the smallest block of any format, and the block of activations.
pub(crate) const UNIT_ELEMENTS: usize = 32;

/// 32 elements: `scale[half] * (quants[i] - zero) + minimum`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    /// Unsigned integers of as many bits as the format has.
    pub(crate) quants: [u8; UNIT_ELEMENTS],
    /// What stands for zero.
    pub(crate) zero: u8,
    /// Of elements 0 to 15 and 16 to 31.
    pub(crate) scale: [f32; 2],
    pub(crate) minimum: f32,
}

impl Unit {
    /// The 32 values.
    pub(crate) fn values(&self, out: &mut [f32]) {
        for (index, (out, quant)) in out.iter_mut().zip(self.quants).enumerate() {
            let level = f32::from(i16::from(quant) - i16::from(self.zero));
            *out = self.scale[index / 16] * level + self.minimum;
        }
    }
}

/// Hands every unit of one block to `take`, in order.
pub(crate) fn unpack(format: Format, block: &[u8], take: &mut dyn FnMut(&Unit)) {
    match format {
        Format::F32 | Format::F16 | Format::Bf16 => {}
        Format::Q4_0 => take(&simple(nibbles(&block[2..]), 8, half(block, 0), 0.0)),
        Format::Q4_1 => take(&simple(nibbles(&block[4..]), 0, half(block, 0), half(block, 2))),
        Format::Q5_0 => take(&simple(fives(&block[2..]), 16, half(block, 0), 0.0)),
        Format::Q5_1 => take(&simple(fives(&block[4..]), 0, half(block, 0), half(block, 2))),
        Format::Q8_0 => {
            let mut quants = [0; UNIT_ELEMENTS];
            for (quant, byte) in quants.iter_mut().zip(&block[2..]) {
                *quant = byte ^ 0x80;
            }
            take(&simple(quants, 128, half(block, 0), 0.0));
        }
        Format::Q4K | Format::Q5K => four_or_five(format, block, take),
        Format::Q6K => six(block, take),
    }
}

fn simple(quants: [u8; UNIT_ELEMENTS], zero: u8, scale: f32, minimum: f32) -> Unit {
    Unit { quants, zero, scale: [scale; 2], minimum }
}

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Element `i` in the lower half of byte `i`, element `i + 16` in the upper.
fn nibbles(bytes: &[u8]) -> [u8; UNIT_ELEMENTS] {
    let mut quants = [0; UNIT_ELEMENTS];
    for (index, byte) in bytes[..16].iter().enumerate() {
        quants[index] = byte & 15;
        quants[index + 16] = byte >> 4;
    }
    quants
}

/// Four bytes of fifth bits, then nibbles.
fn fives(bytes: &[u8]) -> [u8; UNIT_ELEMENTS] {
    let fifth = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mut quants = nibbles(&bytes[4..]);
    for (index, quant) in quants.iter_mut().enumerate() {
        *quant |= ((fifth >> index & 1) as u8) << 4;
    }
    quants
}

/// The scale and minimum of six bits of unit `unit` out of eight, from their twelve bytes.
fn six_bits(packed: &[u8], unit: usize) -> (u8, u8) {
    if unit < 4 {
        return (packed[unit] & 63, packed[unit + 4] & 63);
    }
    let (low, high) = (packed[unit + 4], [packed[unit - 4] >> 6, packed[unit] >> 6]);
    (low & 15 | high[0] << 4, low >> 4 | high[1] << 4)
}

/// Scale, scale of minima, twelve bytes of scales, in Q5_K 32 bytes of fifth bits, 128 bytes of nibbles.
fn four_or_five(format: Format, block: &[u8], take: &mut dyn FnMut(&Unit)) {
    let (scale, scale_of_minima) = (half(block, 0), half(block, 2));
    let (fifths, fours) =
        if format == Format::Q5K { (&block[16..48], &block[48..]) } else { (&block[..0], &block[16..]) };
    for unit in 0..8 {
        let (level, minimum) = six_bits(&block[4..16], unit);
        let bytes = &fours[unit / 2 * 32..][..32];
        let mut quants = [0; UNIT_ELEMENTS];
        for (index, (quant, byte)) in quants.iter_mut().zip(bytes).enumerate() {
            *quant = byte >> (unit % 2 * 4) & 15;
            if let Some(fifth) = fifths.get(index) {
                *quant |= (fifth >> unit & 1) << 4;
            }
        }
        take(&simple(quants, 0, scale * f32::from(level), -(scale_of_minima * f32::from(minimum))));
    }
}

/// 128 bytes of lower nibbles, 64 bytes of upper pairs of bits, 16 signed scales, a scale.
fn six(block: &[u8], take: &mut dyn FnMut(&Unit)) {
    let (lower, upper, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let scale = half(block, 208);
    for unit in 0..8 {
        let (part, quarter) = (unit / 4, unit % 4);
        let mut quants = [0; UNIT_ELEMENTS];
        for (index, quant) in quants.iter_mut().enumerate() {
            let low = lower[part * 64 + quarter % 2 * 32 + index] >> (quarter / 2 * 4) & 15;
            let high = upper[part * 32 + index] >> (quarter * 2) & 3;
            *quant = low | high << 4;
        }
        let scale = [0, 1].map(|half| scale * f32::from(scales[unit * 2 + half] as i8));
        take(&Unit { quants, zero: 32, scale, minimum: 0.0 });
    }
}
