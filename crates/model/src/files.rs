//! The files of a model as one: a GGUF file, or a folder as Hugging Face publishes it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::chat::ChatTemplate;
use crate::config::Architecture;
use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::safetensors::Safetensors;
use crate::tokenizer::Tokenizer;
use crate::tokenizer::special::read_json;
use crate::weights::Weights;

/// What a model is for, as its files say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It continues text.
    Language,
    /// It turns text into vectors.
    Embedding,
}

/// The files of a model, mapped and with their headers checked.
#[derive(Debug)]
pub struct ModelFiles(Kind);

#[derive(Debug)]
enum Kind {
    Gguf(Gguf),
    Folder { folder: PathBuf, config: Value, weights: Safetensors },
}

impl ModelFiles {
    /// The model at `path`: a `.gguf` file, a folder with config.json and safetensors, or a folder with a GGUF file.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|error| Error::io("cannot read the model", path, error))?;
        if metadata.is_file() {
            return Gguf::open(path).map(|file| Self(Kind::Gguf(file)));
        }
        if let Some(config) = read_json(&path.join("config.json"))? {
            let has_weights = has_extension(path, "safetensors")?;
            if has_weights {
                let weights = Safetensors::open(path)?;
                return Ok(Self(Kind::Folder { folder: path.to_owned(), config, weights }));
            }
        }
        match gguf_files(path)?.as_slice() {
            [] => Err(Error::not_found(format!(
                "the folder '{}' has no model: neither a GGUF file nor config.json with safetensors",
                path.display()
            ))),
            [file] => Gguf::open(file).map(|file| Self(Kind::Gguf(file))),
            several => Err(Error::invalid(format!(
                "the folder '{}' has {} models; name one of them, such as '{}'",
                path.display(),
                several.len(),
                several[0].display()
            ))),
        }
    }

    /// What the model is for.
    pub fn purpose(&self) -> Result<Purpose> {
        let family = match &self.0 {
            Kind::Gguf(file) => file.required_text("general.architecture")?,
            Kind::Folder { config, .. } => config.get("model_type").and_then(Value::as_str).unwrap_or_default(),
        };
        Ok(if family == "bert" { Purpose::Embedding } else { Purpose::Language })
    }

    /// The architecture of a language model.
    pub fn architecture(&self) -> Result<Architecture> {
        match &self.0 {
            Kind::Gguf(file) => Architecture::from_gguf(file),
            Kind::Folder { config, .. } => Architecture::from_json(config),
        }
    }

    /// The weights, under GGUF's names.
    pub fn weights(&self) -> &dyn Weights {
        match &self.0 {
            Kind::Gguf(file) => file,
            Kind::Folder { weights, .. } => weights,
        }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        match &self.0 {
            Kind::Gguf(file) => Tokenizer::from_gguf(file),
            Kind::Folder { folder, .. } => Tokenizer::from_folder(folder),
        }
    }

    /// The chat template, where the model has one.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        match &self.0 {
            Kind::Gguf(file) => ChatTemplate::from_gguf(file),
            Kind::Folder { folder, .. } => ChatTemplate::from_folder(folder),
        }
    }

    /// The GGUF file, where the model is one.
    pub fn gguf(&self) -> Option<&Gguf> {
        match &self.0 {
            Kind::Gguf(file) => Some(file),
            Kind::Folder { .. } => None,
        }
    }

    /// The folder and its config.json, where the model is one.
    pub(crate) fn folder(&self) -> Option<(&Path, &Value)> {
        match &self.0 {
            Kind::Gguf(_) => None,
            Kind::Folder { folder, config, .. } => Some((folder, config)),
        }
    }
}

/// The GGUF files of `folder`, of models in several parts the first.
fn gguf_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = with_extension(folder, "gguf")?;
    files.retain(|path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match stem.rsplit_once("-of-").and_then(|(before, _)| before.rsplit_once('-')) {
            Some((_, part)) => !part.bytes().all(|byte| byte.is_ascii_digit()) || part.trim_start_matches('0') == "1",
            None => true,
        }
    });
    files.sort();
    Ok(files)
}

fn has_extension(folder: &Path, extension: &str) -> Result<bool> {
    Ok(!with_extension(folder, extension)?.is_empty())
}

fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io("cannot read", folder, error))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect())
}
