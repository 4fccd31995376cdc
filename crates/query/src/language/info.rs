//! What a language model is: its name, its kind, where its files lie and what they hold.

use std::fs::File;
use std::path::{Path, PathBuf};

use lakemill_lake::ModelName;
use lakemill_model::files::{ModelFiles, Purpose};
use lakemill_model::source::{Cache, Source};
use serde::{Deserialize, Serialize};

use super::LoadSettings;
use crate::{Error, Result};

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

impl Kind {
    /// The `model_type` of SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Language => "LANGUAGE_MODEL",
            Self::Embedding => "EMBEDDING_MODEL",
        }
    }

    /// The kind of a `model_type` in any case; `None` for models that are trained.
    pub fn of(model_type: &str) -> Option<Self> {
        [Self::Language, Self::Embedding].into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(model_type))
    }
}

impl From<Purpose> for Kind {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Language => Self::Language,
            Purpose::Embedding => Self::Embedding,
        }
    }
}

/// A model that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The name that clients use: `namespace.model`, or as it was given to the server.
    #[serde(default)]
    pub name: String,
    /// Its name and version in the catalog; `None` for one that was given to the server.
    #[serde(with = "catalog_name")]
    pub catalog: Option<(ModelName, u64)>,
    /// What it does.
    pub kind: Kind,
    /// Where its files lie: a path, `hf://..` or `pypi://..`.
    pub source: String,
    /// The BLAKE3 digest of its files, in hexadecimal.
    pub hash: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// What its files say of it, for people: `layers`, `width` ..
    #[serde(default)]
    pub details: Vec<(String, String)>,
    /// How it is loaded.
    #[serde(default)]
    pub settings: LoadSettings,
    /// When the entry was made, in milliseconds since 1970.
    #[serde(default)]
    pub created_ms: i64,
}

impl ModelInfo {
    /// Whether a source is a path of this machine.
    pub fn is_local(source: &str) -> bool {
        !source.contains("://") || source.starts_with("file://")
    }

    /// Fetches the files of `source` where they are not there yet, and finds out what they are. `progress` is told the
    /// bytes fetched and how many there are. Blocks: call it on a thread that may.
    ///
    /// # Errors
    /// NotFound, Unavailable: the files cannot be had. Data: they are no model that can be run. Invalid: they are not of the
    /// `kind` that was asked for.
    pub fn inspect(
        name: &str,
        kind: Option<Kind>,
        source: &str,
        settings: LoadSettings,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Self> {
        let source = parsed(source)?;
        let path = fetch(&source, progress)?;
        let files = ModelFiles::open(&path)?;
        let found = Kind::from(files.purpose()?);
        if let Some(kind) = kind.filter(|kind| *kind != found) {
            return Err(Error::invalid(format!(
                "'{source}' is of type {}, not {}; write model_type = '{}'",
                found.as_str(),
                kind.as_str(),
                found.as_str()
            )));
        }
        let details = match found {
            Kind::Language => details(&files)?,
            Kind::Embedding => Vec::new(),
        };
        let (hash, bytes) = digest(&path)?;
        Ok(Self {
            name: name.to_owned(),
            catalog: None,
            kind: found,
            source: source.to_string(),
            hash,
            bytes,
            details,
            settings,
            created_ms: 0,
        })
    }

    /// The files, fetched where they are not there, and checked to be those that the entry was made with.
    ///
    /// # Errors
    /// NotFound, Unavailable: they cannot be had. Data: they are others.
    pub(super) fn files(&self) -> Result<PathBuf> {
        let path = fetch(&parsed(&self.source)?, &mut |_, _| {})?;
        let (hash, _) = digest(&path)?;
        if hash == self.hash {
            return Ok(path);
        }
        Err(Error::new(
            lakemill_base::ErrorKind::Data,
            format!(
                "the files of model {} at '{}' are not those that it was made with; \
                 CREATE OR REPLACE MODEL takes the new ones",
                self.name, self.source
            ),
        ))
    }
}

/// Name and version as a list of three.
mod catalog_name {
    use lakemill_lake::ModelName;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Parts = Option<(String, String, u64)>;

    pub(super) fn serialize<S: Serializer>(name: &Option<(ModelName, u64)>, to: S) -> Result<S::Ok, S::Error> {
        let parts: Parts = name.as_ref().map(|(name, at)| (name.namespace.clone(), name.model.clone(), *at));
        parts.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<(ModelName, u64)>, D::Error> {
        let parts = Parts::deserialize(from)?;
        Ok(parts.map(|(namespace, model, at)| (ModelName::new(namespace, model), at)))
    }
}

fn fetch(source: &Source, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<PathBuf> {
    let mut told = |fetched: lakemill_model::source::Progress<'_>| progress(fetched.bytes_done, fetched.bytes_total);
    Ok(Cache::from_env()?.pull(source, &mut told)?)
}

/// The source with a path that means the same in every folder.
fn parsed(source: &str) -> Result<Source> {
    match Source::parse(source)? {
        Source::Path(path) => {
            let absolute = std::path::absolute(&path).map_err(|error| {
                Error::invalid(format!("'{}' is no path: {error}", path.display())).with_source(error)
            })?;
            Ok(Source::Path(absolute))
        }
        other => Ok(other),
    }
}

fn details(files: &ModelFiles) -> Result<Vec<(String, String)>> {
    let architecture = files.architecture()?;
    let named = [
        ("family", architecture.family.clone()),
        ("layers", architecture.layers.to_string()),
        ("width", architecture.width.to_string()),
        ("vocabulary", architecture.vocabulary.to_string()),
        ("context_tokens", architecture.context_tokens.to_string()),
    ];
    Ok(named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The digest of a model's files and how many bytes they are. Of a folder: of its files in order of their names, each with
/// name and length before it; what begins with a dot, and folders below, do not count.
fn digest(path: &Path) -> Result<(String, u64)> {
    let failed = |path: &Path, error: std::io::Error| {
        let message = format!("'{}' cannot be read: {error}", path.display());
        Error::new(lakemill_base::ErrorKind::Unavailable, message).with_source(error)
    };
    let mut hasher = blake3::Hasher::new();
    if path.is_file() {
        let bytes = add(&mut hasher, path).map_err(|error| failed(path, error))?;
        return Ok((hasher.finalize().to_hex().to_string(), bytes));
    }
    let entries = std::fs::read_dir(path).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let mut files: Vec<PathBuf> =
        entries.map_err(|error| failed(path, error))?.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.is_file() && !name_of(file).starts_with('.'));
    files.sort();
    let mut bytes = 0;
    for file in files {
        let mut one = blake3::Hasher::new();
        bytes += add(&mut one, &file).map_err(|error| failed(&file, error))?;
        let name = name_of(&file);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(one.finalize().as_bytes());
    }
    Ok((hasher.finalize().to_hex().to_string(), bytes))
}

fn name_of(file: &Path) -> &str {
    file.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn add(hasher: &mut blake3::Hasher, path: &Path) -> std::io::Result<u64> {
    std::io::copy(&mut File::open(path)?, hasher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_by_the_names_and_contents_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("a", "x");
        write("b", "yz");
        let first = digest(folder.path()).unwrap();
        assert_eq!(first.1, 3);
        write(".lock", "");
        assert_eq!(digest(folder.path()).unwrap(), first);
        write("a", "xy");
        write("b", "z");
        assert_ne!(digest(folder.path()).unwrap().0, first.0);
    }

    #[test]
    fn kinds_are_known_in_any_case() {
        assert_eq!(Kind::of("language_model"), Some(Kind::Language));
        assert_eq!(Kind::of("EMBEDDING_MODEL"), Some(Kind::Embedding));
        assert_eq!(Kind::of("LOGISTIC_REG"), None);
    }
}
