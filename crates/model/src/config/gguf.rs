//! The configuration from GGUF's metadata, under the keys of its specification.

use super::{Architecture, Rope, RopeLayout, RopeScaling};
use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::weights::Weights;

/// The architectures that can be run, with the layout of their rotation.
const FAMILIES: [(&str, RopeLayout); 3] =
    [("llama", RopeLayout::Interleaved), ("qwen2", RopeLayout::Half), ("qwen3", RopeLayout::Half)];
const THETA_DEFAULT: f64 = 10_000.0;
/// Shaped like the model's default in llama.cpp.
const BETA_FAST_DEFAULT: f64 = 32.0;
const BETA_SLOW_DEFAULT: f64 = 1.0;

impl Architecture {
    /// The architecture of a GGUF file.
    pub fn from_gguf(file: &Gguf) -> Result<Self> {
        let family = file.required_text("general.architecture")?;
        let Some((_, layout)) = FAMILIES.iter().find(|(name, _)| *name == family) else {
            return Err(super::unknown_family(family, FAMILIES.iter().map(|(name, _)| *name)));
        };
        if file.integer(&format!("{family}.expert_count"))?.unwrap_or(0) > 0 {
            return Err(Error::data("the model is a mixture of experts, which cannot be run; take a dense one"));
        }
        let required = |key: &str| file.required_integer(&format!("{family}.{key}")).map(to_usize);
        let optional = |key: &str| Ok::<_, Error>(file.integer(&format!("{family}.{key}"))?.map(to_usize));
        let width = required("embedding_length")?;
        let heads = required("attention.head_count")?;
        let head_width = match optional("attention.key_length")? {
            Some(head_width) => head_width,
            None => super::head_width(width, heads)?,
        };
        if optional("attention.value_length")?.is_some_and(|values| values != head_width) {
            return Err(Error::data("the model's heads have values and keys of different widths, which cannot be run"));
        }
        let norm_epsilon = format!("{family}.attention.layer_norm_rms_epsilon");
        let architecture = Self {
            family: family.to_owned(),
            layers: required("block_count")?,
            width,
            heads,
            kv_heads: optional("attention.head_count_kv")?.unwrap_or(heads),
            head_width,
            feed_forward: required("feed_forward_length")?,
            vocabulary: vocabulary(file)?,
            context_tokens: required("context_length")?,
            rope: rope(file, family, head_width, *layout)?,
            norm_epsilon: file
                .float(&norm_epsilon)?
                .ok_or_else(|| Error::data(format!("the file has no metadata '{norm_epsilon}'")))?
                as f32,
            tied: !file.has("output.weight"),
            sliding_window: optional("attention.sliding_window")?.filter(|window| *window > 0),
        };
        architecture.check()?;
        Ok(architecture)
    }
}

fn rope(file: &Gguf, family: &str, head_width: usize, layout: RopeLayout) -> Result<Rope> {
    let key = |name: &str| format!("{family}.rope.{name}");
    Ok(Rope {
        theta: file.float(&key("freq_base"))?.unwrap_or(THETA_DEFAULT) as f32,
        dimensions: file.integer(&key("dimension_count"))?.map_or(head_width, to_usize),
        layout,
        scaling: scaling(file, family)?,
    })
}

fn scaling(file: &Gguf, family: &str) -> Result<RopeScaling> {
    let key = |name: &str| format!("{family}.rope.scaling.{name}");
    let float = |name: &str, default: f64| Ok::<_, Error>(file.float(&key(name))?.unwrap_or(default) as f32);
    let kind = file.text(&key("type"))?;
    let factor = float("factor", 1.0)?;
    let original = file.integer(&key("original_context_length"))?.map(to_usize);
    match kind {
        None if file.float(&format!("{family}.rope.scale_linear"))?.is_some() => {
            Ok(linear(file.float(&format!("{family}.rope.scale_linear"))?.unwrap_or(1.0) as f32))
        }
        None | Some("none") => Ok(RopeScaling::None),
        Some("linear") => Ok(linear(factor)),
        Some("yarn") => Ok(RopeScaling::Yarn {
            factor,
            original_context_tokens: match original {
                Some(original) => original,
                None => file.required_integer(&format!("{family}.context_length")).map(to_usize)?,
            },
            beta_fast: float("yarn_beta_fast", BETA_FAST_DEFAULT)?,
            beta_slow: float("yarn_beta_slow", BETA_SLOW_DEFAULT)?,
            attention_factor: RopeScaling::yarn_attention_factor(factor) * float("attn_factor", 1.0)?,
        }),
        Some(other) => Err(super::unknown_scaling(other)),
    }
}

fn linear(factor: f32) -> RopeScaling {
    if factor == 1.0 { RopeScaling::None } else { RopeScaling::Linear { factor } }
}

/// The rows of the embedding: the metadata may leave out padding.
fn vocabulary(file: &Gguf) -> Result<usize> {
    let embedding = file.tensor("token_embd.weight")?;
    match embedding.shape[..] {
        [rows, _] => Ok(rows),
        _ => Err(embedding.error("it must have two dimensions")),
    }
}

/// Numbers beyond what the machine can count become its largest, which the limits refuse.
fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
