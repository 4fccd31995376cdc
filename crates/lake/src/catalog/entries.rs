//! What the catalog holds, as its callers see it.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, SchemaRef};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::name::{ModelName, TableName};

/// What a name in a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// A lake table.
    Table,
    /// A view.
    View,
    /// An external table over raw files.
    External,
}

impl RelationKind {
    /// As the catalog and listings write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::External => "external",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "table" => Ok(Self::Table),
            "view" => Ok(Self::View),
            "external" => Ok(Self::External),
            _ => Err(Error::data(format!("the catalog holds a relation of the unknown kind '{text}'"))),
        }
    }
}

/// One line of a listing.
#[derive(Clone, Debug)]
pub struct RelationSummary {
    /// The name.
    pub name: TableName,
    /// What it is.
    pub kind: RelationKind,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
}

/// A view.
#[derive(Clone, Debug)]
pub struct ViewEntry {
    /// The name.
    pub name: TableName,
    /// The query, as text.
    pub sql: String,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
}

/// An external table: raw files where they lie.
#[derive(Clone, Debug)]
pub struct ExternalEntry {
    /// The name.
    pub name: TableName,
    /// `csv`, `json`, `parquet`, `avro`, `arrow` or `delta`.
    pub format: String,
    /// A path, folder, glob or URL.
    pub location: String,
    /// Options of the reader; see `docs/raw-files.md`.
    pub options: BTreeMap<String, String>,
    /// The columns: as declared, or as inferred when the table was made.
    pub schema: Option<SchemaRef>,
    /// Hive partition columns.
    pub partition_columns: Vec<(String, DataType)>,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
}

/// One version of a model.
#[derive(Clone, Debug)]
pub struct ModelVersion {
    /// The name.
    pub name: ModelName,
    /// Counts from 1.
    pub version: u64,
    /// The artifact's folder, relative to the lake.
    pub path: String,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
}

/// One version of a model with what the catalog knows of it.
#[derive(Clone, Debug)]
pub struct ModelEntry {
    /// Name and version.
    pub version: ModelVersion,
    /// Such as `LOGISTIC_REG`.
    pub model_type: String,
    /// What it was made from.
    pub lineage: serde_json::Value,
    /// Metrics and options.
    pub summary: serde_json::Value,
}

/// Something that an output was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageInput {
    /// `table`, `view`, `model` or `file`.
    pub kind: String,
    /// The full name, or the file's location.
    pub name: String,
    /// The version, or a file's fingerprint.
    pub version: String,
}

/// What a table, view or model was made from.
#[derive(Clone, Debug)]
pub struct LineageRecord {
    /// `table`, `view` or `model`.
    pub kind: String,
    /// The namespace of the output.
    pub namespace: String,
    /// The name of the output.
    pub name: String,
    /// The version of the output.
    pub version: u64,
    /// The SQL text.
    pub statement: String,
    /// What was read.
    pub inputs: Vec<LineageInput>,
    /// Options of the statement.
    pub options: serde_json::Value,
    /// The seed of a model.
    pub seed: Option<u64>,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
}
