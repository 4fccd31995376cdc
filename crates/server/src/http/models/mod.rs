//! `/v1/models`: what models there are, and `POST /v1/models/{name}:predict`.
//!
//! The request and the answer have the shape of TensorFlow Serving and KServe: `{"instances": [{..}, ..]}` gives
//! `{"predictions": [{..}, ..]}`. An instance is a row of the columns that the model was trained on; the TRANSFORM
//! clause is the model's own.
//!
//! - `instances`: rows in JSON; `columns`: what they become; `lookup`: columns that they leave to a table;
//!   `batch`: requests that are predicted together; `scorers`: the models that are ready.

mod batch;
mod columns;
mod instances;
mod lookup;
mod scorers;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use lakemill_base::{ErrorKind, Stopwatch};
use lakemill_lake::sql_type;
use lakemill_query::Scorer;
use lakemill_query::language::ModelInfo;
use serde_json::{Value, json};

use super::caller::Caller;
use super::problem::{Problem, wrong_body};
use super::{Api, Shared, openai};
use crate::error::Error;
use instances::Call;
pub(super) use scorers::Scorers;

/// What a request is called, by its client or by us: the name it has in the table of predictions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest name of a request.
const REQUEST_ID_MAX: usize = 128;

/// Rows of a request that is predicted on the thread of its connection, with others that come at the time.
const INLINE_MAX: usize = 64;

/// `GET /v1/models`
pub(super) async fn list(State(shared): Api, Extension(caller): Extension<Caller>) -> Result<Response, Problem> {
    let session = caller.session(&shared);
    let listed = async move { Ok((session.visible_models().await?, session.language_models().await?)) };
    let (models, language) = shared.engine.on_work(listed).await?;
    let entry = |model: &lakemill_lake::ModelEntry| {
        json!({
            "name": model.version.name.to_string(),
            "version": model.version.version,
            "type": model.model_type,
        })
    };
    // Twice: those of the catalog as they have always been listed, and language models as clients of OpenAI's API list them.
    let body = json!({
        "object": "list",
        "data": openai::entries(&language),
        "models": models.iter().map(entry).collect::<Vec<_>>(),
    });
    Ok(Json(body).into_response())
}

/// `GET /v1/models/{name}`
pub(super) async fn describe(
    State(shared): Api,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    if let Some(language) = language_model(&shared, &caller, &name).await? {
        return Ok(Json(openai::entry(&language)).into_response());
    }
    let served = shared.scorers.get(&shared, caller, &name, None).await?;
    let scorer = served.scorer();
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

/// The language model or encoder of this name that the caller may see, if there is one.
async fn language_model(shared: &Shared, caller: &Caller, name: &str) -> Result<Option<ModelInfo>, Error> {
    let (session, name) = (caller.clone().session(shared), name.to_owned());
    let known = shared.engine.on_work(async move { Ok(session.language_model(&name).await?) }).await;
    match known {
        Ok(known) => Ok(Some(known)),
        // Of another kind, or none: whoever looks for it next says so.
        Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `POST /v1/models/{name}:predict`
pub(super) async fn predict(
    State(shared): Api,
    Extension(caller): Extension<Caller>,
    Path(call): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let took = Stopwatch::start();
    let body = body.map_err(|rejection| wrong_body(&rejection))?;
    let Some((name, "predict")) = call.rsplit_once(':') else {
        return Err(Error::not_found(format!(
            "there is nothing at /v1/models/{call}; POST to /v1/models/NAME:predict"
        ))
        .into());
    };
    shared.engine.asked(caller.user())?;
    let mut call = Call::read(&body)?;
    let served = shared.scorers.get(&shared, caller.clone(), name, call.version).await?;
    if let Some(lookup) = &call.lookup {
        call.instances = lookup.fill(&caller.client(&shared), served.scorer(), &call.instances).await?;
    }
    let count = call.instances.len();
    let ticket = shared.service.predictions.as_ref().and_then(|log| log.ticket(request_id(&headers), took));
    let id = ticket.as_ref().and_then(|ticket| HeaderValue::from_str(ticket.id()).ok());
    let lines = match call.threshold {
        None if count <= INLINE_MAX => served.predict(call.instances, ticket).await?,
        threshold => {
            let served = Arc::clone(&served);
            let score = move || served.score(std::iter::once((call.instances.as_slice(), ticket.as_ref())), threshold);
            if count <= INLINE_MAX { score()? } else { shared.engine.on_work(async move { score() }).await? }
        }
    };
    let scorer = served.scorer();
    shared.engine.metrics().predicted(&scorer.name().to_string(), count as u64, took);
    let mut response = ([(header::CONTENT_TYPE, "application/json")], answer(scorer, lines)).into_response();
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(response)
}

/// What the client calls its request; names that are too long are none.
fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    (!id.is_empty() && id.len() <= REQUEST_ID_MAX).then_some(id)
}

/// The answer around its predictions, which stand on a line each.
fn answer(scorer: &Scorer, mut lines: Vec<u8>) -> Vec<u8> {
    lines.pop();
    lines.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b',');
    let name = Value::from(scorer.name().to_string());
    let end = format!(r#"],"model_name":{name},"model_version":{}}}"#, scorer.version());
    [br#"{"predictions":["#, lines.as_slice(), end.as_bytes()].concat()
}
