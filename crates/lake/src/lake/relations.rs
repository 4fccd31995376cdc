//! Namespaces, views, external tables, listings, renames and drops.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use lakemill_base::check_identifier;
use serde::{Deserialize, Serialize};

use super::Lake;
use crate::catalog::{ExternalEntry, RelationKind, RelationRow, RelationSummary};
use crate::error::{Error, Result};
use crate::name::{DEFAULT_NAMESPACE, TableName};

impl Lake {
    /// Makes a namespace. False: it was there, and `if_not_exists` was given.
    ///
    /// # Errors
    /// Invalid: the name is taken or holds characters that names may not hold.
    pub async fn create_namespace(&self, name: &str, if_not_exists: bool) -> Result<bool> {
        check_identifier("namespace", name).map_err(Error::invalid)?;
        let made = self.catalog().insert_namespace(name, self.now_ms()).await?;
        if !made && !if_not_exists {
            return Err(Error::invalid(format!("namespace '{name}' already exists")));
        }
        Ok(made)
    }

    /// Drops a namespace; with `cascade` also what is in it. False: there was none, and `if_exists` was given.
    ///
    /// # Errors
    /// Invalid: it is not empty, or it is the default one.
    pub async fn drop_namespace(&self, name: &str, if_exists: bool, cascade: bool) -> Result<bool> {
        self.check_writable()?;
        if name == DEFAULT_NAMESPACE {
            return Err(Error::invalid(format!("the namespace '{name}' cannot be dropped")));
        }
        if !self.catalog().namespaces().await?.iter().any(|other| other == name) {
            return if if_exists { Ok(false) } else { Err(self.no_namespace(name).await) };
        }
        if cascade {
            for row in self.catalog().relations(name).await? {
                self.drop_row(row).await?;
            }
            for entry in self.models(Some(name)).await? {
                self.drop_model(&entry.version.name, true).await?;
            }
        }
        if self.catalog().delete_namespace(name).await? {
            return Ok(true);
        }
        Err(Error::invalid(format!("namespace '{name}' is not empty; drop what is in it, or use CASCADE")))
    }

    /// All namespaces in alphabetical order.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        let mut names = self.catalog().namespaces().await?;
        if !names.iter().any(|name| name == DEFAULT_NAMESPACE) {
            names.push(DEFAULT_NAMESPACE.to_owned());
            names.sort();
        }
        Ok(names)
    }

    /// The tables, views and external tables of a namespace in alphabetical order.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn list(&self, namespace: &str) -> Result<Vec<RelationSummary>> {
        let rows = self.catalog().relations(namespace).await?;
        let summary = |row: RelationRow| RelationSummary { name: row.name, kind: row.kind, created_ms: row.created_ms };
        Ok(rows.into_iter().map(summary).collect())
    }

    /// Whether there is a table, view or external table of this name.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn has_relation(&self, name: &TableName) -> Result<bool> {
        Ok(self.relation_row(name).await?.is_some())
    }

    /// Makes a view. False: the name was taken, and `if_not_exists` was given.
    ///
    /// # Errors
    /// Invalid: the name is taken.
    pub async fn create_view(
        &self,
        name: &TableName,
        sql: &str,
        or_replace: bool,
        if_not_exists: bool,
    ) -> Result<bool> {
        let row = RelationRow {
            name: name.clone(),
            kind: RelationKind::View,
            location: String::new(),
            definition: sql.to_owned(),
            created_ms: self.now_ms(),
        };
        self.put_row(row, or_replace, if_not_exists).await
    }

    /// Drops a view. False: there was none, and `if_exists` was given.
    ///
    /// # Errors
    /// Not found: there is no such view. Invalid: it is something else.
    pub async fn drop_view(&self, name: &TableName, if_exists: bool) -> Result<bool> {
        self.drop_kind(name, RelationKind::View, if_exists).await
    }

    /// Makes an external table; `entry.name` is its name. Complete it first with [`crate::external::infer`].
    ///
    /// # Errors
    /// Invalid: the name is taken.
    pub async fn create_external(&self, entry: ExternalEntry, or_replace: bool, if_not_exists: bool) -> Result<bool> {
        let row = external_row(entry, self.now_ms())?;
        self.put_row(row, or_replace, if_not_exists).await
    }

    /// Drops an external table, not its files. False: there was none, and `if_exists` was given.
    ///
    /// # Errors
    /// Not found: there is no such table. Invalid: it is something else.
    pub async fn drop_external(&self, name: &TableName, if_exists: bool) -> Result<bool> {
        self.drop_kind(name, RelationKind::External, if_exists).await
    }

    /// Drops a lake table and its files. False: there was none, and `if_exists` was given.
    ///
    /// # Errors
    /// Not found: there is no such table. Invalid: it is something else.
    pub async fn drop_table(&self, name: &TableName, if_exists: bool) -> Result<bool> {
        self.drop_kind(name, RelationKind::Table, if_exists).await
    }

    /// Renames a table, view or external table; its files stay where they are.
    ///
    /// # Errors
    /// Not found: there is no such name. Invalid: the new one is taken.
    pub async fn rename_table(&self, from: &TableName, to: &TableName) -> Result<()> {
        to.check()?;
        self.check_writable()?;
        if self.relation_row(from).await?.is_none() {
            return Err(self.no_relation(from).await);
        }
        if self.catalog().rename_relation(from, to).await? {
            return Ok(());
        }
        Err(Error::invalid(format!("{to} already exists")))
    }

    async fn put_row(&self, row: RelationRow, or_replace: bool, if_not_exists: bool) -> Result<bool> {
        row.name.check()?;
        self.check_writable()?;
        if self.catalog().insert_relation(&row).await? {
            return Ok(true);
        }
        if if_not_exists {
            return Ok(false);
        }
        let taken = self.relation_row(&row.name).await?.map_or("name", |other| other.kind.as_str());
        if or_replace {
            if self.catalog().update_relation(&row).await? {
                return Ok(true);
            }
            return Err(Error::invalid(format!(
                "{} is a {taken}, which a {} cannot replace",
                row.name,
                row.kind.as_str()
            )));
        }
        Err(Error::invalid(format!("{taken} {} already exists; use CREATE OR REPLACE or IF NOT EXISTS", row.name)))
    }

    async fn drop_kind(&self, name: &TableName, kind: RelationKind, if_exists: bool) -> Result<bool> {
        self.check_writable()?;
        let Some(row) = self.relation_row(name).await? else {
            return if if_exists { Ok(false) } else { Err(self.no_relation(name).await) };
        };
        if row.kind != kind {
            return Err(Error::invalid(format!("{name} is a {}, not a {}", row.kind.as_str(), kind.as_str())));
        }
        self.drop_row(row).await
    }

    /// The name first, then the files: a crash in between leaves files without a name, never a name without files.
    async fn drop_row(&self, row: RelationRow) -> Result<bool> {
        let indexes = self.catalog().indexes_of(&row.location).await?;
        if !self.catalog().delete_relation(&row).await? {
            return Ok(false);
        }
        if row.kind == RelationKind::Table {
            let entry = self.table_entry(row)?;
            self.remove_folder(&entry.folder).await?;
            for index in indexes {
                self.remove_location(&index.location).await?;
            }
        }
        Ok(true)
    }
}

/// An external table's definition in the catalog.
#[derive(Debug, Serialize, Deserialize)]
struct Definition {
    format: String,
    options: BTreeMap<String, String>,
    /// The columns as an Arrow IPC stream without rows, in hexadecimal.
    schema: Option<String>,
    /// The Hive partition columns, likewise.
    partitions: Option<String>,
}

fn external_row(entry: ExternalEntry, now_ms: i64) -> Result<RelationRow> {
    let partitions = entry.partition_columns.iter().map(|(name, kind)| Field::new(name, kind.clone(), true));
    let partitions: SchemaRef = Arc::new(Schema::new(partitions.collect::<Vec<_>>()));
    let definition = Definition {
        format: entry.format,
        options: entry.options,
        schema: entry.schema.as_ref().map(encode_schema).transpose()?,
        partitions: Some(encode_schema(&partitions)?),
    };
    Ok(RelationRow {
        name: entry.name,
        kind: RelationKind::External,
        location: entry.location,
        definition: serde_json::to_string(&definition)?,
        created_ms: now_ms,
    })
}

pub(super) fn external_entry(row: RelationRow) -> Result<ExternalEntry> {
    let definition: Definition = serde_json::from_str(&row.definition)?;
    let partitions = definition.partitions.as_deref().map(decode_schema).transpose()?;
    let columns = |schema: SchemaRef| -> Vec<(String, DataType)> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    Ok(ExternalEntry {
        name: row.name,
        format: definition.format,
        location: row.location,
        options: definition.options,
        schema: definition.schema.as_deref().map(decode_schema).transpose()?,
        partition_columns: partitions.map(columns).unwrap_or_default(),
        created_ms: row.created_ms,
    })
}

fn encode_schema(schema: &SchemaRef) -> Result<String> {
    let mut bytes = Vec::new();
    StreamWriter::try_new(&mut bytes, schema)?.finish()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn decode_schema(text: &str) -> Result<SchemaRef> {
    let digit = |at: usize| text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digit).collect();
    let bytes = bytes.ok_or_else(|| Error::data("the catalog holds a damaged schema"))?;
    Ok(StreamReader::try_new(bytes.as_slice(), None)?.schema())
}
