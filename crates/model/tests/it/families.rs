//! Every family, as Hugging Face stores it, against transformers: tiny models with random weights.

use std::sync::Arc;

use lakemill_kernels::pool::Pool;
use lakemill_model::config::{RopeLayout, RopeScaling};
use lakemill_model::{Architecture, BLOCK_TOKENS, Chunk, KvFormat, KvStorage, LanguageModel};

use crate::models::{reference, reference_json};

/// Bytes of standard base64.
fn from_base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values: Vec<u32> = text
        .bytes()
        .filter_map(|letter| LETTERS.iter().position(|known| *known == letter))
        .map(|value| value as u32)
        .collect();
    values
        .chunks(4)
        .flat_map(|four| {
            let bits = four.iter().fold(0, |bits, value| bits << 6 | value) << (6 * (4 - four.len()));
            bits.to_be_bytes()[1..four.len()].to_vec()
        })
        .collect()
}

fn compare(family: &str) {
    let model = LanguageModel::load(&reference("families").join(family), Arc::new(Pool::new(2))).unwrap();
    let record = reference_json(&format!("families/{family}/logits.json"));
    let ids: Vec<u32> = record["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
    let bytes = from_base64(record["logits"].as_str().unwrap());
    let expected: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let blocks: Vec<u32> = (0..ids.len().div_ceil(BLOCK_TOKENS) as u32).collect();
    let mut kv = KvStorage::new(model.architecture(), KvFormat::F32, blocks.len());
    let mut logits = Vec::new();
    model
        .forward(&[Chunk { tokens: &ids, start: 0, blocks: &blocks, logits: ids.len() }], &mut kv, &mut logits)
        .unwrap();
    assert_eq!(logits.len(), expected.len());
    let scale = (expected.iter().map(|value| value * value).sum::<f32>() / expected.len() as f32).sqrt();
    let worst = logits.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale;
    println!("{family}: the largest difference is {worst:e} of the logits' root mean square");
    assert!(worst < 1e-4, "{family} is off by {worst:e} of the logits' root mean square");
}

#[test]
fn llama_2() {
    compare("llama2");
}

#[test]
fn llama_3_with_its_rope_scaling() {
    compare("llama3");
}

#[test]
fn llama_with_linear_rope_scaling() {
    compare("llama-linear");
}

#[test]
fn mistral_with_a_sliding_window() {
    compare("mistral");
}

#[test]
fn qwen_2_with_biases_and_yarn() {
    compare("qwen2");
}

#[test]
fn qwen_3_with_norms_of_queries_and_keys() {
    compare("qwen3");
}

/// The configurations that the models' publishers give, with what they say.
#[test]
fn published_configurations_are_read() {
    let llama = serde_json::json!({
        "model_type": "llama", "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
        "max_position_embeddings": 131_072, "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "vocab_size": 128_256, "tie_word_embeddings": false,
        "rope_scaling": {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"}
    });
    let read = Architecture::from_json(&llama).unwrap();
    assert_eq!((read.head_width, read.kv_width(), read.rope.layout), (128, 1024, RopeLayout::Half));
    assert!(matches!(read.rope.scaling, RopeScaling::Llama3 { factor: 8.0, original_context_tokens: 8192, .. }));
    assert_eq!(read.sliding_window, None);
    let mut other = llama.clone();
    other["model_type"] = "mamba".into();
    let error = Architecture::from_json(&other).unwrap_err().to_string();
    assert_eq!(error, "the model's architecture is 'mamba'; those that can be run are llama, mistral, qwen2, qwen3");
    other["model_type"] = "llama".into();
    other["num_key_value_heads"] = 5.into();
    assert!(
        Architecture::from_json(&other).unwrap_err().to_string().contains("32 query heads, which 5 key-value heads")
    );
    other["num_key_value_heads"] = u64::MAX.into();
    assert!(Architecture::from_json(&other).is_err());
    other["num_attention_heads"] = 0.into();
    assert!(Architecture::from_json(&other).is_err());
}
