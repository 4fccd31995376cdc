//! The open format in which models are kept: a manifest in JSON and tables in Arrow IPC files.
//!
//! The manifest names the format's version, lists every other file with its length and BLAKE3 checksum, and carries a
//! checksum of itself, so that a file that was cut or altered is found before anything is read from it.

use std::collections::BTreeMap;
use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// The version of the format that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u64 = 1;

const MANIFEST: &str = "manifest.json";
/// Sections that belong to the format itself.
const RESERVED: [&str; 5] = ["format", "format_version", "written_by", "files", "checksum"];

/// The files of a saved model by name. `manifest.json` lists the others with their checksums.
#[derive(Clone, Debug, Default)]
pub struct Artifact {
    /// Contents by file name.
    pub files: BTreeMap<String, Bytes>,
}

impl Artifact {
    /// An artifact without files, of the model that `model` describes.
    pub(crate) fn new(model: Value) -> Self {
        let mut artifact = Self::default();
        let mut manifest = Map::new();
        manifest.insert("format".to_owned(), json!("lakemill model"));
        manifest.insert("format_version".to_owned(), json!(FORMAT_VERSION));
        manifest.insert("written_by".to_owned(), json!(concat!("lakemill ", env!("CARGO_PKG_VERSION"))));
        manifest.insert("model".to_owned(), model);
        manifest.insert("files".to_owned(), json!({}));
        artifact.write_manifest(manifest);
        artifact
    }

    /// Checks the manifest and every checksum of files that were read back.
    ///
    /// # Errors
    /// Data when a file is missing, truncated or altered, Invalid when the format is newer than this program.
    pub fn verify(files: BTreeMap<String, Bytes>) -> Result<Self> {
        let artifact = Self { files };
        let manifest = artifact.manifest()?;
        let listed =
            manifest.get("files").and_then(Value::as_object).ok_or_else(|| damaged(MANIFEST, "lists no files"))?;
        for (name, entry) in listed {
            let Some(content) = artifact.files.get(name) else {
                return Err(damaged(name, "is missing"));
            };
            let bytes = entry.get("bytes").and_then(Value::as_u64);
            if bytes != Some(content.len() as u64) {
                let text = format!("has {} bytes instead of {}", content.len(), bytes.unwrap_or(0));
                return Err(damaged(name, &text));
            }
            if entry.get("blake3").and_then(Value::as_str) != Some(checksum(content).as_str()) {
                return Err(damaged(name, "does not have the checksum that the manifest gives"));
            }
        }
        Ok(artifact)
    }

    /// Adds a file of the caller's (say the TRANSFORM clause with its statistics) and lists it in the manifest.
    ///
    /// # Errors
    /// The name is taken or the manifest is damaged.
    pub fn add_file(&mut self, name: &str, content: Bytes) -> Result<()> {
        if self.files.contains_key(name) {
            return Err(Error::internal(format!("the model already has a file '{name}'")));
        }
        let mut manifest = self.manifest()?;
        if let Some(files) = manifest.get_mut("files").and_then(Value::as_object_mut) {
            files.insert(name.to_owned(), json!({ "bytes": content.len(), "blake3": checksum(&content) }));
        }
        self.files.insert(name.to_owned(), content);
        self.write_manifest(manifest);
        Ok(())
    }

    /// Sets a section of the manifest of the caller's, say `lineage`.
    ///
    /// # Errors
    /// The manifest is damaged, or the section is the format's own.
    pub fn set_section(&mut self, name: &str, value: Value) -> Result<()> {
        if RESERVED.contains(&name) {
            return Err(Error::internal(format!("the section '{name}' belongs to the model format")));
        }
        let mut manifest = self.manifest()?;
        manifest.insert(name.to_owned(), value);
        self.write_manifest(manifest);
        Ok(())
    }

    /// A section of the manifest.
    ///
    /// # Errors
    /// The manifest is damaged.
    pub fn section(&self, name: &str) -> Result<Option<Value>> {
        Ok(self.manifest()?.get(name).cloned())
    }

    /// A file.
    ///
    /// # Errors
    /// Data when there is no such file.
    pub fn file(&self, name: &str) -> Result<&Bytes> {
        self.files.get(name).ok_or_else(|| damaged(name, "is missing"))
    }

    fn manifest(&self) -> Result<Map<String, Value>> {
        let content = self.file(MANIFEST)?;
        let value: Value =
            serde_json::from_slice(content).map_err(|error| damaged(MANIFEST, &format!("is no JSON: {error}")))?;
        let Value::Object(mut manifest) = value else {
            return Err(damaged(MANIFEST, "is no JSON object"));
        };
        let version = manifest.get("format_version").and_then(Value::as_u64);
        match version {
            None => return Err(damaged(MANIFEST, "names no format_version")),
            Some(version) if version > FORMAT_VERSION => {
                let text = format!(
                    "the model is of format version {version}; this program reads up to {FORMAT_VERSION}, use a newer one"
                );
                return Err(Error::invalid(text));
            }
            Some(_) => {}
        }
        let given = manifest.shift_remove("checksum");
        if given.as_ref().and_then(Value::as_str) != Some(checksum(&canonical(&manifest)).as_str()) {
            return Err(damaged(MANIFEST, "does not have the checksum that it gives"));
        }
        Ok(manifest)
    }

    fn write_manifest(&mut self, mut manifest: Map<String, Value>) {
        manifest.shift_remove("checksum");
        let own = checksum(&canonical(&manifest));
        manifest.insert("checksum".to_owned(), json!(own));
        let text = format!("{:#}\n", Value::Object(manifest));
        self.files.insert(MANIFEST.to_owned(), text.into());
    }
}

/// The manifest without its checksum, without white space.
fn canonical(manifest: &Map<String, Value>) -> Vec<u8> {
    Value::Object(manifest.clone()).to_string().into_bytes()
}

fn checksum(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

fn damaged(file: &str, what: &str) -> Error {
    Error::data(format!("the model is damaged: {file} {what}; restore its files or train it again"))
}

/// A table as an Arrow IPC file.
pub(crate) fn write_batch(batch: &RecordBatch) -> Result<Bytes> {
    let mut content = Vec::new();
    let mut writer = FileWriter::try_new(&mut content, &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(content.into())
}

/// Reads what [`write_batch`] wrote.
pub(crate) fn read_batch(name: &str, content: &Bytes) -> Result<RecordBatch> {
    let no_arrow = |error| damaged(name, &format!("is no Arrow file: {error}"));
    let reader = FileReader::try_new(Cursor::new(content), None).map_err(no_arrow)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(no_arrow)?;
    Ok(concat_batches(&schema, &batches)?)
}
