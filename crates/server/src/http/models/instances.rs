//! Instances: rows as JSON, on their way into a model's columns, and predictions on their way out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::writer::LineDelimited;
use arrow::json::{ReaderBuilder, WriterBuilder};
use axum::body::Bytes;
use lakemill_base::{ErrorKind, did_you_mean};
use lakemill_query::Scorer;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::columns::{Columns, Read};
use super::lookup::Lookup;
use crate::error::{Error, Result};

/// Rows of a request; more are scored faster by ML.PREDICT.
const INSTANCES_MAX: usize = 10_000;

/// What is asked of `:predict`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    /// Rows, as objects of columns.
    #[serde(borrow)]
    instances: Vec<&'a RawValue>,
    /// The version of the model; the newest unless told otherwise.
    version: Option<u64>,
    /// The threshold of a classifier of two classes.
    threshold: Option<f64>,
    /// Where columns are taken from that instances lack.
    lookup: Option<Lookup>,
}

/// A request that has been read.
#[derive(Debug)]
pub(super) struct Call {
    /// Rows: the text of each.
    pub(super) instances: Vec<Bytes>,
    /// The version of the model; the newest unless told otherwise.
    pub(super) version: Option<u64>,
    /// The threshold of a classifier of two classes.
    pub(super) threshold: Option<f64>,
    /// Where columns are taken from that instances lack.
    pub(super) lookup: Option<Lookup>,
}

impl Call {
    /// # Errors
    /// Invalid: no such JSON, or too many rows.
    pub(super) fn read(body: &Bytes) -> Result<Self> {
        let read: Body = serde_json::from_slice(body).map_err(|error| {
            Error::invalid(format!(
                "the request's JSON is not right: {error}; it is {{\"instances\": [{{\"column\": value, ..}}, ..]}}"
            ))
        })?;
        let count = read.instances.len();
        if count == 0 || count > INSTANCES_MAX {
            return Err(Error::invalid(format!(
                "a request has from 1 to {INSTANCES_MAX} instances, and this one has {count}; ML.PREDICT in SQL scores \
                 whole tables"
            )));
        }
        let instances = read.instances.iter().map(|instance| body.slice_ref(instance.get().as_bytes())).collect();
        Ok(Self { instances, version: read.version, threshold: read.threshold, lookup: read.lookup })
    }
}

/// Rows as JSON, an object on a line for each.
///
/// # Errors
/// A type that JSON has nothing for.
pub(super) fn json_lines(rows: &RecordBatch) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
    writer.write(rows).and_then(|()| writer.finish()).map_err(datafusion::error::DataFusionError::from)?;
    drop(writer);
    Ok(lines)
}

/// The instances as columns.
///
/// # Errors
/// An instance that lacks a column; a value that does not fit its column.
pub(super) fn rows<'a>(scorer: &Scorer, instances: impl Iterator<Item = &'a Bytes> + Clone) -> Result<RecordBatch> {
    let schema = scorer.input();
    let mut columns = Columns::new(schema);
    for (index, instance) in instances.clone().enumerate() {
        let missing = columns
            .push(instance)
            .map_err(|error| Error::invalid(format!("instance {index} is not right: {error}")))?;
        if let Some(missing) = missing {
            return Err(lacks(scorer, index, schema.field(missing).name(), instance));
        }
    }
    let read = columns.finish().map_err(|error| unfit(scorer, &error))?;
    let read = match read {
        Read::Rows(rows) => Ok(Some(rows)),
        Read::Other => by_arrow(schema, instances),
    };
    read.map_err(|error| unfit(scorer, &error))?.ok_or_else(|| Error::internal("the instances gave no rows"))
}

fn by_arrow<'a>(
    schema: &SchemaRef,
    instances: impl Iterator<Item = &'a Bytes> + Clone,
) -> std::result::Result<Option<RecordBatch>, ArrowError> {
    let builder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(instances.clone().count());
    let mut decoder = builder.build_decoder()?;
    for instance in instances {
        decoder.decode(instance)?;
    }
    decoder.flush()
}

fn unfit(scorer: &Scorer, error: &ArrowError) -> Error {
    let name = scorer.name();
    let message = format!("the instances do not fit the model's columns: {error}; GET /v1/models/{name} lists them");
    Error::new(ErrorKind::Data, message)
}

fn lacks(scorer: &Scorer, index: usize, column: &str, instance: &[u8]) -> Error {
    let message = format!("instance {index} lacks the column '{column}', which model {} needs", scorer.name());
    let given: Map<String, Value> = serde_json::from_slice(instance).unwrap_or_default();
    Error::invalid(match did_you_mean(column, given.keys().map(String::as_str)) {
        Some(near) => format!("{message}; did you mean to call '{near}' so?"),
        None => format!("{message}; write null for a value that is not known"),
    })
}
