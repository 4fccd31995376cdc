//! GGUF files (version 2 and 3, little endian): metadata and tensors, read in place from a memory map.
//!
//! Follows the specification in ggml's repository (docs/gguf.md). The header is checked once, here: counts against
//! the bytes that are left, offsets against the file, so that nothing is allocated on a hostile number's word and
//! no later access can fail. Strings and arrays stay in the map until they are asked for.

mod reader;
mod types;
mod value;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use lakemill_kernels::map::Map;
use lakemill_kernels::quant::Format;

use crate::error::{Error, Result};
use crate::weights::{TensorView, Weights};
use reader::{Header, TensorInfo};
use value::Value;

/// The most files that one model is split into: published ones have fewer than 200.
const PARTS_MAX: u64 = 1024;

/// A model in one GGUF file or several.
#[derive(Debug)]
pub struct Gguf {
    metadata: BTreeMap<String, Value>,
    tensors: HashMap<String, (usize, TensorInfo)>,
    files: Vec<Map>,
}

impl Gguf {
    /// Reads the file at `path`, and its siblings where it is the first of several (`-00001-of-00003.gguf`).
    pub fn open(path: &Path) -> Result<Self> {
        let mut model = Self::parse(map(path)?)?;
        let parts = model.integer("split.count")?.unwrap_or(1);
        if parts > PARTS_MAX {
            return Err(Error::data(format!("the model has {parts} parts; at most {PARTS_MAX} can be read")));
        }
        if parts > 1 && model.integer("split.no")?.unwrap_or(0) != 0 {
            return Err(Error::invalid(format!(
                "'{}' is not the first of {parts} parts; name the first",
                path.display()
            )));
        }
        for part in 2..=parts {
            model.add(map(&sibling(path, part, parts)?)?)?;
        }
        Ok(model)
    }

    /// Reads the bytes of one file.
    pub fn parse(file: Map) -> Result<Self> {
        let Header { metadata, tensors } = Header::parse(&file)?;
        let tensors = tensors.into_iter().map(|(name, info)| (name, (0, info))).collect();
        Ok(Self { metadata, tensors, files: vec![file] })
    }

    fn add(&mut self, file: Map) -> Result<()> {
        let part = self.files.len();
        for (name, info) in Header::parse(&file)?.tensors {
            let offset = info.offset;
            if self.tensors.insert(name.clone(), (part, info)).is_some() {
                return Err(Error::tensor(name, offset, "two parts of the model have this tensor"));
            }
        }
        self.files.push(file);
        Ok(())
    }

    /// The names of all tensors, in alphabetical order.
    pub fn tensor_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.tensors.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The keys of the metadata, in alphabetical order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys().map(String::as_str)
    }

    /// The text of `key`.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.get(key, |value, file| value.text(file))
    }

    /// The whole number of `key`, which must not be negative.
    pub fn integer(&self, key: &str) -> Result<Option<u64>> {
        self.get(key, |value, _| value.integer())
    }

    /// The number of `key`.
    pub fn float(&self, key: &str) -> Result<Option<f64>> {
        self.get(key, |value, _| value.float())
    }

    /// The truth of `key`.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        self.get(key, |value, _| value.boolean())
    }

    /// The list of texts of `key`.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        self.get(key, |value, file| value.texts(file))
    }

    /// The list of whole numbers of `key`.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i64>>> {
        self.get(key, |value, file| value.integers(file))
    }

    /// The list of numbers of `key`.
    pub fn floats(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.get(key, |value, file| value.floats(file))
    }

    /// The text of `key`, which the file must have.
    pub fn required_text(&self, key: &str) -> Result<&str> {
        self.text(key)?.ok_or_else(|| missing(key))
    }

    /// The whole number of `key`, which the file must have.
    pub fn required_integer(&self, key: &str) -> Result<u64> {
        self.integer(key)?.ok_or_else(|| missing(key))
    }

    fn get<'a, T>(
        &'a self,
        key: &str,
        read: impl FnOnce(&'a Value, &'a [u8]) -> Result<T, &'static str>,
    ) -> Result<Option<T>> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        let read = read(value, &self.files[0]);
        read.map(Some).map_err(|asked| Error::data(format!("the metadata '{key}' is {}, not {asked}", value.kind())))
    }
}

impl Weights for Gguf {
    fn tensor(&self, name: &str) -> Result<TensorView<'_>> {
        let Some((part, info)) = self.tensors.get(name) else {
            return Err(Error::data(format!("the file has no tensor '{name}'")));
        };
        let start = info.offset as usize;
        Ok(TensorView {
            name: name.to_owned(),
            format: info.format,
            shape: info.shape.clone(),
            bytes: &self.files[*part][start..start + info.bytes],
            offset: info.offset,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}

/// The formats of tensors that can be read, for errors.
pub(crate) fn formats() -> String {
    types::READABLE.iter().map(|(_, format)| Format::name(*format)).collect::<Vec<_>>().join(", ")
}

fn map(path: &Path) -> Result<Map> {
    Map::open(path).map_err(|error| Error::io("cannot read", path, error))
}

fn missing(key: &str) -> Error {
    Error::data(format!("the file has no metadata '{key}', so it is not a language model that can be run"))
}

/// The file of part `part` beside the first, by the names that llama.cpp's splitter gives.
fn sibling(path: &Path, part: u64, parts: u64) -> Result<PathBuf> {
    let suffix = |number: u64| format!("-{number:05}-of-{parts:05}.gguf");
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(stem) = name.strip_suffix(&suffix(1)) else {
        return Err(Error::invalid(format!(
            "the first of {parts} parts must be named '..{}', not '{name}'",
            suffix(1)
        )));
    };
    Ok(path.with_file_name(format!("{stem}{}", suffix(part))))
}
