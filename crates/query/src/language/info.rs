//! What a language model is: its name, its kind, where its files lie and what they hold.

use lakemill_lake::ModelName;
use serde::{Deserialize, Serialize};

use super::LoadSettings;
use crate::Result;

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Continues text.
    #[serde(rename = "LANGUAGE_MODEL")]
    Language,
    /// Makes vectors of text.
    #[serde(rename = "EMBEDDING_MODEL")]
    Embedding,
}

/// A model that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The name that clients use: `model` or `namespace.model`.
    pub name: String,
    /// Its name and version in the catalog; `None` for one that was given to the server.
    pub catalog: Option<(ModelName, u64)>,
    /// What it does.
    pub kind: Kind,
    /// Where its files lie: a path, `hf://..` or `pypi://..`.
    pub source: String,
    /// The BLAKE3 digest of its files, in hexadecimal.
    pub hash: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// How it is loaded.
    pub settings: LoadSettings,
    /// When the entry was made, in milliseconds since 1970.
    pub created_ms: i64,
}

impl ModelInfo {
    /// Fetches the files of `source` where they are not there yet, and finds out what they are. `progress` is told the
    /// bytes fetched and how many there are. Blocks: call it on a thread that may.
    ///
    /// # Errors
    /// Not found, Unavailable: the files cannot be had. Data: they are no model that can be run. Invalid: they are not
    /// of the `kind` that was asked for.
    pub fn inspect(
        name: &str,
        kind: Option<Kind>,
        source: &str,
        settings: LoadSettings,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Self> {
        todo!()
    }
}
