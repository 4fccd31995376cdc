//! The registry: which models are loaded, and which of them have to go.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use lakemill_base::{Clock, ErrorKind};
use lakemill_kernels::pool::Pool;
use lakemill_llm::EngineOptions;
use parking_lot::{Mutex, RwLock};
use tokio::sync::OnceCell;

use super::generator::Machine;
use super::{Embedder, Generator, Kind, ModelInfo};
use crate::{Error, Result};

/// Models that are loaded at once, unless told otherwise; what their weights take is counted besides.
const MODELS_MAX: usize = 8;

/// The share of the session's memory that a key-value cache takes unless told otherwise, as a divisor.
const CACHE_SHARE: usize = 8;
/// A cache takes no more unless told to: at 23 KB a token, as in a model of 135 million weights, 47,000 tokens.
const CACHE_BYTES_MAX: usize = 1 << 30;
/// What a session without a limit is taken to have.
const MEMORY_BYTES_DEFAULT: usize = 4 << 30;

/// How many models are kept, and in how much memory.
#[derive(Clone, Debug, Default)]
pub struct ModelsOptions {
    /// The most models that are loaded at once; by default 8.
    pub models_max: Option<usize>,
    /// Threads of the forward pass; by default the machine's cores.
    pub threads: Option<usize>,
    /// Bytes of a language model's key-value cache; by default an eighth of the session's memory, at most 1 GiB.
    pub cache_bytes: Option<usize>,
    /// The most sequences of a language model that run together; by default the engine's.
    pub sequences_max: Option<usize>,
    /// The most requests to a language model that wait; by default the engine's.
    pub waiting_max: Option<usize>,
}

impl ModelsOptions {
    /// How engines run.
    fn engine(&self) -> EngineOptions {
        let usual = EngineOptions::default();
        EngineOptions {
            sequences_max: self.sequences_max.unwrap_or(usual.sequences_max),
            waiting_max: self.waiting_max.unwrap_or(usual.waiting_max),
            ..usual
        }
    }
}

/// Something that is loaded now.
#[derive(Clone, Debug)]
pub enum Loaded {
    /// A language model.
    Generator(Arc<Generator>),
    /// An encoder.
    Embedder(Arc<Embedder>),
}

impl Loaded {
    /// What it is.
    pub fn info(&self) -> &ModelInfo {
        match self {
            Self::Generator(generator) => generator.info(),
            Self::Embedder(embedder) => embedder.info(),
        }
    }

    /// Whether nobody but the registry holds it.
    fn is_idle(&self) -> bool {
        match self {
            Self::Generator(generator) => Arc::strong_count(generator) == 1,
            Self::Embedder(embedder) => Arc::strong_count(embedder) == 1,
        }
    }
}

/// The models of a process. Clones are the same registry. A session has one, which its clients share.
#[derive(Clone)]
pub struct Models(Arc<Inner>);

struct Inner {
    options: ModelsOptions,
    memory: Arc<dyn MemoryPool>,
    clock: Arc<dyn Clock>,
    pool: OnceLock<Arc<Pool>>,
    added: RwLock<Vec<ModelInfo>>,
    slots: Mutex<Vec<Slot>>,
    uses: AtomicU64,
}

/// A model that is loaded or being loaded.
struct Slot {
    /// Its digest and how it is loaded: two names of the same files are one model.
    key: String,
    cell: Arc<OnceCell<Loaded>>,
    used: u64,
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models").field("options", &self.0.options).field("loaded", &self.0.slots.lock().len()).finish()
    }
}

impl Models {
    /// An empty registry, which takes its memory from `memory`.
    pub(crate) fn new(options: ModelsOptions, memory: Arc<dyn MemoryPool>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            options,
            memory,
            clock,
            pool: OnceLock::new(),
            added: RwLock::default(),
            slots: Mutex::default(),
            uses: AtomicU64::new(0),
        }))
    }

    /// Makes a model known that the catalog does not have (`lakemill serve --model NAME=..`).
    ///
    /// # Errors
    /// Conflict: another was added under this name.
    pub fn add(&self, info: ModelInfo) -> Result<()> {
        let mut added = self.0.added.write();
        if added.iter().any(|known| known.name == info.name) {
            return Err(Error::new(ErrorKind::Conflict, format!("two models are named '{}'", info.name)));
        }
        added.push(info);
        Ok(())
    }

    /// The models that were added.
    pub fn added(&self) -> Vec<ModelInfo> {
        self.0.added.read().clone()
    }

    /// The language model, loaded if it is not.
    ///
    /// # Errors
    /// Invalid: it is an encoder. Exhausted: it does not fit into the session's memory beside those that are in use. What is
    /// wrong with its files.
    pub async fn generator(&self, info: &ModelInfo) -> Result<Arc<Generator>> {
        match self.loaded_one(info).await? {
            Loaded::Generator(generator) => Ok(generator),
            Loaded::Embedder(_) => Err(Error::invalid(format!(
                "model {} makes vectors, and continues no text; ask a {}",
                info.name,
                Kind::Language.as_str()
            ))),
        }
    }

    /// The encoder, loaded if it is not.
    ///
    /// # Errors
    /// Invalid: it is a language model. Exhausted, and what is wrong with its files, as [`Models::generator`].
    pub async fn embedder(&self, info: &ModelInfo) -> Result<Arc<Embedder>> {
        match self.loaded_one(info).await? {
            Loaded::Embedder(embedder) => Ok(embedder),
            Loaded::Generator(_) => Err(Error::invalid(format!(
                "model {} continues text, and makes no vectors; ask an {}",
                info.name,
                Kind::Embedding.as_str()
            ))),
        }
    }

    /// What is loaded now.
    pub fn loaded(&self) -> Vec<Loaded> {
        self.0.slots.lock().iter().filter_map(|slot| slot.cell.get().cloned()).collect()
    }

    /// Ends all engines: new requests are refused, those that run are awaited, after `limit` cancelled. Blocks.
    pub fn shutdown(&self, limit: Option<Duration>) {
        for loaded in self.loaded() {
            if let Loaded::Generator(generator) = loaded {
                generator.service().shutdown(limit);
            }
        }
    }

    async fn loaded_one(&self, info: &ModelInfo) -> Result<Loaded> {
        let (key, cell) = self.slot(info);
        let loaded = cell.get_or_try_init(|| self.load(info.clone())).await.cloned();
        match loaded {
            Ok(Loaded::Generator(generator)) if !generator.service().is_healthy() => {
                // An engine that broke or was shut down is made anew for the next caller.
                self.0.slots.lock().retain(|slot| slot.key != key);
                Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("the engine of model {} has stopped; try again", info.name),
                ))
            }
            Ok(loaded) => Ok(loaded),
            Err(error) => {
                self.0.slots.lock().retain(|slot| slot.key != key || slot.cell.initialized());
                Err(error)
            }
        }
    }

    /// The slot of a model, newly made where there is none.
    fn slot(&self, info: &ModelInfo) -> (String, Arc<OnceCell<Loaded>>) {
        let key = format!("{} {:?} {:?}", info.hash, info.kind, info.settings);
        let used = self.0.uses.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.0.slots.lock();
        if let Some(slot) = slots.iter_mut().find(|slot| slot.key == key) {
            slot.used = used;
            return (key, Arc::clone(&slot.cell));
        }
        let cell = Arc::new(OnceCell::new());
        slots.push(Slot { key: key.clone(), cell: Arc::clone(&cell), used });
        (key, cell)
    }

    async fn load(&self, info: ModelInfo) -> Result<Loaded> {
        let models = self.clone();
        let work = move || {
            let path = info.files()?;
            let memory = models.make_room(&info)?;
            let pool = models.pool();
            tracing::info!(model = %info.name, source = %info.source, "a language model is loaded");
            match info.kind {
                Kind::Language => {
                    let cache_bytes = models.cache_bytes();
                    let engine = models.0.options.engine();
                    let machine = Machine { pool, clock: Arc::clone(&models.0.clock), cache_bytes, memory, engine };
                    Generator::load(&info, &path, machine).map(|generator| Loaded::Generator(Arc::new(generator)))
                }
                Kind::Embedding => {
                    Embedder::load(&info, &path, pool, memory).map(|embedder| Loaded::Embedder(Arc::new(embedder)))
                }
            }
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Error::internal(format!("loading a model failed: {error}")))?
    }

    /// Memory for a model, idle ones unloaded where it needs that.
    fn make_room(&self, info: &ModelInfo) -> Result<MemoryReservation> {
        let most = self.0.options.models_max.unwrap_or(MODELS_MAX).max(1);
        // The one that is being loaded has its slot already.
        while self.0.slots.lock().len() > most {
            if !self.unload_idle() {
                return Err(Error::new(
                    ErrorKind::Exhausted,
                    format!("{most} language models are in use already, as many as are kept; try again later"),
                ));
            }
        }
        let cache = match info.kind {
            Kind::Language => info.settings.cache_bytes.unwrap_or_else(|| self.cache_bytes()),
            Kind::Embedding => 0,
        };
        let bytes = usize::try_from(info.bytes).unwrap_or(usize::MAX).saturating_add(cache);
        let memory = MemoryConsumer::new(format!("model {}", info.name)).register(&self.0.memory);
        loop {
            match memory.try_grow(bytes) {
                Ok(()) => return Ok(memory),
                Err(_) if self.unload_idle() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Unloads the model that was idle longest; false: all are in use.
    fn unload_idle(&self) -> bool {
        let mut slots = self.0.slots.lock();
        let idle = slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.cell.get().is_some_and(Loaded::is_idle))
            .min_by_key(|(_, slot)| slot.used)
            .map(|(index, _)| index);
        let Some(index) = idle else { return false };
        let gone = slots.remove(index);
        drop(slots);
        let name = gone.cell.get().map(|loaded| loaded.info().name.as_str()).unwrap_or_default();
        tracing::info!(model = name, "a language model is unloaded");
        true
    }

    fn pool(&self) -> Arc<Pool> {
        let threads = || {
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            Arc::new(Pool::new(self.0.options.threads.unwrap_or(cores)))
        };
        Arc::clone(self.0.pool.get_or_init(threads))
    }

    fn cache_bytes(&self) -> usize {
        let limit = match self.0.memory.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes,
            MemoryLimit::Infinite | MemoryLimit::Unknown => MEMORY_BYTES_DEFAULT,
        };
        self.0.options.cache_bytes.unwrap_or_else(|| (limit / CACHE_SHARE).min(CACHE_BYTES_MAX))
    }
}
