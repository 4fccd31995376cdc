//! Errors as JSON: `{"error": {"code": .., "message": .., "line": .., "column": ..}}`.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::Error;

/// Seconds that an overloaded server asks its clients to wait.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What a client is asked for that has not said who it is: <https://www.rfc-editor.org/rfc/rfc6750#section-3>.
pub(super) const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"lakemill\"");

/// An error on its way to an HTTP client.
#[derive(Debug)]
pub(super) struct Problem(Error);

impl Problem {
    /// A handler has panicked; the log says how.
    pub(super) fn panicked() -> Response {
        Self(Error::internal("the request has failed unexpectedly; the server's log says more")).into_response()
    }

    /// The error as it stands in an answer.
    pub(super) fn body(error: &Error) -> Value {
        let mut body = json!({ "code": error.code(), "message": error.message() });
        if let Some(position) = error.position() {
            body["line"] = position.line.into();
            body["column"] = position.column.into();
        }
        json!({ "error": body })
    }
}

impl<E: Into<Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let status = error.status();
        if status.is_server_error() {
            tracing::warn!(code = error.code(), %error, "a request has failed");
        }
        let mut response = (status, Json(Self::body(&error))).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, BEARER);
        }
        response
    }
}

/// The body could not be read.
pub(super) fn wrong_body(rejection: &BytesRejection) -> Problem {
    Problem(match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => Error::invalid(format!("the request cannot be read: {}", rejection.body_text())),
    })
}

fn too_large() -> Error {
    Error::too_large("the request is larger than the server takes (--max-message)")
}

pub(super) async fn no_such_path(uri: Uri) -> Problem {
    Problem(Error::not_found(format!("there is nothing at {}; /openapi.json lists what there is", uri.path())))
}

pub(super) async fn wrong_method(uri: Uri) -> Response {
    let error = Error::invalid(format!("{} is not asked for with this method; see /openapi.json", uri.path()));
    (StatusCode::METHOD_NOT_ALLOWED, Json(Problem::body(&error))).into_response()
}
