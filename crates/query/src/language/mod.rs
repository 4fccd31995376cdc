//! Language models and encoders: loaded once for a process, shared by SQL and the services.
//!
//! - [`ModelInfo`] says what a model is and where its files lie; those of the catalog come from
//!   [`Session::language_model`](crate::Session::language_model), others from [`ModelInfo::inspect`].
//! - [`Models`] is the registry: it loads a model on first use, counts its memory against the session's limit, and
//!   unloads the one that was idle longest where room is needed.
//! - [`Generator`] is a language model with the engine that runs it, [`Embedder`] an encoder.
//!
//! Not here: scheduling and sampling (`llm`), weights and tokenizers (`model`), the SQL that applies them (`model::language`).
//!
//! **Architecture invariant:** a model is loaded at most once in a process, whoever asks for it; while somebody holds a
//! [`Generator`] or an [`Embedder`], it is not unloaded.

mod embedder;
mod generator;
mod info;
mod registry;
mod settings;

pub use embedder::{Embedder, Embedding};
pub use generator::Generator;
pub use info::{Kind, ModelInfo};
pub use registry::{Loaded, Models, ModelsOptions};
pub use settings::{CacheFormat, LoadSettings};
