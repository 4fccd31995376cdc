//! The numbers by which GGUF names the formats of tensors.

use lakemill_kernels::quant::Format;

/// The formats that can be read.
pub(super) const READABLE: [(u32, Format); 11] = [
    (0, Format::F32),
    (1, Format::F16),
    (30, Format::Bf16),
    (2, Format::Q4_0),
    (3, Format::Q4_1),
    (6, Format::Q5_0),
    (7, Format::Q5_1),
    (8, Format::Q8_0),
    (12, Format::Q4K),
    (13, Format::Q5K),
    (14, Format::Q6K),
];

/// The formats that are known by name alone, so that an error can say what the file holds.
const NAMES: [(u32, &str); 24] = [
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

/// The format of the number `id`, or what to call it in an error.
pub(super) fn format(id: u32) -> Result<Format, String> {
    if let Some((_, format)) = READABLE.iter().find(|(known, _)| *known == id) {
        return Ok(*format);
    }
    Err(match NAMES.iter().find(|(known, _)| *known == id) {
        Some((_, name)) => format!("format {name}"),
        None => format!("format number {id}"),
    })
}
