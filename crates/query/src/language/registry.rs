//! The registry.
use std::sync::Arc;
use std::time::Duration;
use super::*;
use crate::Result;

/// How many models are kept, and in how much memory.
#[derive(Clone, Debug, Default)]
pub struct ModelsOptions {
    /// The most models that are loaded at once.
    pub models_max: Option<usize>,
    /// Threads of the forward pass; by default the machine's cores.
    pub threads: Option<usize>,
    /// Bytes of a language model's key-value cache; by default a share of the session's memory.
    pub cache_bytes: Option<usize>,
}

/// Something that is loaded now.
#[derive(Clone, Debug)]
pub enum Loaded { Generator(Arc<Generator>), Embedder(Arc<Embedder>) }

/// The models of a process. Clones are the same registry. A session has one, `session.language()`, which its clients share.
#[derive(Clone, Debug)]
pub struct Models;

impl Models {
    /// Makes a model known that the catalog does not have (`lakemill serve --model NAME=..`).
    pub fn add(&self, info: ModelInfo) -> Result<()> { todo!() }
    /// The models that were added.
    pub fn added(&self) -> Vec<ModelInfo> { todo!() }
    /// The language model, loaded if it is not.
    pub async fn generator(&self, info: &ModelInfo) -> Result<Arc<Generator>> { todo!() }
    /// The encoder, loaded if it is not.
    pub async fn embedder(&self, info: &ModelInfo) -> Result<Arc<Embedder>> { todo!() }
    /// What is loaded now, for metrics.
    pub fn loaded(&self) -> Vec<Loaded> { todo!() }
    /// Ends all engines: new requests are refused, those that run are awaited, after `limit` cancelled. Blocks.
    pub fn shutdown(&self, limit: Option<Duration>) { todo!() }
}

// impl Session {
//     /// The registry, which all clients of the session share.
//     pub fn language(&self) -> &language::Models;
//     /// Language models and encoders that the session's user may apply: of the catalog, and added ones.
//     pub async fn language_models(&self) -> Result<Vec<language::ModelInfo>>;
//     /// One of them by name (`model` or `namespace.model`); Denied without PREDICT, NotFound with a suggestion,
//     /// Invalid when it is a predictive model.
//     pub async fn language_model(&self, name: &str) -> Result<language::ModelInfo>;
// }
// SessionOptions gets `pub language: language::ModelsOptions`.
