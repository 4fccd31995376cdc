//! The weights of one block of an encoder.

use lakemill_kernels::matmul::Packed;

use super::config::EncoderConfig;
use crate::error::Result;
use crate::weights::{Weights, matrix, vector};

/// A matrix with what is added to its products.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weights: Packed,
    pub(super) bias: Vec<f32>,
}

/// The weight and bias of a layer norm.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// A transformer block whose norms stand after the sums (Devlin et al., BERT, 2018).
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) output: Linear,
    pub(super) attention_norm: Norm,
    pub(super) up: Linear,
    pub(super) down: Linear,
    pub(super) output_norm: Norm,
}

impl Layer {
    pub(super) fn load(weights: &dyn Weights, config: &EncoderConfig, layer: usize) -> Result<Self> {
        let (width, feed_forward) = (config.width, config.feed_forward);
        let name = |part: &str| format!("blk.{layer}.{part}");
        let linear = |part: &str, rows, columns| Linear::load(weights, &name(part), rows, columns);
        Ok(Self {
            query: linear("attn_q", width, width)?,
            key: linear("attn_k", width, width)?,
            value: linear("attn_v", width, width)?,
            output: linear("attn_output", width, width)?,
            attention_norm: Norm::load(weights, &name("attn_output_norm"), width)?,
            up: linear("ffn_up", feed_forward, width)?,
            down: linear("ffn_down", width, feed_forward)?,
            output_norm: Norm::load(weights, &name("layer_output_norm"), width)?,
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let all = [&self.query, &self.key, &self.value, &self.output, &self.up, &self.down];
        all.into_iter().map(|linear| linear.weights.memory_bytes()).sum()
    }
}

impl Linear {
    fn load(weights: &dyn Weights, name: &str, rows: usize, columns: usize) -> Result<Self> {
        Ok(Self {
            weights: matrix(weights, &format!("{name}.weight"), rows, columns)?,
            bias: vector(weights, &format!("{name}.bias"), rows)?,
        })
    }
}

impl Norm {
    pub(super) fn load(weights: &dyn Weights, name: &str, width: usize) -> Result<Self> {
        Ok(Self {
            weight: vector(weights, &format!("{name}.weight"), width)?,
            bias: vector(weights, &format!("{name}.bias"), width)?,
        })
    }
}
