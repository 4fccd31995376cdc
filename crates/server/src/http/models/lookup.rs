//! Columns that instances leave to a table of the lake: `"lookup": {"table": "planes", "key": ["tailnum"]}`.
//!
//! The rows are read by one query with the caller's own rights, joined by the key that each instance has. What an
//! instance says itself goes before what the table says.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use axum::body::Bytes;
use futures::StreamExt;
use lakemill_base::{quoted_identifier, text_literal};
use lakemill_lake::{DEFAULT_NAMESPACE, TableName};
use lakemill_query::Scorer;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::instances::json_lines;
use crate::cancel::Cancel;
use crate::engine::{Answer, Client};
use crate::error::{Error, Result};

/// Instances of a request that looks up; more are joined faster in SQL.
const INSTANCES_MAX: usize = 1_000;

/// Where columns are looked up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lookup {
    /// The table, with its namespace before it or in the default one.
    table: String,
    /// The columns that an instance and its row of the table have in common.
    key: Vec<String>,
}

/// An instance's columns, as they are written.
type Instance = BTreeMap<String, Box<RawValue>>;

impl Lookup {
    /// The instances with the columns that the model needs and they lack.
    ///
    /// # Errors
    /// Not found or Denied: the table. Invalid: a key that an instance or the table lacks, or that names no row or
    /// several.
    pub(super) async fn fill(&self, client: &Client, scorer: &Scorer, instances: &[Bytes]) -> Result<Vec<Bytes>> {
        if self.key.is_empty() {
            return Err(Error::invalid("'lookup' needs a key: {\"table\": \"t\", \"key\": [\"column\"]}"));
        }
        if instances.len() > INSTANCES_MAX {
            return Err(Error::invalid(format!(
                "a request with 'lookup' has at most {INSTANCES_MAX} instances, and this one has {}; ML.PREDICT in SQL \
                 scores joins of whole tables",
                instances.len()
            )));
        }
        let table = match self.table.split_once('.') {
            Some((namespace, table)) => TableName::new(namespace, table),
            None => TableName::new(DEFAULT_NAMESPACE, self.table.as_str()),
        };
        let mut instances = instances.iter().enumerate().map(parse).collect::<Result<Vec<_>>>()?;
        let (session, name) = (client.session().clone(), table.clone());
        let known = client.engine().on_work(async move { Ok(session.columns(&name).await?) }).await?;
        if let Some(key) = self.key.iter().find(|key| known.field_with_name(key).is_err()) {
            let names = known.fields().iter().map(|field| field.name().as_str());
            return Err(Error::invalid(lakemill_base::unknown(&format!("column of {table}"), key, names)));
        }
        let wanted = scorer.input().fields().iter().map(|field| field.name().as_str());
        let wanted: Vec<&str> = wanted
            .filter(|name| !self.key.iter().any(|key| key == name) && known.field_with_name(name).is_ok())
            .filter(|name| instances.iter().any(|instance| !instance.contains_key(*name)))
            .collect();
        if wanted.is_empty() {
            return instances.iter().map(write).collect();
        }
        let found = rows(client, &self.query(&table, &wanted, &instances)?).await?;
        self.add(&table, &wanted, &found, &mut instances)?;
        instances.iter().map(write).collect()
    }

    /// The wanted columns for each instance, which is numbered in the first.
    fn query(&self, table: &TableName, wanted: &[&str], instances: &[Instance]) -> Result<String> {
        let keys = instances.iter().enumerate().map(|(index, instance)| {
            let values = self.key.iter().map(|key| match instance.get(key) {
                Some(value) => literal(index, key, value),
                None => Err(Error::invalid(format!("instance {index} lacks '{key}', which is the key of its lookup"))),
            });
            Ok(format!("({index}, {})", values.collect::<Result<Vec<_>>>()?.join(", ")))
        });
        let keys = keys.collect::<Result<Vec<_>>>()?.join(", ");
        let names: Vec<String> = (0..self.key.len()).map(|index| format!("k{index}")).collect();
        let on = self.key.iter().zip(&names).map(|(key, name)| format!("t.{} = asked.{name}", quoted_identifier(key)));
        let columns: Vec<String> = wanted.iter().map(|name| format!("t.{}", quoted_identifier(name))).collect();
        Ok(format!(
            "SELECT asked.instance, {} FROM (VALUES {keys}) AS asked(instance, {}) JOIN {} AS t ON {}",
            columns.join(", "),
            names.join(", "),
            table.quoted(),
            on.collect::<Vec<_>>().join(" AND ")
        ))
    }

    fn add(&self, table: &TableName, wanted: &[&str], found: &RecordBatch, instances: &mut [Instance]) -> Result<()> {
        let places = found.column(0).as_primitive::<Int64Type>().values();
        let columns: Vec<usize> = (1..found.num_columns()).collect();
        let lines = json_lines(&found.project(&columns).map_err(datafusion::error::DataFusionError::from)?)?;
        let mut rows = vec![0usize; instances.len()];
        for (place, line) in places.iter().zip(lines.split(|byte| *byte == b'\n')) {
            let (row, place): (Instance, _) = (read(line)?, usize::try_from(*place).unwrap_or(usize::MAX));
            let (Some(instance), Some(rows)) = (instances.get_mut(place), rows.get_mut(place)) else { continue };
            *rows += 1;
            for (name, value) in row {
                instance.entry(name).or_insert(value);
            }
        }
        match rows.iter().position(|rows| *rows != 1) {
            None => Ok(()),
            Some(index) => {
                let key = self.key.join(", ");
                let rows = if rows[index] == 0 { "no row".to_owned() } else { format!("{} rows", rows[index]) };
                Err(Error::invalid(format!(
                    "{table} has {rows} with the key ({key}) of instance {index}, and 'lookup' needs one; or give the \
                     instance's {} yourself",
                    wanted.join(", ")
                )))
            }
        }
    }
}

async fn rows(client: &Client, sql: &str) -> Result<RecordBatch> {
    let parsed = client.parse(sql)?;
    let [parsed] = parsed.as_slice() else { return Err(Error::internal("a lookup is one query")) };
    // The client has not written this query: places in it would tell it nothing.
    let answer = client.run(parsed, &Cancel::default()).await.map_err(Error::without_position)?;
    let Answer::Rows(mut rows) = answer else { return Err(Error::internal("a lookup gives rows")) };
    let (schema, mut batches) = (rows.schema().clone(), Vec::new());
    while let Some(batch) = rows.next().await {
        batches.push(batch.map_err(Error::without_position)?);
    }
    Ok(concat_batches(&schema, &batches).map_err(datafusion::error::DataFusionError::from)?)
}

fn parse((index, instance): (usize, &Bytes)) -> Result<Instance> {
    serde_json::from_slice(instance)
        .map_err(|error| Error::invalid(format!("instance {index} is not right: {error}; it is an object of columns")))
}

fn read(line: &[u8]) -> Result<Instance> {
    serde_json::from_slice(line).map_err(|error| Error::internal(error.to_string()))
}

fn write(instance: &Instance) -> Result<Bytes> {
    let text = serde_json::to_vec(instance).map_err(|error| Error::internal(error.to_string()))?;
    Ok(text.into())
}

/// A key in SQL.
fn literal(index: usize, key: &str, value: &RawValue) -> Result<String> {
    match serde_json::from_str(value.get()) {
        Ok(Value::String(text)) => Ok(text_literal(&text)),
        Ok(Value::Number(_) | Value::Bool(_)) => Ok(value.get().to_owned()),
        _ => Err(Error::invalid(format!(
            "the key '{key}' of instance {index} is {}, and a key is a text, a number or a boolean",
            value.get()
        ))),
    }
}
