//! How a model is loaded.

use lakemill_model::KvFormat;
use serde::{Deserialize, Serialize};

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CacheFormat {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    #[default]
    F16,
    /// 8 bits with a scale.
    Q8,
}

impl CacheFormat {
    const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Q8];

    /// `F32`, `F16` or `Q8`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Q8 => "Q8",
        }
    }

    /// The format of a name in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str().eq_ignore_ascii_case(text))
    }

    pub(super) const fn storage(self) -> KvFormat {
        match self {
            Self::F32 => KvFormat::F32,
            Self::F16 => KvFormat::F16,
            Self::Q8 => KvFormat::Q8,
        }
    }
}

/// How a model is loaded; CREATE MODEL's options `context_tokens`, `kv_cache_bytes` and `kv_cache_type`.
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
