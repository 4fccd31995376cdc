//! The open format in which models are kept.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::Result;

/// The files of a saved model by name. `manifest.json` lists the others with their checksums.
#[derive(Clone, Debug, Default)]
pub struct Artifact {
    /// Contents by file name.
    pub files: BTreeMap<String, Bytes>,
}

impl Artifact {
    /// Checks the manifest and every checksum of files that were read back.
    ///
    /// # Errors
    /// Data when a file is missing, truncated or altered, Invalid when the format is newer than this program.
    pub fn verify(_files: BTreeMap<String, Bytes>) -> Result<Self> {
        todo!()
    }

    /// Adds a file of the caller's (say the TRANSFORM clause with its statistics) and lists it in the manifest.
    ///
    /// # Errors
    /// The name is taken or the manifest is damaged.
    pub fn add_file(&mut self, _name: &str, _content: Bytes) -> Result<()> {
        todo!()
    }

    /// Sets a section of the manifest of the caller's, say `lineage`.
    ///
    /// # Errors
    /// The manifest is damaged.
    pub fn set_section(&mut self, _name: &str, _value: Value) -> Result<()> {
        todo!()
    }

    /// A section of the manifest.
    ///
    /// # Errors
    /// The manifest is damaged.
    pub fn section(&self, _name: &str) -> Result<Option<Value>> {
        todo!()
    }
}
