//! What a language model is made of, as its file says: layers, widths, heads and the rotation of positions.
//!
//! Read from GGUF's metadata or Hugging Face's config.json; every number is checked against the limits here, so that
//! what follows can multiply them without fear. What the configuration leaves open is seen in the weights: biases of
//! q, k and v (Qwen2) and their norms (Qwen3) are there when their tensors are.

mod gguf;
pub(crate) mod json;

use crate::error::{Error, Result};

/// The most layers of a model: models that are published have fewer than 200.
pub const LAYERS_MAX: usize = 1024;
/// The most elements of a width: published models stay below 65,536.
pub const WIDTH_MAX: usize = 1 << 20;
/// The most tokens of a vocabulary: published models stay below 300,000.
pub const VOCABULARY_MAX: usize = 1 << 24;
/// The most tokens of a context: published models stay at 10 million.
pub const CONTEXT_TOKENS_MAX: usize = 1 << 26;

/// The structure of a decoder-only language model of the Llama family.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// What the file calls the architecture: `llama`, `mistral`, `qwen2`, `qwen3`.
    pub family: String,
    /// Transformer blocks.
    pub layers: usize,
    /// Elements of the residual stream.
    pub width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_width: usize,
    /// Elements inside the feed-forward network.
    pub feed_forward: usize,
    /// Tokens of the vocabulary, which is rows of the embedding.
    pub vocabulary: usize,
    /// The most tokens that the model was made for.
    pub context_tokens: usize,
    /// The rotation of positions.
    pub rope: Rope,
    /// The epsilon of every RMS norm.
    pub norm_epsilon: f32,
    /// Whether the output head is the embedding: there is no `output.weight`.
    pub tied: bool,
    /// How many positions back attention sees, itself included; all where `None`.
    pub sliding_window: Option<usize>,
}

/// Rotary position embedding (Su et al., RoFormer, 2021).
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// The base of the frequencies.
    pub theta: f32,
    /// Elements of a head that rotate, counted from the first; even.
    pub dimensions: usize,
    /// Which elements form a pair.
    pub layout: RopeLayout,
    /// How the frequencies are stretched for long contexts. A tensor `rope_freqs.weight` (`[dimensions / 2]`, each
    /// frequency is divided by its factor), where the weights have one, comes instead of `Llama3`.
    pub scaling: RopeScaling,
}

/// Which elements of a head rotate together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeLayout {
    /// Element `2i` with `2i + 1`: rows of q and k as GGUF's llama files permute them.
    Interleaved,
    /// Element `i` with `i + dimensions / 2`: Hugging Face's files and GGUF's qwen files.
    Half,
}

/// How frequencies are stretched for contexts longer than those of the first training.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All frequencies are divided by the factor.
    Linear { factor: f32 },
    /// Llama 3.1: long wavelengths are divided by `factor`, short ones stay, those between are blended.
    Llama3 { factor: f32, low_frequency_factor: f32, high_frequency_factor: f32, original_context_tokens: usize },
    /// YaRN (Peng et al., 2023). `attention_factor` multiplies the cosines and sines.
    Yarn { factor: f32, original_context_tokens: usize, beta_fast: f32, beta_slow: f32, attention_factor: f32 },
}

impl RopeScaling {
    /// YaRN's factor of the cosines and sines where the configuration gives none.
    pub fn yarn_attention_factor(factor: f32) -> f32 {
        if factor <= 1.0 { 1.0 } else { 0.1 * factor.ln() + 1.0 }
    }
}

impl Architecture {
    /// Elements of all query heads.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_width
    }

    /// Elements of all key heads, and of all value heads.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_width
    }

    /// Checks every number against the limits and the others.
    pub fn check(&self) -> Result<()> {
        let bounded = [
            ("layers", self.layers, LAYERS_MAX),
            ("width", self.width, WIDTH_MAX),
            ("heads", self.heads, WIDTH_MAX),
            ("key-value heads", self.kv_heads, WIDTH_MAX),
            ("head width", self.head_width, WIDTH_MAX),
            ("query width", self.heads.saturating_mul(self.head_width), WIDTH_MAX),
            ("feed-forward width", self.feed_forward, WIDTH_MAX),
            ("vocabulary", self.vocabulary, VOCABULARY_MAX),
            ("context length", self.context_tokens, CONTEXT_TOKENS_MAX),
        ];
        for (what, value, most) in bounded {
            if value == 0 || value > most {
                return Err(Error::data(format!("the model's {what} is {value}; it must be 1 to {most}")));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(Error::data(format!(
                "the model has {} query heads, which {} key-value heads do not divide",
                self.heads, self.kv_heads
            )));
        }
        if self.rope.dimensions == 0
            || self.rope.dimensions > self.head_width
            || !self.rope.dimensions.is_multiple_of(2)
        {
            return Err(Error::data(format!(
                "the model rotates {} elements of a head; it must be an even number up to {}",
                self.rope.dimensions, self.head_width
            )));
        }
        positive("rope base", self.rope.theta)?;
        positive("norm epsilon", self.norm_epsilon)?;
        if self.sliding_window == Some(0) {
            return Err(Error::data("the model's sliding window is 0; it must be 1 or more"));
        }
        self.rope.scaling.check()
    }
}

impl RopeScaling {
    fn check(&self) -> Result<()> {
        match *self {
            Self::None => Ok(()),
            Self::Linear { factor } => positive("rope scaling factor", factor),
            Self::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context_tokens } => {
                positive("rope scaling factor", factor)?;
                positive("low frequency factor", low_frequency_factor)?;
                positive("original context length", original_context_tokens as f32)?;
                positive("distance of the rope's frequency factors", high_frequency_factor - low_frequency_factor)
            }
            Self::Yarn { factor, original_context_tokens, beta_fast, beta_slow, attention_factor } => {
                positive("rope scaling factor", factor)?;
                positive("original context length", original_context_tokens as f32)?;
                positive("YaRN beta_fast", beta_fast)?;
                positive("YaRN beta_slow", beta_slow)?;
                positive("YaRN attention factor", attention_factor)
            }
        }
    }
}

fn positive(what: &str, value: f32) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::data(format!("the model's {what} is {value}; it must be above 0")))
}

/// Elements of a head where the configuration gives none.
fn head_width(width: usize, heads: usize) -> Result<usize> {
    match width.checked_div(heads) {
        Some(head_width) if width.is_multiple_of(heads) => Ok(head_width),
        _ => Err(Error::data(format!("the model's width {width} does not divide among its {heads} heads"))),
    }
}

fn unknown_family<'a>(family: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    Error::data(format!("the model's architecture is '{family}'; those that can be run are {}", known.join(", ")))
}

fn unknown_scaling(kind: &str) -> Error {
    Error::data(format!("the model's rope scaling is '{kind}'; those that can be run are linear, llama3 and yarn"))
}
