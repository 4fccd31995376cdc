//! The header: counts, metadata and the places of tensors, each checked against the bytes that are there.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use lakemill_kernels::quant::Format;

use super::types;
use super::value::{Kind, Value};
use crate::error::{Error, Result};

const MAGIC: u32 = u32::from_le_bytes(*b"GGUF");
const VERSIONS: Range<u32> = 2..4;
/// The most entries of metadata: files have fewer than 100.
const ENTRIES_MAX: u64 = 1 << 16;
/// The most tensors: the largest models have some thousands.
const TENSORS_MAX: u64 = 1 << 18;
/// The most bytes of a name of a tensor or of a key: ggml allows 64 and 65,535.
const NAME_BYTES_MAX: usize = 65_535;
/// The most dimensions of a tensor, as in ggml.
const DIMENSIONS_MAX: u32 = 4;
/// The least bytes of an entry: an empty key, its type and a byte.
const ENTRY_BYTES_MIN: u64 = 13;
/// The least bytes of a tensor's entry: an empty name, one dimension, its type and offset.
const TENSOR_BYTES_MIN: u64 = 32;
const ALIGNMENT_DEFAULT: u64 = 32;
/// The largest alignment: more would only make files larger.
const ALIGNMENT_MAX: u64 = 1 << 20;
/// How deep arrays may stand in arrays; none do in practice.
const ARRAY_DEPTH_MAX: usize = 4;

/// What a file says before its data.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) tensors: HashMap<String, TensorInfo>,
}

/// Where a tensor stands in its file. `offset + bytes` is within the file.
#[derive(Clone, Debug)]
pub(super) struct TensorInfo {
    pub(super) format: Format,
    pub(super) shape: Vec<usize>,
    pub(super) offset: u64,
    pub(super) bytes: usize,
}

impl Header {
    pub(super) fn parse(file: &[u8]) -> Result<Self> {
        let mut cursor = Cursor { bytes: file, position: 0 };
        check_version(&mut cursor)?;
        let tensor_count = cursor.count("tensors", TENSORS_MAX, TENSOR_BYTES_MIN)?;
        let entry_count = cursor.count("metadata entries", ENTRIES_MAX, ENTRY_BYTES_MIN)?;
        let mut metadata = BTreeMap::new();
        for _ in 0..entry_count {
            let key = cursor.name("a metadata key")?;
            let value = cursor.value(&key)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(Error::data(format!("the metadata has the key '{key}' twice")));
            }
        }
        let alignment = alignment(&metadata)?;
        let mut entries = Vec::new();
        for _ in 0..tensor_count {
            entries.push(TensorEntry::parse(&mut cursor)?);
        }
        let data = (cursor.position as u64).next_multiple_of(alignment);
        let mut tensors = HashMap::with_capacity(entries.len());
        for entry in entries {
            let info = entry.place(data, alignment, file.len() as u64)?;
            let offset = info.offset;
            if tensors.insert(entry.name.clone(), info).is_some() {
                return Err(Error::tensor(entry.name, offset, "the file has this tensor twice"));
            }
        }
        Ok(Self { metadata, tensors })
    }
}

fn check_version(cursor: &mut Cursor<'_>) -> Result<()> {
    if cursor.u32("the magic number")? != MAGIC {
        return Err(Error::data("the file does not begin with 'GGUF', so it is no GGUF file"));
    }
    let version = cursor.u32("the version")?;
    if VERSIONS.contains(&version) {
        return Ok(());
    }
    if VERSIONS.contains(&version.swap_bytes()) {
        return Err(Error::data("the GGUF file is for big-endian machines; convert it to little endian"));
    }
    Err(Error::data(format!("the GGUF file has version {version}; versions 2 and 3 can be read, so convert it anew")))
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64> {
    let Some(value) = metadata.get("general.alignment") else { return Ok(ALIGNMENT_DEFAULT) };
    match value.integer() {
        Ok(alignment) if alignment.is_power_of_two() && alignment <= ALIGNMENT_MAX => Ok(alignment),
        _ => Err(Error::data(format!("the metadata 'general.alignment' must be a power of two up to {ALIGNMENT_MAX}"))),
    }
}

struct TensorEntry {
    name: String,
    /// Innermost first, as in the file.
    dimensions: Vec<u64>,
    format: u32,
    offset: u64,
    /// Where the entry itself stands, for errors before the data's place is known.
    position: u64,
}

impl TensorEntry {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        let position = cursor.position as u64;
        let name = cursor.name("a tensor's name")?;
        let in_tensor = |error: Error| Error::tensor(&name, position, error.to_string());
        let count = cursor.u32("the number of dimensions").map_err(in_tensor)?;
        if count == 0 || count > DIMENSIONS_MAX {
            return Err(Error::tensor(
                name,
                position,
                format!("it has {count} dimensions; there must be 1 to {DIMENSIONS_MAX}"),
            ));
        }
        let mut dimensions = Vec::with_capacity(count as usize);
        for _ in 0..count {
            dimensions.push(cursor.u64("a dimension").map_err(in_tensor)?);
        }
        let format = cursor.u32("the format").map_err(in_tensor)?;
        let offset = cursor.u64("the offset").map_err(in_tensor)?;
        Ok(Self { name, dimensions, format, offset, position })
    }

    fn place(&self, data: u64, alignment: u64, file_bytes: u64) -> Result<TensorInfo> {
        let format = types::format(self.format).map_err(|what| {
            self.error(format!("{what} cannot be read; convert the model to one of {}", super::formats()))
        })?;
        if !self.offset.is_multiple_of(alignment) {
            return Err(self.error(format!("its offset {} is no multiple of the alignment {alignment}", self.offset)));
        }
        let bytes = self.bytes(format)?;
        let start = data.checked_add(self.offset);
        let Some(end) = start.and_then(|start| start.checked_add(bytes)) else {
            return Err(self.error(format!("its offset {} is beyond every file", self.offset)));
        };
        let start = end - bytes;
        if end > file_bytes {
            return Err(Error::tensor(
                &self.name,
                start,
                format!(
                    "it ends at byte {end}, but the file has {file_bytes}; the file is cut short, so fetch it again"
                ),
            ));
        }
        let shape = self.dimensions.iter().rev().map(|length| *length as usize).collect();
        Ok(TensorInfo { format, shape, offset: start, bytes: bytes as usize })
    }

    fn bytes(&self, format: Format) -> Result<u64> {
        let block = format.block_elements() as u64;
        let columns = self.dimensions[0];
        if columns == 0 || !columns.is_multiple_of(block) {
            return Err(self
                .error(format!("its rows have {columns} elements; {} needs whole blocks of {block}", format.name())));
        }
        let row_bytes = (columns / block).checked_mul(format.block_bytes() as u64);
        let bytes = self.dimensions[1..].iter().try_fold(row_bytes, |bytes, length| {
            if *length == 0 { None } else { Some(bytes.and_then(|bytes| bytes.checked_mul(*length))) }
        });
        let elements =
            self.dimensions.iter().try_fold(1usize, |all, length| all.checked_mul(usize::try_from(*length).ok()?));
        match (bytes.flatten(), elements) {
            (Some(bytes), Some(_)) if isize::try_from(bytes).is_ok() => Ok(bytes),
            _ => Err(self.error(format!("its dimensions {:?} are empty or beyond every file", self.dimensions))),
        }
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error::tensor(&self.name, self.position, message)
    }
}

/// A place in the file; every step checks that the bytes are there.
struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> usize {
        self.bytes.len() - self.position
    }

    fn take(&mut self, count: u64, what: &str) -> Result<&'a [u8]> {
        let taken = usize::try_from(count).ok().filter(|count| *count <= self.left());
        let Some(count) = taken else {
            return Err(Error::data(format!(
                "the file ends inside {what}: {count} bytes are needed at byte {}, but {} are left",
                self.position,
                self.left()
            )));
        };
        let bytes = &self.bytes[self.position..self.position + count];
        self.position += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, what)?);
        Ok(array)
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A number of `what` that follow, each of at least `bytes_min` bytes.
    fn count(&mut self, what: &str, most: u64, bytes_min: u64) -> Result<u64> {
        let count = self.u64(&format!("the number of {what}"))?;
        if count > most {
            return Err(Error::data(format!("the file says it has {count} {what}; there can be at most {most}")));
        }
        if count * bytes_min > self.left() as u64 {
            return Err(Error::data(format!(
                "the file says it has {count} {what}, but only {} bytes are left",
                self.left()
            )));
        }
        Ok(count)
    }

    fn text(&mut self, what: &str) -> Result<Range<usize>> {
        let length = self.u64(what)?;
        let start = self.position;
        let bytes = self.take(length, what)?;
        if std::str::from_utf8(bytes).is_err() {
            return Err(Error::data(format!("{what} at byte {start} is not UTF-8")));
        }
        Ok(start..self.position)
    }

    fn name(&mut self, what: &str) -> Result<String> {
        let range = self.text(what)?;
        if range.is_empty() || range.len() > NAME_BYTES_MAX {
            return Err(Error::data(format!(
                "{what} at byte {} has {} bytes; it must have 1 to {NAME_BYTES_MAX}",
                range.start,
                range.len()
            )));
        }
        Ok(String::from_utf8_lossy(&self.bytes[range]).into_owned())
    }

    fn kind(&mut self, key: &str) -> Result<Kind> {
        let id = self.u32(key)?;
        Kind::of(id).ok_or_else(|| Error::data(format!("the metadata '{key}' has the unknown type number {id}")))
    }

    fn value(&mut self, key: &str) -> Result<Value> {
        let what = format!("the metadata '{key}'");
        let kind = self.kind(key)?;
        Ok(match kind {
            Kind::Text => Value::Text(self.text(&what)?),
            Kind::Array => self.list(key, 0)?,
            scalar => Value::scalar(scalar, self.take(scalar.bytes() as u64, &what)?),
        })
    }

    fn list(&mut self, key: &str, depth: usize) -> Result<Value> {
        let what = format!("the metadata '{key}'");
        let kind = self.kind(key)?;
        let count = self.u64(&what)?;
        if count.checked_mul(kind.bytes() as u64).is_none_or(|bytes| bytes > self.left() as u64) {
            return Err(Error::data(format!(
                "{what} says it has {count} elements, but only {} bytes are left",
                self.left()
            )));
        }
        let start = self.position;
        match kind {
            Kind::Text => {
                for _ in 0..count {
                    self.text(&what)?;
                }
            }
            Kind::Array if depth == ARRAY_DEPTH_MAX => {
                return Err(Error::data(format!("{what} has lists deeper than {ARRAY_DEPTH_MAX}")));
            }
            Kind::Array => {
                for _ in 0..count {
                    self.list(key, depth + 1)?;
                }
            }
            scalar => {
                self.take(count * scalar.bytes() as u64, &what)?;
            }
        }
        Ok(Value::List { kind, count: count as usize, bytes: start..self.position })
    }
}
