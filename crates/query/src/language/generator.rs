//! A language model with the engine that runs it.

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;
use lakemill_base::Clock;
use lakemill_kernels::pool::Pool;
use lakemill_llm::{Engine, EngineOptions, ModelRunner, Service};
use lakemill_model::chat::ChatTemplate;
use lakemill_model::language::LanguageModel;
use lakemill_model::tokenizer::Tokenizer;
use lakemill_model::{BLOCK_TOKENS, KvStorage};

use super::ModelInfo;
use crate::{Error, Result};

/// A loaded language model. Hold it for as long as a request of it runs.
#[derive(Debug)]
pub struct Generator {
    info: ModelInfo,
    model: Arc<LanguageModel>,
    service: Service,
    context_tokens: usize,
    memory: MemoryReservation,
}

/// What loading needs besides the model itself.
pub(super) struct Machine {
    pub(super) pool: Arc<Pool>,
    pub(super) clock: Arc<dyn Clock>,
    /// Bytes of the key-value cache, where the model's settings do not say.
    pub(super) cache_bytes: usize,
    /// What the weights and the cache are taken from; holds an estimate.
    pub(super) memory: MemoryReservation,
    /// How its engine runs.
    pub(super) engine: EngineOptions,
}

impl Generator {
    /// Loads the weights and starts the engine. Blocks.
    pub(super) fn load(info: &ModelInfo, path: &Path, machine: Machine) -> Result<Self> {
        let model = Arc::new(LanguageModel::load(path, Arc::clone(&machine.pool))?);
        let settings = &info.settings;
        let format = settings.cache_format.storage();
        let block_bytes = KvStorage::new(model.architecture(), format, 1).block_bytes().max(1);
        let wanted = settings.context_tokens.unwrap_or(model.architecture().context_tokens);
        let cache_bytes = settings.cache_bytes.unwrap_or(machine.cache_bytes);
        let blocks = cache_bytes / block_bytes;
        if blocks < 2 {
            return Err(Error::invalid(format!(
                "model {} needs {block_bytes} bytes of cache for {BLOCK_TOKENS} tokens, and has {cache_bytes} for all; \
                 give it more by the option kv_cache_bytes",
                info.name
            )));
        }
        let context_tokens = wanted.min(model.architecture().context_tokens).min(blocks * BLOCK_TOKENS);
        machine.memory.try_resize(model.memory_bytes() + blocks * block_bytes)?;
        let runner = ModelRunner::new(Arc::clone(&model), format, blocks)?;
        let vocabulary: Arc<Tokenizer> = Arc::clone(model.tokenizer());
        let engine = Engine::new(Box::new(runner), vocabulary, machine.engine, machine.clock)?;
        let service = Service::start(engine)?;
        Ok(Self { info: info.clone(), model, service, context_tokens, memory: machine.memory })
    }

    /// What it is.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The engine that all callers share.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Its weights and architecture.
    pub fn model(&self) -> &Arc<LanguageModel> {
        &self.model
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        self.model.tokenizer()
    }

    /// How its conversations are written, where the files say it.
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.model.chat_template()
    }

    /// The most tokens of a prompt and its answer together.
    pub fn context_tokens(&self) -> usize {
        self.context_tokens
    }

    /// Bytes of weights and of the key-value cache.
    pub fn memory_bytes(&self) -> usize {
        self.memory.size()
    }
}
