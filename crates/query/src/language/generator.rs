//! A language model with the engine that runs it.
use std::sync::Arc;
use lakemill_llm::Service;
use lakemill_model::chat::ChatTemplate;
use lakemill_model::language::LanguageModel;
use lakemill_model::tokenizer::Tokenizer;
use super::ModelInfo;

/// A loaded language model. Hold it for as long as a request of it runs.
#[derive(Debug)]
pub struct Generator {
    info: ModelInfo,
    model: Arc<LanguageModel>,
    service: Service,
}

impl Generator {
    /// What it is.
    pub fn info(&self) -> &ModelInfo { &self.info }
    /// The engine that all callers share.
    pub fn service(&self) -> &Service { &self.service }
    /// Its weights and architecture.
    pub fn model(&self) -> &Arc<LanguageModel> { &self.model }
    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> { todo!() }
    /// How its conversations are written, where the files say it.
    pub fn chat_template(&self) -> Option<&ChatTemplate> { self.model.chat_template() }
    /// The most tokens of a prompt and its answer together.
    pub fn context_tokens(&self) -> usize { todo!() }
    /// Bytes of weights and of the key-value cache.
    pub fn memory_bytes(&self) -> usize { todo!() }
}
