//! The weights of one transformer block.

use lakemill_kernels::matmul::Packed;
use lakemill_kernels::quant::activations::Want;

use crate::config::Architecture;
use crate::error::Result;
use crate::weights::{self, Weights};

/// A transformer block.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    pub(super) query: Packed,
    pub(super) key: Packed,
    pub(super) value: Packed,
    /// Of queries, keys and values, one behind the other (Qwen2).
    pub(super) bias: Option<Vec<f32>>,
    /// Norms of each head's queries and keys (Qwen3).
    pub(super) query_norm: Option<Vec<f32>>,
    pub(super) key_norm: Option<Vec<f32>>,
    pub(super) output: Packed,
    pub(super) feed_forward_norm: Vec<f32>,
    pub(super) gate: Packed,
    pub(super) up: Packed,
    pub(super) down: Packed,
}

impl Layer {
    pub(super) fn load(weights: &dyn Weights, architecture: &Architecture, layer: usize) -> Result<Self> {
        let Architecture { width, feed_forward, head_width, .. } = *architecture;
        let (query_width, kv_width) = (architecture.query_width(), architecture.kv_width());
        let name = |part: &str| format!("blk.{layer}.{part}");
        let matrix = |part: &str, rows: usize, columns: usize| weights::matrix(weights, &name(part), rows, columns);
        let vector = |part: &str, length: usize| weights::vector(weights, &name(part), length);
        let optional = |part: &str, length: usize| {
            if weights.has(&name(part)) { vector(part, length).map(Some) } else { Ok(None) }
        };
        let bias = match optional("attn_q.bias", query_width)? {
            Some(query) => Some([query, vector("attn_k.bias", kv_width)?, vector("attn_v.bias", kv_width)?].concat()),
            None => None,
        };
        Ok(Self {
            attention_norm: vector("attn_norm.weight", width)?,
            query: matrix("attn_q.weight", query_width, width)?,
            key: matrix("attn_k.weight", kv_width, width)?,
            value: matrix("attn_v.weight", kv_width, width)?,
            bias,
            query_norm: optional("attn_q_norm.weight", head_width)?,
            key_norm: optional("attn_k_norm.weight", head_width)?,
            output: matrix("attn_output.weight", width, query_width)?,
            feed_forward_norm: vector("ffn_norm.weight", width)?,
            gate: matrix("ffn_gate.weight", feed_forward, width)?,
            up: matrix("ffn_up.weight", feed_forward, width)?,
            down: matrix("ffn_down.weight", width, feed_forward)?,
        })
    }

    /// Bytes of the repacked matrices.
    pub(super) fn memory_bytes(&self) -> usize {
        let all = [&self.query, &self.key, &self.value, &self.output, &self.gate, &self.up, &self.down];
        all.into_iter().map(Packed::memory_bytes).sum()
    }
}

/// What several matrices together read of an input.
pub(super) fn want(weights: &[&Packed]) -> Want {
    weights.iter().map(|weights| weights.want()).fold(Want::default(), |all, want| Want {
        blocks: all.blocks || want.blocks,
        values: all.values || want.values,
    })
}
