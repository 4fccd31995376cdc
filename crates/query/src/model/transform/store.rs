//! A fitted TRANSFORM clause as two files of a model's artifact.
//!
//! `transform.json` holds the select list as text and the functions with their statistics, in the order of their
//! calls (innermost first); `transform_input.arrow` is an Arrow file without rows whose schema is the training
//! query's.

use std::io::Cursor;
use std::panic::catch_unwind;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use bytes::Bytes;
use datafusion::execution::SessionState;
use lakemill_base::ErrorKind;
use lakemill_learn::{Artifact, FittedTransform};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clause::{Clause, call_name};
use super::{FittedFunction, Planner, Transform};
use crate::model::parse::parse_select_list;
use crate::{Error, Result};

const CLAUSE_FILE: &str = "transform.json";
const INPUT_FILE: &str = "transform_input.arrow";

#[derive(Serialize, Deserialize)]
struct Stored {
    /// The select list.
    select: String,
    /// Label, split and weight columns.
    passthrough: Vec<String>,
    /// The functions with their statistics.
    functions: Vec<Value>,
}

impl Transform {
    /// Adds the files of the clause to a model's artifact.
    ///
    /// # Errors
    /// A file of that name is there already.
    pub(crate) fn save(&self, passthrough: &[String], artifact: &mut Artifact) -> Result<()> {
        let stored = Stored {
            select: self.text.clone(),
            passthrough: passthrough.to_vec(),
            functions: self.functions.iter().map(FittedTransform::to_json).collect(),
        };
        let json = serde_json::to_vec_pretty(&stored)
            .map_err(|error| Error::internal(format!("a TRANSFORM clause could not be written: {error}")))?;
        artifact.add_file(CLAUSE_FILE, Bytes::from(json))?;
        artifact.add_file(INPUT_FILE, schema_to_ipc(&self.input)?)?;
        Ok(())
    }

    /// Reads the clause back, `None` for a model without one.
    ///
    /// # Errors
    /// Data when the files do not fit together.
    pub(crate) fn load(artifact: &Artifact, state: &SessionState) -> Result<Option<Self>> {
        let Some(json) = artifact.files.get(CLAUSE_FILE) else { return Ok(None) };
        let stored: Stored = serde_json::from_slice(json).map_err(|error| damaged(CLAUSE_FILE, &error.to_string()))?;
        let ipc = artifact.files.get(INPUT_FILE).ok_or_else(|| damaged(INPUT_FILE, "the file is missing"))?;
        let input = Arc::new(schema_from_ipc(ipc)?);
        let names: Vec<&str> = input.fields().iter().map(|field| field.name().as_str()).collect();
        let clause = Clause::new(&parse_select_list(&stored.select)?, &names, &stored.passthrough)?;
        if clause.calls.len() != stored.functions.len() {
            return Err(damaged(CLAUSE_FILE, "the clause and its statistics do not fit together"));
        }
        let mut planner = Planner::new(state, &input)?;
        let mut functions = Vec::with_capacity(stored.functions.len());
        for (n, (call, value)) in clause.calls.iter().zip(&stored.functions).enumerate() {
            let fitted = FittedTransform::from_json(value)?;
            let from = planner.physical(&call.input, call.at)?.data_type(&input)?;
            planner.register(FittedFunction::new(fitted.clone(), from, Some(call_name(n))).into_udf())?;
            functions.push(fitted);
        }
        let outputs = planner.outputs(&clause)?;
        Ok(Some(Self { text: stored.select, input, outputs, functions }))
    }
}

fn damaged(file: &str, why: &str) -> Error {
    Error::new(ErrorKind::Data, format!("the model's file '{file}' is damaged: {why}"))
}

/// A schema as an Arrow file without rows.
pub(crate) fn schema_to_ipc(schema: &Schema) -> Result<Bytes> {
    let mut buffer = Vec::new();
    let mut writer =
        FileWriter::try_new(&mut buffer, schema).map_err(|error| damaged(INPUT_FILE, &error.to_string()))?;
    writer.finish().map_err(|error| damaged(INPUT_FILE, &error.to_string()))?;
    drop(writer);
    Ok(Bytes::from(buffer))
}

/// The schema of an Arrow file.
pub(crate) fn schema_from_ipc(file: &[u8]) -> Result<Schema> {
    // Arrow's reader panics over a type that it does not know.
    let read = catch_unwind(|| FileReader::try_new(Cursor::new(file), None).map(|reader| reader.schema()));
    let schema = read.map_err(|_| damaged(INPUT_FILE, "it has a column of an unknown type"))?;
    Ok(schema.map_err(|error| damaged(INPUT_FILE, &error.to_string()))?.as_ref().clone())
}
