//! What an external table can be told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use lakemill_base::unknown;

use crate::error::{Error, Result};

/// Rows that are looked at to infer columns, unless told otherwise.
const INFER_ROWS: usize = 100_000;

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Json,
    Parquet,
    Avro,
    Arrow,
    Delta,
}

impl Format {
    pub(super) fn parse(name: &str) -> Result<Self> {
        Ok(match name.to_lowercase().as_str() {
            "csv" | "tsv" => Self::Csv,
            "json" | "jsonl" | "ndjson" => Self::Json,
            "parquet" => Self::Parquet,
            "avro" => Self::Avro,
            "arrow" | "feather" | "ipc" => Self::Arrow,
            "delta" | "deltatable" => Self::Delta,
            _ => {
                return Err(Error::invalid(unknown(
                    "file format",
                    name,
                    ["csv", "json", "parquet", "avro", "arrow", "delta"],
                )));
            }
        })
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Avro => "avro",
            Self::Arrow => "arrow",
            Self::Delta => "delta",
        }
    }

    /// As people write it.
    pub(super) const fn shown(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Parquet => "Parquet",
            Self::Avro => "Avro",
            Self::Arrow => "Arrow",
            Self::Delta => "Delta",
        }
    }

    pub(super) const fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Json)
    }

    /// Endings of the format's files, without compression.
    pub(super) const fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Csv => &["csv", "tsv", "txt"],
            Self::Json => &["json", "jsonl", "ndjson"],
            Self::Parquet => &["parquet", "parq", "pq"],
            Self::Avro => &["avro"],
            Self::Arrow => &["arrow", "feather", "ipc"],
            Self::Delta => &[],
        }
    }

    /// The format that a file name tells.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        let (ending, _) = endings_of(path);
        [Self::Csv, Self::Json, Self::Parquet, Self::Avro, Self::Arrow]
            .into_iter()
            .find(|format| format.endings().contains(&ending.as_str()) && ending != "txt")
    }
}

/// A name's ending and compression: `("csv", GZIP)` for `x.csv.gz`.
pub(super) fn endings_of(path: &str) -> (String, FileCompressionType) {
    let lower = path.to_lowercase();
    let mut parts = lower.rsplit('.');
    let last = parts.next().unwrap_or_default();
    let compression = match last {
        "gz" | "gzip" => FileCompressionType::GZIP,
        "bz2" => FileCompressionType::BZIP2,
        "xz" => FileCompressionType::XZ,
        "zst" | "zstd" => FileCompressionType::ZSTD,
        _ => return (last.to_owned(), FileCompressionType::UNCOMPRESSED),
    };
    (parts.next().unwrap_or_default().to_owned(), compression)
}

/// What to do with a row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OnError {
    /// End the statement with an error that names the place.
    Fail,
    /// Leave the row out and count it; keep it in a file if one is given.
    Skip { keep_in: Option<PathBuf> },
}

/// How JSON values follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonLayout {
    /// By the first character of the file.
    Auto,
    /// One value per line.
    Lines,
    /// One array of values.
    Array,
}

/// Options of CSV and JSON tables.
#[derive(Clone, Debug)]
pub(super) struct TextOptions {
    pub(super) delimiter: Option<u8>,
    pub(super) quote: u8,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
    pub(super) has_header: bool,
    pub(super) null_value: Option<String>,
    pub(super) compression: Option<FileCompressionType>,
    pub(super) layout: JsonLayout,
    pub(super) infer_rows: usize,
    pub(super) on_error: OnError,
}

const CSV_OPTIONS: [&str; 10] = [
    "delimiter",
    "quote",
    "escape",
    "comment",
    "has_header",
    "null_value",
    "compression",
    "infer_rows",
    "on_error",
    "bad_rows",
];
const JSON_OPTIONS: [&str; 5] = ["layout", "compression", "infer_rows", "on_error", "bad_rows"];

impl TextOptions {
    /// Reads the options of a format. `format.` before a name is allowed, as in DataFusion.
    pub(super) fn parse(format: Format, given: &BTreeMap<String, String>) -> Result<Self> {
        let mut options = Self {
            delimiter: None,
            quote: b'"',
            escape: None,
            comment: None,
            has_header: true,
            null_value: None,
            compression: None,
            layout: JsonLayout::Auto,
            infer_rows: INFER_ROWS,
            on_error: OnError::Fail,
        };
        let known: &[&str] = match format {
            Format::Csv => &CSV_OPTIONS,
            Format::Json => &JSON_OPTIONS,
            _ => &[],
        };
        let mut bad_rows = None;
        for (name, value) in given {
            let lower = name.to_lowercase();
            let short = lower.strip_prefix("format.").unwrap_or(&lower);
            if !known.contains(&short) {
                return Err(Error::invalid(format!(
                    "{} files: {}",
                    format.shown(),
                    unknown("option", short, known.iter().copied())
                )));
            }
            if short == "bad_rows" {
                bad_rows = Some(PathBuf::from(value));
            } else {
                options.set(short, value)?;
            }
        }
        match (&mut options.on_error, bad_rows) {
            (OnError::Skip { keep_in }, path) => *keep_in = path,
            (OnError::Fail, None) => {}
            (OnError::Fail, Some(_)) => {
                return Err(Error::invalid("option 'bad_rows' needs on_error = 'skip': otherwise no row is left out"));
            }
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "delimiter" => self.delimiter = Some(one_byte(name, value)?),
            "quote" => self.quote = one_byte(name, value)?,
            "escape" => self.escape = optional_byte(name, value)?,
            "comment" => self.comment = optional_byte(name, value)?,
            "has_header" => self.has_header = boolean(name, value)?,
            "null_value" => self.null_value = Some(value.to_owned()),
            "compression" => self.compression = compression(value)?,
            "infer_rows" => self.infer_rows = row_count(name, value)?,
            "layout" => self.layout = layout(value)?,
            _ => self.on_error = on_error(value)?,
        }
        Ok(())
    }

    /// The delimiter of a file.
    pub(super) fn delimiter_of(&self, path: &str) -> u8 {
        self.delimiter.unwrap_or_else(|| if endings_of(path).0 == "tsv" { b'\t' } else { b',' })
    }

    /// The compression of a file.
    pub(super) fn compression_of(&self, path: &str) -> FileCompressionType {
        self.compression.unwrap_or_else(|| endings_of(path).1)
    }
}

fn wrong(name: &str, value: &str, right: &str) -> Error {
    Error::invalid(format!("option '{name}' is '{value}'; use {right}"))
}

fn one_byte(name: &str, value: &str) -> Result<u8> {
    match value {
        "\\t" | "tab" => Ok(b'\t'),
        _ if value.len() == 1 => Ok(value.as_bytes()[0]),
        _ => Err(wrong(name, value, "one ASCII character")),
    }
}

fn optional_byte(name: &str, value: &str) -> Result<Option<u8>> {
    if value.is_empty() { Ok(None) } else { one_byte(name, value).map(Some) }
}

fn boolean(name: &str, value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(wrong(name, value, "true or false")),
    }
}

fn row_count(name: &str, value: &str) -> Result<usize> {
    if value.eq_ignore_ascii_case("all") {
        return Ok(usize::MAX);
    }
    value.parse().ok().filter(|rows| *rows > 0).ok_or_else(|| wrong(name, value, "a number of rows, or 'all'"))
}

fn compression(value: &str) -> Result<Option<FileCompressionType>> {
    let variant = match value.to_lowercase().as_str() {
        "auto" => return Ok(None),
        "none" | "uncompressed" | "" => CompressionTypeVariant::UNCOMPRESSED,
        "gzip" | "gz" => CompressionTypeVariant::GZIP,
        "bzip2" | "bz2" => CompressionTypeVariant::BZIP2,
        "xz" => CompressionTypeVariant::XZ,
        "zstd" | "zst" => CompressionTypeVariant::ZSTD,
        _ => return Err(wrong("compression", value, "auto, none, gzip, bzip2, xz or zstd")),
    };
    Ok(Some(variant.into()))
}

fn layout(value: &str) -> Result<JsonLayout> {
    match value.to_lowercase().as_str() {
        "auto" => Ok(JsonLayout::Auto),
        "lines" | "newline_delimited" => Ok(JsonLayout::Lines),
        "array" => Ok(JsonLayout::Array),
        _ => Err(wrong("layout", value, "auto, lines or array")),
    }
}

fn on_error(value: &str) -> Result<OnError> {
    match value.to_lowercase().as_str() {
        "fail" => Ok(OnError::Fail),
        "skip" => Ok(OnError::Skip { keep_in: None }),
        _ => Err(wrong("on_error", value, "'fail' or 'skip'")),
    }
}
