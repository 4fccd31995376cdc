//! `POST /v1/embeddings`: texts in, vectors of length 1 out.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lakemill_query::language::Embedder;
use serde_json::{Value, json};

use super::super::Api;
use super::super::caller::Caller;
use super::models::{self, Opened};
use super::parameters::{Parameters, wrong};
use super::problem::{Refusal, Result};

/// Texts of one request; OpenAI's limit.
const TEXTS_MAX: usize = 2_048;

/// Texts that are embedded at a time: a client that hangs up, or a server that stops, is noticed between them.
const TEXTS_TOGETHER: usize = 32;

/// The form of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A list of numbers.
    Numbers,
    /// 32-bit floats, little-endian, in Base64: what the official client asks for, since it is read faster.
    Base64,
}

impl Form {
    fn take(parameters: &mut Parameters) -> Result<Self> {
        match parameters.text("encoding_format")?.as_deref() {
            None | Some("float") => Ok(Self::Numbers),
            Some("base64") => Ok(Self::Base64),
            Some(other) => {
                let message = format!("'encoding_format' is '{other}'; it is 'float' or 'base64'");
                Err(Refusal::parameter("encoding_format", message))
            }
        }
    }

    fn write(self, vector: &[f32]) -> Value {
        match self {
            Self::Numbers => vector.into(),
            Self::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                STANDARD.encode(bytes).into()
            }
        }
    }
}

/// `POST /v1/embeddings`
pub(in super::super) async fn create(
    State(shared): Api,
    Extension(caller): Extension<Caller>,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Response> {
    let Opened { mut parameters, model, .. } = models::open(&shared, &caller, body)?;
    let texts = texts(parameters.take("input"))?;
    let form = Form::take(&mut parameters)?;
    let width = parameters.count("dimensions", 1..=usize::from(u16::MAX))?;
    parameters.finish()?;
    let embedder = models::embedder(&shared, caller, &model).await?;
    if let Some(width) = width.filter(|width| *width != embedder.width()) {
        let message = format!("'dimensions' is {width}; vectors of model '{model}' have {} elements", embedder.width());
        return Err(Refusal::unsupported("dimensions", message));
    }
    let (mut data, mut tokens) = (Vec::with_capacity(texts.len()), 0);
    let texts: Arc<[String]> = texts.into();
    for first in (0..texts.len()).step_by(TEXTS_TOGETHER) {
        let (texts, embedder) = (Arc::clone(&texts), Arc::clone(&embedder));
        let last = texts.len().min(first + TEXTS_TOGETHER);
        let vectors = models::prepare(&shared, move || embed(&embedder, &texts[first..last])).await?;
        for (vector, count) in vectors {
            tokens += count;
            data.push(json!({ "object": "embedding", "index": data.len(), "embedding": form.write(&vector) }));
        }
    }
    let body = json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    });
    Ok(Json(body).into_response())
}

/// Vectors, and how many tokens each text has.
fn embed(embedder: &Embedder, texts: &[String]) -> Result<Vec<(Vec<f32>, usize)>> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Ok(embedder.embed(&texts)?.into_iter().map(|vector| (vector.values, vector.tokens)).collect())
}

fn texts(input: Option<Value>) -> Result<Vec<String>> {
    let values = match input {
        None => return Err(Refusal::parameter("input", "'input' is missing; it is a string or a list of strings")),
        Some(Value::String(text)) => vec![Value::String(text)],
        Some(Value::Array(values)) => values,
        Some(other) => return Err(wrong("input", &other, "a string or a list of strings")),
    };
    if values.is_empty() || values.len() > TEXTS_MAX {
        let message = format!("'input' has {} texts; a request has from 1 to {TEXTS_MAX}", values.len());
        return Err(Refusal::parameter("input", message));
    }
    let text = |value: Value| match value {
        Value::String(text) if text.is_empty() => Err(Refusal::parameter("input", "a text of 'input' is empty")),
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Array(_) => Err(Refusal::unsupported(
            "input",
            "'input' has token ids, which are of a tokenizer that the server cannot know; send texts",
        )),
        other => Err(wrong("input", &other, "a string or a list of strings")),
    };
    values.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Form, texts};

    #[test]
    fn inputs_are_texts() {
        assert_eq!(texts(Some(json!("a"))).unwrap(), ["a"]);
        assert_eq!(texts(Some(json!(["a", "b"]))).unwrap(), ["a", "b"]);
        for wrong in [json!([]), json!(""), json!([1, 2]), json!([[1]]), json!({}), json!(vec!["a"; 2049])] {
            assert!(texts(Some(wrong.clone())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn vectors_are_written_as_the_client_reads_them() {
        // numpy.frombuffer(base64.b64decode("AACAPwAAAMA="), dtype="<f4") is [1, -2].
        assert_eq!(Form::Base64.write(&[1.0, -2.0]), "AACAPwAAAMA=");
        assert_eq!(Form::Numbers.write(&[1.0, -2.5]), json!([1.0, -2.5]));
    }
}
