//! An encoder that makes vectors of texts.

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;
use lakemill_kernels::pool::Pool;
use lakemill_model::encoder::Encoder;

use super::ModelInfo;
use crate::Result;

/// A loaded encoder. Hold it for as long as a request of it runs.
#[derive(Debug)]
pub struct Embedder {
    info: ModelInfo,
    encoder: Encoder,
    memory: MemoryReservation,
}

/// The vector of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// `[width]`, of length 1.
    pub values: Vec<f32>,
    /// Tokens of the text as the encoder saw it.
    pub tokens: usize,
    /// Whether the text was longer than the encoder can see, so that its end was left out.
    pub truncated: bool,
}

impl Embedder {
    pub(super) fn load(info: &ModelInfo, path: &Path, pool: Arc<Pool>, memory: MemoryReservation) -> Result<Self> {
        let encoder = Encoder::load(path, pool)?;
        memory.try_resize(encoder.memory_bytes())?;
        Ok(Self { info: info.clone(), encoder, memory })
    }

    /// What it is.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Elements of a vector.
    pub fn width(&self) -> usize {
        self.encoder.width()
    }

    /// Bytes of weights.
    pub fn memory_bytes(&self) -> usize {
        self.memory.size()
    }

    /// One vector for each text. Blocks: call it on a thread that may.
    ///
    /// # Errors
    /// Internal: the encoder failed.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let embedded = self.encoder.embed_counted(texts)?;
        let described = embedded.into_iter().zip(texts).map(|(one, text)| {
            let truncated = self.is_truncated(text, one.tokens)?;
            Ok(Embedding { values: one.vector, tokens: one.tokens, truncated })
        });
        described.collect()
    }

    /// Whether a text has more tokens than the encoder has seen of it.
    fn is_truncated(&self, text: &str, seen: usize) -> Result<bool> {
        if seen < self.encoder.config().tokens_max {
            return Ok(false);
        }
        Ok(self.encoder.tokenizer().encode(text, true)?.len() > seen)
    }
}
