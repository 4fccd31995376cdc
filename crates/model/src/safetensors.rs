//! Safetensors files, alone or sharded, read in place from a memory map under GGUF's names of tensors.
//!
//! The format: eight bytes of the header's length, a header in JSON, then the tensors without gaps. The header is
//! checked once, here, as strictly as the format's own library does; an error names the tensor and its place.
//! Tensors of types that are not weights (position numbers) may stand in a file and cannot be read.

mod names;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use lakemill_kernels::map::Map;
use lakemill_kernels::quant::Format;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::weights::{TensorView, Weights};

/// The most bytes of a header, as in the format's own library.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// The most files that one model is split into: published ones have fewer than 200.
const SHARDS_MAX: usize = 1024;
/// Where the list of the files is, for a model in several.
const INDEX: &str = "model.safetensors.index.json";
/// The types of elements and their bits, by the format's names.
const TYPES: [(&str, usize, Option<Format>); 19] = [
    ("F32", 32, Some(Format::F32)),
    ("F16", 16, Some(Format::F16)),
    ("BF16", 16, Some(Format::Bf16)),
    ("BOOL", 8, None),
    ("U8", 8, None),
    ("I8", 8, None),
    ("F8_E5M2", 8, None),
    ("F8_E4M3", 8, None),
    ("F8_E8M0", 8, None),
    ("F4", 4, None),
    ("F6_E2M3", 6, None),
    ("F6_E3M2", 6, None),
    ("I16", 16, None),
    ("U16", 16, None),
    ("I32", 32, None),
    ("U32", 32, None),
    ("F64", 64, None),
    ("I64", 64, None),
    ("U64", 64, None),
];

/// The tensors of a model in one safetensors file or several.
#[derive(Debug)]
pub struct Safetensors {
    tensors: HashMap<String, (usize, Entry)>,
    files: Vec<Map>,
}

/// A tensor whose bytes are within its file.
#[derive(Debug)]
struct Entry {
    kind: usize,
    shape: Vec<usize>,
    start: usize,
    end: usize,
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl Safetensors {
    /// Reads every safetensors file of the model in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut model = Self { tensors: HashMap::new(), files: Vec::new() };
        for path in files(folder)? {
            model.add(Map::open(&path).map_err(|error| Error::io("cannot read", &path, error))?)?;
        }
        Ok(model)
    }

    /// Reads the bytes of one file.
    pub fn parse(file: Map) -> Result<Self> {
        let mut model = Self { tensors: HashMap::new(), files: Vec::new() };
        model.add(file)?;
        Ok(model)
    }

    /// The names of all tensors, in alphabetical order.
    pub fn tensor_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.tensors.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    fn add(&mut self, file: Map) -> Result<()> {
        let shard = self.files.len();
        for (name, entry) in header(&file)? {
            let name = names::canonical(&name);
            let start = entry.start as u64;
            if self.tensors.insert(name.clone(), (shard, entry)).is_some() {
                return Err(Error::tensor(name, start, "the model has this tensor twice"));
            }
        }
        self.files.push(file);
        Ok(())
    }
}

impl Weights for Safetensors {
    fn tensor(&self, name: &str) -> Result<TensorView<'_>> {
        let Some((shard, entry)) = self.tensors.get(name) else {
            return Err(Error::data(format!("the model has no tensor '{name}'")));
        };
        let (kind, _, format) = TYPES[entry.kind];
        let Some(format) = format else {
            return Err(Error::tensor(
                name,
                entry.start as u64,
                format!("type {kind} cannot be read; convert the model to F32, F16 or BF16"),
            ));
        };
        Ok(TensorView {
            name: name.to_owned(),
            format,
            shape: entry.shape.clone(),
            bytes: &self.files[*shard][entry.start..entry.end],
            offset: entry.start as u64,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}

fn header(file: &[u8]) -> Result<Vec<(String, Entry)>> {
    let Some((length, rest)) = file.split_first_chunk::<8>() else {
        return Err(Error::data(format!("the file has {} bytes, so it is no safetensors file", file.len())));
    };
    let length = u64::from_le_bytes(*length);
    if length > HEADER_BYTES_MAX {
        return Err(Error::data(format!(
            "the header has {length} bytes, and at most {HEADER_BYTES_MAX} can be read; is it a safetensors file?"
        )));
    }
    let Some((text, data)) = rest.split_at_checked(length as usize) else {
        return Err(Error::data(format!(
            "the header has {length} bytes, but only {} are left; the file is cut short, so fetch it again",
            rest.len()
        )));
    };
    let fields: serde_json::Map<String, Value> = serde_json::from_slice(text)
        .map_err(|error| Error::data(format!("the safetensors header is not an object in JSON: {error}")))?;
    let mut entries = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        if name == "__metadata__" {
            check_metadata(&value)?;
            continue;
        }
        let raw: RawEntry = serde_json::from_value(value)
            .map_err(|error| Error::data(format!("tensor '{name}' of the safetensors header is malformed: {error}")))?;
        entries.push((name, raw));
    }
    place(entries, file.len() - data.len(), data.len())
}

fn check_metadata(value: &Value) -> Result<()> {
    let texts = value.as_object().is_some_and(|object| object.values().all(Value::is_string));
    if texts { Ok(()) } else { Err(Error::data("'__metadata__' of the safetensors header must hold texts")) }
}

/// Checks that the tensors follow one another without gaps through the `length` bytes from `data` on.
fn place(mut raw: Vec<(String, RawEntry)>, data: usize, length: usize) -> Result<Vec<(String, Entry)>> {
    raw.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut next = 0;
    let mut entries = Vec::with_capacity(raw.len());
    for (name, entry) in raw {
        let (start, end) = entry.data_offsets;
        let place = data.saturating_add(start) as u64;
        let wrong = |message: String| Error::tensor(&name, place, message);
        if start != next || end < start {
            return Err(wrong(format!("it stands at {start}..{end} of the data, but must begin at {next}")));
        }
        if end > length {
            return Err(wrong(format!(
                "it ends at byte {end} of the data, but the file has {length}; the file is cut short, so fetch it again"
            )));
        }
        let Some(kind) = TYPES.iter().position(|(name, ..)| *name == entry.dtype) else {
            return Err(wrong(format!("type '{}' is unknown; F32, F16 and BF16 can be read", entry.dtype)));
        };
        let bits = entry.shape.iter().try_fold(TYPES[kind].1, |bits, length| bits.checked_mul(*length));
        if bits != (end - start).checked_mul(8) {
            return Err(wrong(format!("{} bytes do not hold {} elements {:?}", end - start, entry.dtype, entry.shape)));
        }
        next = end;
        entries.push((name, Entry { kind, shape: entry.shape, start: data + start, end: data + end }));
    }
    if next != length {
        return Err(Error::data(format!("the file has {} bytes that belong to no tensor", length - next)));
    }
    Ok(entries)
}

/// The files of the model in `folder`: those that the index names, or the only one.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let index = folder.join(INDEX);
    if index.is_file() {
        return indexed(folder, &index);
    }
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io("cannot read", folder, error))?;
    let found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    match found.len() {
        0 => Err(Error::not_found(format!("the folder '{}' has no safetensors file", folder.display()))),
        1 => Ok(found),
        count => Err(Error::invalid(format!(
            "the folder '{}' has {count} safetensors files and no {INDEX}",
            folder.display()
        ))),
    }
}

fn indexed(folder: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |message: String| Error::data(format!("'{}' {message}", index.display()));
    let text = std::fs::read(index).map_err(|error| Error::io("cannot read", index, error))?;
    let index: Value = serde_json::from_slice(&text).map_err(|error| wrong(format!("is not JSON: {error}")))?;
    let map = index.get("weight_map").and_then(Value::as_object).ok_or_else(|| wrong("has no 'weight_map'".into()))?;
    let mut names = BTreeSet::new();
    for name in map.values() {
        let name = name.as_str().ok_or_else(|| wrong("names a file that is no text".into()))?;
        // A name never leads out of the folder.
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(wrong(format!("names the file '{name}', which is outside the folder")));
        }
        names.insert(name);
    }
    if names.len() > SHARDS_MAX {
        return Err(wrong(format!("names {} files; at most {SHARDS_MAX} can be read", names.len())));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
