//! How a model is loaded.
use serde::{Deserialize, Serialize};

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheFormat {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    #[default]
    F16,
    /// 8 bits with a scale.
    Q8,
}

/// How a model is loaded; CREATE MODEL's options of the same names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadSettings {
    /// The most tokens of a prompt and its answer together; by default what the model was made for.
    pub context_tokens: Option<usize>,
    /// Bytes of the key-value cache; by default the registry's.
    pub cache_bytes: Option<usize>,
    /// How keys and values are stored.
    pub cache_format: CacheFormat,
}
