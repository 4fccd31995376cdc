//! `/v1/models`: what models there are, and `POST /v1/models/{name}:predict`.
//!
//! The request and the answer have the shape of TensorFlow Serving and KServe: `{"instances": [{..}, ..]}` gives
//! `{"predictions": [{..}, ..]}`. An instance is a row of the columns that the model was trained on; the TRANSFORM
//! clause is the model's own.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::json::WriterBuilder;
use arrow::json::writer::JsonArray;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use lakemill_base::{Stopwatch, did_you_mean};
use lakemill_lake::sql_type;
use lakemill_query::Scorer;
use parking_lot::Mutex;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::problem::{Problem, wrong_body};
use super::{Api, Shared};
use crate::error::{Error, Result};

/// How long a model is served without asking whether there is a newer version, and whether its caller may still use it.
const FRESH: Duration = Duration::from_secs(1);

/// How long it is served at most while that is being asked.
const STALE: Duration = Duration::from_secs(5);

/// Models that are kept ready.
const SCORERS_MAX: usize = 64;

/// Rows of a request; more are scored faster by ML.PREDICT.
const INSTANCES_MAX: usize = 10_000;

/// Rows that are scored on the thread of their connection.
const INLINE_MAX: usize = 64;

/// Models that are ready, by name and version.
#[derive(Debug, Default)]
pub(super) struct Scorers(Mutex<HashMap<Wanted, Ready>>);

/// Who asks for a model, its name as it was asked for, and the version if one was named.
type Wanted = (Option<String>, String, Option<u64>);

/// A model that is ready.
#[derive(Debug)]
struct Ready {
    scorer: Arc<Scorer>,
    /// Since it was made.
    made: Stopwatch,
    /// Since somebody last began to make it anew.
    asked: Stopwatch,
}

impl Scorers {
    async fn get(&self, shared: &Shared, caller: Caller, name: &str, version: Option<u64>) -> Result<Arc<Scorer>> {
        let key = (caller.user().map(str::to_owned), name.to_owned(), version);
        if let Some(ready) = self.0.lock().get_mut(&key) {
            let age = ready.made.elapsed();
            // While one request asks anew, others are answered by what is known.
            if age < FRESH || (ready.asked.elapsed() < FRESH && age < STALE) {
                return Ok(Arc::clone(&ready.scorer));
            }
            ready.asked = Stopwatch::start();
        }
        let (session, wanted) = (caller.session(shared), name.to_owned());
        let loaded = shared.engine.on_work(async move { Ok(session.scorer(&wanted, version).await?) }).await;
        let mut all = self.0.lock();
        match loaded {
            Ok(scorer) => {
                let scorer = Arc::new(scorer);
                if all.len() >= SCORERS_MAX && !all.contains_key(&key) {
                    let oldest = all.iter().max_by_key(|(_, ready)| ready.made.elapsed()).map(|(key, _)| key.clone());
                    oldest.map(|key| all.remove(&key));
                }
                let (made, asked) = (Stopwatch::start(), Stopwatch::start());
                all.insert(key, Ready { scorer: Arc::clone(&scorer), made, asked });
                Ok(scorer)
            }
            Err(error) => {
                all.remove(&key);
                Err(error)
            }
        }
    }
}

/// `GET /v1/models`
pub(super) async fn list(
    State(shared): Api,
    Extension(caller): Extension<Caller>,
) -> std::result::Result<Response, Problem> {
    let session = caller.session(&shared);
    let models = shared.engine.on_work(async move { Ok(session.visible_models().await?) }).await?;
    let entry = |model: &lakemill_lake::ModelEntry| {
        json!({
            "name": model.version.name.to_string(),
            "version": model.version.version,
            "type": model.model_type,
        })
    };
    Ok(Json(json!({ "models": models.iter().map(entry).collect::<Vec<_>>() })).into_response())
}

/// `GET /v1/models/{name}`
pub(super) async fn describe(
    State(shared): Api,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> std::result::Result<Response, Problem> {
    let scorer = shared.scorers.get(&shared, caller, &name, None).await?;
    let columns = |schema: &SchemaRef| -> Vec<Value> {
        let column =
            |field: &Arc<arrow::datatypes::Field>| json!({ "name": field.name(), "type": sql_type(field.data_type()) });
        schema.fields().iter().map(column).collect()
    };
    let body = json!({
        "name": scorer.name().to_string(),
        "version": scorer.version(),
        "input": columns(scorer.input()),
        "output": columns(scorer.output()),
    });
    Ok(Json(body).into_response())
}

/// What is asked of `:predict`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call<'a> {
    /// Rows, as objects of columns.
    #[serde(borrow)]
    instances: Vec<&'a RawValue>,
    /// The version of the model; the newest unless told otherwise.
    version: Option<u64>,
    /// The threshold of a classifier of two classes.
    threshold: Option<f64>,
}

/// `POST /v1/models/{name}:predict`
pub(super) async fn predict(
    State(shared): Api,
    Extension(caller): Extension<Caller>,
    Path(call): Path<String>,
    body: std::result::Result<Bytes, BytesRejection>,
) -> std::result::Result<Response, Problem> {
    let took = Stopwatch::start();
    let body = body.map_err(|rejection| wrong_body(&rejection))?;
    let Some((name, "predict")) = call.rsplit_once(':') else {
        return Err(Error::not_found(format!(
            "there is nothing at /v1/models/{call}; POST to /v1/models/NAME:predict"
        ))
        .into());
    };
    let call: Call = serde_json::from_slice(&body).map_err(|error| {
        Error::invalid(format!(
            "the request's JSON is not right: {error}; it is {{\"instances\": [{{\"column\": value, ..}}, ..]}}"
        ))
    })?;
    let scorer = shared.scorers.get(&shared, caller, name, call.version).await?;
    let rows = rows(&scorer, &call.instances)?;
    let count = rows.num_rows() as u64;
    let predictions = match rows.num_rows() {
        // Quicker done than handed over.
        few if few <= INLINE_MAX => scorer.predict(&rows, call.threshold)?,
        _ => {
            let scorer = Arc::clone(&scorer);
            shared.engine.on_work(async move { Ok(scorer.predict(&rows, call.threshold)?) }).await?
        }
    };
    let answer = answer(&scorer, &predictions)?;
    shared.engine.metrics().predicted(&scorer.name().to_string(), count, took);
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

/// The instances as columns.
fn rows(scorer: &Scorer, instances: &[&RawValue]) -> Result<RecordBatch> {
    if instances.is_empty() || instances.len() > INSTANCES_MAX {
        return Err(Error::invalid(format!(
            "a request has from 1 to {INSTANCES_MAX} instances, and this one has {}; ML.PREDICT in SQL scores whole tables",
            instances.len()
        )));
    }
    let schema = scorer.input();
    let mut seen = vec![false; schema.fields().len()];
    let builder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(instances.len());
    let mut decoder = builder.build_decoder().map_err(|error| unfit(scorer, &error))?;
    for (index, instance) in instances.iter().enumerate() {
        seen.fill(false);
        let columns = Columns { schema, seen: &mut seen };
        serde_json::Deserializer::from_str(instance.get())
            .deserialize_map(columns)
            .map_err(|error| Error::invalid(format!("instance {index} is not right: {error}")))?;
        if let Some(missing) = seen.iter().position(|seen| !seen) {
            return Err(lacks(scorer, index, schema.field(missing).name(), instance));
        }
        decoder.decode(instance.get().as_bytes()).map_err(|error| unfit(scorer, &error))?;
    }
    let rows = decoder.flush().map_err(|error| unfit(scorer, &error))?;
    rows.ok_or_else(|| Error::internal("the instances gave no rows"))
}

fn unfit(scorer: &Scorer, error: &ArrowError) -> Error {
    Error::new(
        lakemill_base::ErrorKind::Data,
        format!("the instances do not fit the model's columns: {error}; GET /v1/models/{} lists them", scorer.name()),
    )
}

/// Marks the columns that an instance names; what it says of them is left aside.
struct Columns<'a> {
    schema: &'a Schema,
    seen: &'a mut [bool],
}

impl<'de> Visitor<'de> for Columns<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of columns")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(()) = map.next_key_seed(&mut self)? {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Columns<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> std::result::Result<(), D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for &mut Columns<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<(), E> {
        if let Some(place) = self.schema.fields().iter().position(|field| field.name() == name) {
            self.seen[place] = true;
        }
        Ok(())
    }
}

fn lacks(scorer: &Scorer, index: usize, column: &str, instance: &RawValue) -> Error {
    let message = format!("instance {index} lacks the column '{column}', which model {} needs", scorer.name());
    let given: Map<String, Value> = serde_json::from_str(instance.get()).unwrap_or_default();
    Error::invalid(match did_you_mean(column, given.keys().map(String::as_str)) {
        Some(near) => format!("{message}; did you mean to call '{near}' so?"),
        None => format!("{message}; write null for a value that is not known"),
    })
}

fn answer(scorer: &Scorer, predictions: &RecordBatch) -> Result<Vec<u8>> {
    let mut bytes = br#"{"predictions":"#.to_vec();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(&mut bytes);
    writer.write(predictions).and_then(|()| writer.finish()).map_err(datafusion::error::DataFusionError::from)?;
    drop(writer);
    let name = Value::from(scorer.name().to_string());
    bytes.extend(format!(r#","model_name":{name},"model_version":{}}}"#, scorer.version()).into_bytes());
    Ok(bytes)
}
