//! Raw files as tables: CSV, JSON, Parquet, Avro, Arrow and Delta.
//!
//! CSV and JSON are read by this crate's own plan (`text`), because a person who loads raw files needs to know which line
//! of which file is wrong and how many rows were left out. The other formats go through DataFusion's file scan, Delta
//! through the lake's own table scan.
//!
//! - `options`: what an external table can be told;
//! - `discover`: which files a path, folder or glob means; `hive`: their Hive partitions;
//! - `infer`: the columns of CSV and JSON files;
//! - `text`, `csv`, `json`, `parts`, `split`, `bad_rows`: the reader of those two; `files`: the table of the other formats.

mod bad_rows;
mod csv;
mod discover;
mod files;
mod hive;
mod infer;
mod json;
mod options;
mod parts;
mod split;
mod text;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::avro::AvroFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::execution::SessionState;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

pub use bad_rows::{BAD_ROWS_METRIC, bad_rows};

use crate::catalog::ExternalEntry;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::name::TableName;
use crate::storage::{folder_url, shown};
use crate::table::{At, LakeTable};
use discover::{Found, RawFile, discover, folder_format};
use files::FileTable;
use options::{Format, TextOptions};
use text::TextTable;

/// Completes an entry: finds the files, infers the columns that it does not declare and its Hive partitions.
///
/// # Errors
/// Not found: no file matches. Data: a file cannot be read; it is named. Invalid: an option is unknown or wrong.
pub async fn infer(lake: &Lake, mut entry: ExternalEntry, session: &SessionState) -> Result<ExternalEntry> {
    let format = Format::parse(&entry.format)?;
    let options = TextOptions::parse(format, &entry.options)?;
    if format == Format::Delta {
        entry.schema = Some(delta_table(lake, &entry).await?.schema());
        return Ok(entry);
    }
    let found = discover(lake.stores(), &entry.location, format).await?;
    if entry.partition_columns.is_empty() {
        entry.partition_columns = found.partition_columns();
        // A declared column that is a folder's key is a partition column with the declared type.
        if let Some(declared) = &entry.schema {
            for (name, data_type) in &mut entry.partition_columns {
                if let Ok(field) = declared.field_with_name(name) {
                    *data_type = field.data_type().clone();
                }
            }
        }
    }
    let partitions = &entry.partition_columns;
    entry.schema = Some(match entry.schema {
        Some(declared) => without(&declared, partitions),
        None if format.is_text() => without(&infer::columns(&found, format, &options).await?, partitions),
        None => without(&file_columns(&found, format, session).await?, partitions),
    });
    Ok(entry)
}

/// The provider of an external table.
///
/// # Errors
/// As [`infer`], which completes the entry where needed.
pub async fn provider(lake: &Lake, entry: &ExternalEntry, session: &SessionState) -> Result<Arc<dyn TableProvider>> {
    let format = Format::parse(&entry.format)?;
    let options = TextOptions::parse(format, &entry.options)?;
    if format == Format::Delta {
        return Ok(delta_table(lake, entry).await?);
    }
    let inferred;
    let entry = if entry.schema.is_none() {
        inferred = Box::pin(infer(lake, entry.clone(), session)).await?;
        &inferred
    } else {
        entry
    };
    let schema = entry.schema.clone().ok_or_else(|| Error::internal("an external table without columns"))?;
    let found = discover(lake.stores(), &entry.location, format).await?;
    if format.is_text() {
        return Ok(Arc::new(TextTable::new(found, schema, entry.partition_columns.clone(), format, options)?));
    }
    Ok(Arc::new(FileTable::new(found, format, schema, entry.partition_columns.clone())?))
}

/// The entry for a path in FROM, such as `'data/*.csv.gz'`: the format comes from the file name.
///
/// # Errors
/// Invalid: the name tells no format.
pub fn entry_for_path(path: &str) -> Result<ExternalEntry> {
    let format = Format::of_path(path).ok_or_else(|| {
        Error::invalid(format!(
            "the name '{path}' tells no format; known endings are .csv, .tsv, .json, .jsonl, .ndjson, .parquet, .avro, \
             .arrow, each also with .gz, .bz2, .xz or .zst for text; or name the format, as in read_csv('{path}')"
        ))
    })?;
    Ok(entry_of(path, format))
}

/// The entry for a path in FROM that may also be a folder, whose files then tell the format.
///
/// # Errors
/// Invalid: neither the name nor the folder's files tell one format.
pub async fn entry_for(lake: &Lake, path: &str) -> Result<ExternalEntry> {
    match entry_for_path(path) {
        Ok(entry) => Ok(entry),
        Err(unknown) => match folder_format(lake.stores(), path).await? {
            Some(format) => Ok(entry_of(path, format)),
            None => Err(unknown),
        },
    }
}

fn entry_of(path: &str, format: Format) -> ExternalEntry {
    ExternalEntry {
        name: TableName::bare(path),
        format: format.as_str().to_owned(),
        location: path.to_owned(),
        options: BTreeMap::new(),
        schema: None,
        partition_columns: Vec::new(),
        created_ms: 0,
    }
}

/// A short text that changes when any of the entry's files changes: for lineage.
///
/// # Errors
/// Not found: no file matches.
pub async fn fingerprint(lake: &Lake, entry: &ExternalEntry) -> Result<String> {
    let format = Format::parse(&entry.format)?;
    if format == Format::Delta {
        return Ok(format!("version {}", delta_table(lake, entry).await?.version()));
    }
    let found = discover(lake.stores(), &entry.location, format).await?;
    let mut hash = blake3::Hasher::new();
    for file in &found.files {
        hash.update(file.meta.location.as_ref().as_bytes());
        hash.update(&file.meta.size.to_le_bytes());
        hash.update(&file.meta.last_modified.timestamp_millis().to_le_bytes());
        hash.update(file.meta.e_tag.as_deref().unwrap_or_default().as_bytes());
    }
    Ok(hash.finalize().to_hex()[..16].to_owned())
}

/// A Delta table that lies anywhere, read at its newest version.
async fn delta_table(lake: &Lake, entry: &ExternalEntry) -> Result<Arc<LakeTable>> {
    let folder = folder_url(&entry.location)?;
    let pinned = lake
        .snapshots()
        .at(&folder, At::Latest)
        .await
        .map_err(|error| error.context(format_args!("cannot read '{}' as a Delta table", shown(&folder))))?;
    Ok(Arc::new(LakeTable::new(entry.name.clone(), pinned)))
}

fn without(schema: &SchemaRef, partitions: &[(String, DataType)]) -> SchemaRef {
    let kept = schema.fields().iter().filter(|field| partitions.iter().all(|(name, _)| name != field.name()));
    Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>()))
}

fn file_format(format: Format, session: Option<&dyn Session>) -> Arc<dyn FileFormat> {
    match format {
        Format::Avro => Arc::new(AvroFormat),
        Format::Arrow => Arc::new(ArrowFormat),
        _ => {
            let options = session.map(|session| session.default_table_options().parquet).unwrap_or_default();
            Arc::new(ParquetFormat::default().with_options(options))
        }
    }
}

/// The columns of all files together; a file that cannot be read is named.
async fn file_columns(found: &Found, format: Format, session: &SessionState) -> Result<SchemaRef> {
    let reader = file_format(format, Some(session));
    let at_once = session.config().options().execution.meta_fetch_concurrency.get();
    let reading = found.files.iter().map(|file| columns_of(found, file, format, Arc::clone(&reader), session).boxed());
    let schemas: Vec<Schema> = stream::iter(reading.collect::<Vec<_>>()).buffered(at_once).try_collect().await?;
    let merged = Schema::try_merge(schemas).map_err(|error| {
        Error::data(format!("the files of '{}' have columns that do not fit together: {error}", found.location))
    })?;
    Ok(Arc::new(merged.with_metadata(std::collections::HashMap::new())))
}

async fn columns_of(
    found: &Found,
    file: &RawFile,
    format: Format,
    reader: Arc<dyn FileFormat>,
    session: &SessionState,
) -> Result<Schema> {
    let schema = reader.infer_schema(session as &dyn Session, &found.store, std::slice::from_ref(&file.meta)).await;
    let schema = schema.map_err(|error| {
        let error = Error::from(error);
        let text = format!("cannot read '{}' as {}: {error}", found.shown(file), format.shown());
        Error::data(text).with_source(error)
    })?;
    Ok(schema.as_ref().clone())
}

fn cannot_read(error: impl Into<Error>, file: &str, format: Format) -> Error {
    error.into().context(format_args!("cannot read '{file}' as {}", format.shown()))
}
