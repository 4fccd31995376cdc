//! How weights and activations are stored in few bits.
//!
//! [`Format`] names the layouts of weights in files, as ggml defines them; [`dequantise`] is their readable meaning.
//! [`activations`] holds the int8 blocks that inputs of products are turned into.

pub mod activations;
mod blocks;

pub(crate) use blocks::{UNIT_ELEMENTS, Unit, unpack};
use half::{bf16, f16};

/// How the elements of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// 32 elements of 4 bits around 8, with a scale.
    Q4_0,
    /// 32 elements of 4 bits, with a scale and a minimum.
    Q4_1,
    /// 32 elements of 5 bits around 16, with a scale.
    Q5_0,
    /// 32 elements of 5 bits, with a scale and a minimum.
    Q5_1,
    /// 32 elements of 8 bits, with a scale.
    Q8_0,
    /// 256 elements of 4 bits, with scales and minima of 6 bits for each 32.
    Q4K,
    /// 256 elements of 5 bits, with scales and minima of 6 bits for each 32.
    Q5K,
    /// 256 elements of 6 bits around 32, with scales of 8 bits for each 16.
    Q6K,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Elements of a block; a row holds whole blocks.
    pub fn block_elements(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
            _ => 32,
        }
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Bytes of a row of `elements`, which are whole blocks.
    pub fn row_bytes(self, elements: usize) -> usize {
        elements / self.block_elements() * self.block_bytes()
    }

    /// The name as ggml writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        }
    }

    /// Whether elements are integers with scales, rather than floating point.
    pub fn is_quantised(self) -> bool {
        !matches!(self, Self::F32 | Self::F16 | Self::Bf16)
    }
}

/// The values of whole blocks.
///
/// # Panics
/// When `out` holds no whole number of blocks or `bytes` is not as long as they are.
pub fn dequantise(format: Format, bytes: &[u8], out: &mut [f32]) {
    assert!(out.len().is_multiple_of(format.block_elements()), "{} needs whole blocks", format.name());
    assert_eq!(bytes.len(), format.row_bytes(out.len()), "the bytes of {} elements", out.len());
    match format {
        Format::F32 => each(bytes, out, f32::from_le_bytes),
        Format::F16 => each(bytes, out, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Format::Bf16 => each(bytes, out, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        _ => {
            let blocks = bytes.chunks_exact(format.block_bytes());
            for (block, out) in blocks.zip(out.chunks_exact_mut(format.block_elements())) {
                let mut out = out.chunks_exact_mut(UNIT_ELEMENTS);
                unpack(format, block, &mut |unit| {
                    if let Some(out) = out.next() {
                        unit.values(out);
                    }
                });
            }
        }
    }
}

fn each<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    for (bytes, out) in bytes.as_chunks::<N>().0.iter().zip(out) {
        *out = value(*bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_read_as_their_values() {
        let mut out = [0.0; 2];
        dequantise(Format::F16, &[0x00, 0x3C, 0x00, 0xC0], &mut out);
        assert_eq!(out, [1.0, -2.0]);
        dequantise(Format::Bf16, &[0x80, 0x3F, 0x00, 0xC0], &mut out);
        assert_eq!(out, [1.0, -2.0]);
        dequantise(Format::F32, &[0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0], &mut out);
        assert_eq!(out, [1.0, -2.0]);
    }
}
