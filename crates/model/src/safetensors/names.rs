//! Hugging Face's names of tensors in GGUF's manner.

/// What stands before and after the layer's number, and the layer's tensors.
struct Layers {
    prefix: &'static str,
    tensors: &'static [(&'static str, &'static str)],
}

const WHOLE: [(&str, &str); 7] = [
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
    ("embeddings.word_embeddings", "token_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("embeddings.position_embeddings", "position_embd"),
    ("embeddings.LayerNorm", "token_embd_norm"),
];

const LAYERS: [Layers; 2] = [
    Layers {
        prefix: "model.layers.",
        tensors: &[
            ("input_layernorm", "attn_norm"),
            ("self_attn.q_proj", "attn_q"),
            ("self_attn.k_proj", "attn_k"),
            ("self_attn.v_proj", "attn_v"),
            ("self_attn.q_norm", "attn_q_norm"),
            ("self_attn.k_norm", "attn_k_norm"),
            ("self_attn.o_proj", "attn_output"),
            ("post_attention_layernorm", "ffn_norm"),
            ("mlp.gate_proj", "ffn_gate"),
            ("mlp.up_proj", "ffn_up"),
            ("mlp.down_proj", "ffn_down"),
        ],
    },
    Layers {
        prefix: "encoder.layer.",
        tensors: &[
            ("attention.self.query", "attn_q"),
            ("attention.self.key", "attn_k"),
            ("attention.self.value", "attn_v"),
            ("attention.output.dense", "attn_output"),
            ("attention.output.LayerNorm", "attn_output_norm"),
            ("intermediate.dense", "ffn_up"),
            ("output.dense", "ffn_down"),
            ("output.LayerNorm", "layer_output_norm"),
        ],
    },
];

/// `name` as GGUF calls it; a name that means nothing here stays as it is.
pub(super) fn canonical(name: &str) -> String {
    let bare = name.strip_prefix("bert.").unwrap_or(name);
    rename(bare).unwrap_or_else(|| name.to_owned())
}

fn rename(name: &str) -> Option<String> {
    let (stem, end) = name.rsplit_once('.')?;
    // Early BERT checkpoints name the weight and bias of norms otherwise.
    let end = match end {
        "gamma" => "weight",
        "beta" => "bias",
        end => end,
    };
    if let Some((_, renamed)) = WHOLE.iter().find(|(known, _)| *known == stem) {
        return Some(format!("{renamed}.{end}"));
    }
    LAYERS.iter().find_map(|layers| {
        let (number, tensor) = stem.strip_prefix(layers.prefix)?.split_once('.')?;
        let number: usize = number.parse().ok()?;
        let (_, renamed) = layers.tensors.iter().find(|(known, _)| *known == tensor)?;
        Some(format!("blk.{number}.{renamed}.{end}"))
    })
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn names_follow_gguf() {
        for (name, renamed) in [
            ("model.embed_tokens.weight", "token_embd.weight"),
            ("model.layers.12.self_attn.q_proj.bias", "blk.12.attn_q.bias"),
            ("model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight"),
            ("bert.encoder.layer.3.output.LayerNorm.gamma", "blk.3.layer_output_norm.weight"),
            ("encoder.layer.3.attention.output.dense.weight", "blk.3.attn_output.weight"),
            ("lm_head.weight", "output.weight"),
            ("pooler.dense.weight", "pooler.dense.weight"),
            ("model.layers.x.mlp.up_proj.weight", "model.layers.x.mlp.up_proj.weight"),
        ] {
            assert_eq!(canonical(name), renamed);
        }
    }
}
