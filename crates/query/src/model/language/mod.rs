//! Language models and encoders in SQL: `ML.GENERATE_TEXT`, `ML.GENERATE_EMBEDDING`, `AI.IF`, `AI.CLASSIFY`, `AI.SCORE`.
//!
//! - [`handle`]: a version of a model, as plans name it. [`create`]: CREATE MODEL for those that are imported.
//! - [`task`]: what is asked of a model for each row, and the columns that come of it. [`prompt`]: a batch's prompts as texts;
//!   a STRUCT is the lines of one. [`generate`]: a batch of prompts
//!   through the engine, [`embed`]: of texts through an encoder; [`distinct`]: equal ones. [`resume`]: finished answers and
//!   vectors, kept until their statement commits; [`kept`]: as columns.
//! - [`node`] and [`exec`]: the operator in logical and physical plans. [`codec`]: the operator as bytes.
//! - [`functions`]: the `AI.*` functions, which become the same operator.
//!
//! Not here: loading models and sharing their engines (`crate::language`), scheduling (`llm`).
//!
//! **Architecture invariant:** an answer depends on the model's files, the settings and the row's prompt alone; where it may
//! be sampled freely (a temperature and no seed), nothing is folded or resumed.

mod codec;
mod create;
mod describe;
mod distinct;
mod embed;
mod exec;
mod functions;
mod generate;
mod handle;
mod kept;
mod node;
mod progress;
mod prompt;
mod resume;
mod settings;
mod task;

pub(crate) use codec::LanguageMessage;
pub(crate) use create::{create, imports};
pub(crate) use describe::describe;
pub(crate) use exec::LanguageExec;
pub(crate) use functions::{AiRule, rewrite_calls};
pub(crate) use handle::{LanguageHandle, info_of_entry};
pub(crate) use node::LanguageNode;
pub(crate) use progress::tokens_of;
pub(crate) use resume::Resume;
pub(crate) use settings::{EMBEDDING_SETTINGS, GENERATION_SETTINGS, Setting, embedding, generation};
pub(crate) use task::Task;
