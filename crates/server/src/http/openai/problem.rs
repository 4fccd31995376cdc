//! Errors in OpenAI's shape: `{"error": {"message": .., "type": .., "param": .., "code": ..}}`.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lakemill_base::ErrorKind;
use serde_json::{Value, json};

use crate::error::Error;

/// Seconds that an overloaded server asks its clients to wait where it knows no better.
const RETRY_AFTER_S: u64 = 1;

pub(super) type Result<T, E = Refusal> = std::result::Result<T, E>;

/// An error on its way to a client of OpenAI's API.
#[derive(Debug)]
pub(in super::super) struct Refusal(Box<Detail>);

#[derive(Debug)]
struct Detail {
    error: Error,
    /// The parameter that it is about.
    parameter: Option<String>,
    /// When to try again.
    retry_after_s: Option<u64>,
    /// What programs tell it by, where OpenAI has a word of its own.
    code: Option<&'static str>,
}

impl Refusal {
    /// A parameter is wrong.
    pub(super) fn parameter(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::about(name.into(), Error::invalid(message))
    }

    /// A parameter is right, and not supported.
    pub(super) fn unsupported(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::about(name.into(), Error::unsupported(message))
    }

    fn about(parameter: String, error: Error) -> Self {
        Self(Box::new(Detail { error, parameter: Some(parameter), retry_after_s: None, code: None }))
    }

    /// The body could not be read.
    pub(super) fn body(rejection: &BytesRejection) -> Self {
        Self::from(match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Error::too_large("the request is larger than the server takes (--max-message)")
            }
            _ => Error::invalid(format!("the request cannot be read: {}", rejection.body_text())),
        })
    }

    /// The error as it stands in an answer, and in a stream that it ends.
    pub(super) fn json(&self) -> Value {
        let Detail { error, parameter, code, .. } = &*self.0;
        let status = error.status();
        let kind = match status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let code = code.unwrap_or(match error.code() {
            "overloaded" => "rate_limit_exceeded",
            "not_found" => "model_not_found",
            "unauthenticated" => "invalid_api_key",
            code => code,
        });
        json!({ "error": {
            "message": error.message(),
            "type": kind,
            "param": parameter,
            "code": code,
        } })
    }
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(Box::new(Detail { error: error.into(), parameter: None, retry_after_s: None, code: None }))
    }
}

/// What the engine finds wrong, with the parameter of the protocol that says it.
pub(super) fn of_engine(error: &lakemill_llm::Error) -> Refusal {
    let parameter = error.parameter_name().map(|name| match name {
        "log_probabilities" => "top_logprobs",
        "stop_tokens" => "stop_token_ids",
        "guidance" => "response_format",
        name => name,
    });
    let message = error.to_string();
    let error_of = match error.kind() {
        ErrorKind::Exhausted => Error::overloaded(message),
        kind => Error::new(kind, message),
    };
    // Clients shorten a conversation when they read this.
    let code = (parameter == Some("prompt")).then_some("context_length_exceeded");
    let (parameter, retry_after_s) = (parameter.map(str::to_owned), error.retry_after_s());
    Refusal(Box::new(Detail { error: error_of, parameter, retry_after_s, code }))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Detail { error, retry_after_s, .. } = &*self.0;
        let status = error.status();
        if status.is_server_error() {
            tracing::warn!(code = error.code(), %error, "a request has failed");
        }
        let mut response = (status, Json(self.json())).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let seconds = HeaderValue::from(retry_after_s.unwrap_or(RETRY_AFTER_S).max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, super::super::problem::BEARER);
        }
        response
    }
}
