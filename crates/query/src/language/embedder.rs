//! An encoder that makes vectors of texts.
use super::ModelInfo;
use crate::Result;
use lakemill_model::encoder::Encoder;

/// A loaded encoder. Hold it for as long as a request of it runs.
#[derive(Debug)]
pub struct Embedder { info: ModelInfo, encoder: Encoder }

impl Embedder {
    /// What it is.
    pub fn info(&self) -> &ModelInfo { &self.info }
    /// The elements of a vector.
    pub fn width(&self) -> usize { todo!() }
    /// One vector for each text, of length 1, and how many tokens each text has. Blocks: call it on a thread that may.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> { todo!() }
}
/// The vector of a text.
#[derive(Clone, Debug)]
pub struct Embedding { pub values: Vec<f32>, pub tokens: usize, pub truncated: bool }
