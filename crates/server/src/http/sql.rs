//! `POST /v1/sql`: a script in, the rows of its last statement out, as JSON lines or as an Arrow stream.
//!
//! The answer begins with the first rows, so that whatever goes wrong before them has a status of its own. What goes
//! wrong later ends JSON lines with a line `{"error": ..}` and cuts an Arrow stream short of its end mark: a client
//! cannot take a part for the whole.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use datafusion::common::ScalarValue;
use futures::{Stream, StreamExt, stream};
use lakemill_query::{Plain, Summary};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Caller;
use super::problem::{Problem, wrong_body};
use crate::cancel::Cancel;
use crate::engine::{Answer, Client, Rows};
use crate::error::{Error, Result};

const JSON_LINES: &str = "application/x-ndjson";
const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    /// One statement, or several with semicolons between them.
    sql: String,
    /// Values for `$1`, `$2` .. of one statement.
    #[serde(default)]
    parameters: Vec<Value>,
}

/// The form that rows are sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    JsonLines,
    Arrow,
}

pub(super) async fn run(
    State(shared): Api,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
) -> std::result::Result<Response, Problem> {
    let body = body.map_err(|rejection| wrong_body(&rejection))?;
    let form = form(&headers)?;
    let query = query(&headers, &body)?;
    let client = caller.client(&shared);
    match execute(&client, &query).await? {
        Answer::Done(summary) => Ok(done(&summary)),
        Answer::Rows(rows) => Ok(send(rows, form).await?),
    }
}

/// By `Accept`; JSON lines where it is silent.
fn form(headers: &HeaderMap) -> Result<Form> {
    let accept = headers.get(header::ACCEPT).map_or(Ok("*/*"), HeaderValue::to_str).unwrap_or_default();
    let known = |kind: &str| match kind.split(';').next().unwrap_or_default().trim() {
        ARROW_STREAM => Some(Form::Arrow),
        JSON_LINES | "application/jsonl" | "application/json" | "application/*" | "*/*" => Some(Form::JsonLines),
        _ => None,
    };
    accept.split(',').find_map(known).ok_or_else(|| {
        Error::invalid(format!(
            "rows are sent as {JSON_LINES} or {ARROW_STREAM}, not as '{accept}' (the header Accept)"
        ))
    })
}

fn query(headers: &HeaderMap, body: &Bytes) -> Result<Query> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => serde_json::from_slice(body).map_err(|error| {
            Error::invalid(format!("the request's JSON is not right: {error}; it is {{\"sql\": \"SELECT ..\"}}"))
        }),
        "application/sql" => match std::str::from_utf8(body) {
            Ok(sql) => Ok(Query { sql: sql.to_owned(), parameters: Vec::new() }),
            Err(error) => Err(Error::invalid(format!("the SQL is not UTF-8: {error}"))),
        },
        // A page of any site may send text/plain and forms without being asked; these two it may not.
        other => Err(Error::invalid(format!(
            "send {{\"sql\": ..}} with Content-Type: application/json, or the SQL itself as application/sql, not '{other}'"
        ))),
    }
}

async fn execute(client: &Client, query: &Query) -> Result<Answer> {
    let statements = client.parse(&query.sql)?;
    let Some((last, before)) = statements.split_last() else {
        return Err(Error::invalid("the request has no statement"));
    };
    if !query.parameters.is_empty() && !before.is_empty() {
        return Err(Error::invalid("parameters go with one statement, and the request has several"));
    }
    for statement in before {
        if let Answer::Rows(mut rows) = client.run(statement, &Cancel::default()).await? {
            while let Some(batch) = rows.next().await {
                batch?;
            }
        }
    }
    let values: Vec<ScalarValue> = query.parameters.iter().enumerate().map(value).collect::<Result<_>>()?;
    client.run(&last.bind(&values)?, &Cancel::default()).await
}

fn value((index, value): (usize, &Value)) -> Result<ScalarValue> {
    match value {
        Value::Null => Ok(ScalarValue::Null),
        Value::Bool(flag) => Ok(ScalarValue::from(*flag)),
        Value::String(text) => Ok(ScalarValue::from(text.as_str())),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(ScalarValue::from(whole)),
            (None, Some(float)) => Ok(ScalarValue::from(float)),
            (None, None) => Err(Error::invalid(format!("parameter ${} is too large: {number}", index + 1))),
        },
        Value::Array(_) | Value::Object(_) => Err(Error::invalid(format!(
            "parameter ${} is a list or an object; parameters are numbers, texts, true, false and null",
            index + 1
        ))),
    }
}

fn done(summary: &Summary) -> Response {
    let details: serde_json::Map<String, Value> =
        summary.details.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    Json(json!({ "message": summary.message, "rows": summary.rows, "details": details })).into_response()
}

async fn send(mut rows: Rows, form: Form) -> Result<Response> {
    let schema = Arc::clone(rows.schema());
    let first = rows.next().await.transpose()?;
    let batches = stream::iter(first.map(Ok)).chain(rows);
    let (kind, body) = match form {
        Form::JsonLines => (JSON_LINES, Body::from_stream(json_lines(batches))),
        Form::Arrow => (ARROW_STREAM, Body::from_stream(arrow_stream(schema, batches)?)),
    };
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

fn json_lines(batches: impl Stream<Item = Result<RecordBatch>>) -> impl Stream<Item = Result<Bytes>> {
    let mut ended = false;
    batches.map(move |batch| {
        let lines = batch.and_then(|batch| lines(&batch));
        if ended {
            return Ok(Bytes::new());
        }
        Ok(lines.unwrap_or_else(|error| {
            ended = true;
            Bytes::from(format!("{}\n", Problem::body(&error)))
        }))
    })
}

/// A batch as lines of JSON, NULL included.
pub(super) fn lines(batch: &RecordBatch) -> Result<Bytes> {
    let mut bytes = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut bytes);
    let written = writer.write(batch).and_then(|()| writer.finish());
    written.map_err(|error| Error::invalid(format!("the rows have no form in JSON: {error}; CAST them")))?;
    drop(writer);
    Ok(bytes.into())
}

/// The schema, the batches and, after the last one, the end mark.
fn arrow_stream(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> Result<impl Stream<Item = Result<Bytes>>> {
    let plain = Plain::of(&schema);
    let writer = StreamWriter::try_new(Vec::new(), plain.schema()).map_err(datafusion::error::DataFusionError::from)?;
    let batches = batches.map(move |batch| batch.and_then(|batch| Ok(plain.batch(&batch)?)));
    Ok(stream::unfold((Some(writer), batches.boxed()), async |(writer, mut batches)| {
        let mut writer = writer?;
        let written = match batches.next().await {
            Some(Ok(batch)) => writer.write(&batch).map(|()| false),
            Some(Err(error)) => return Some((Err(error), (None, batches))),
            None => writer.finish().map(|()| true),
        };
        match written {
            Err(error) => Some((Err(datafusion::error::DataFusionError::from(error).into()), (None, batches))),
            Ok(ended) => {
                let bytes = Bytes::from(std::mem::take(writer.get_mut()));
                Some((Ok(bytes), ((!ended).then_some(writer), batches)))
            }
        }
    }))
}
