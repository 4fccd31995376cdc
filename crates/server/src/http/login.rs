//! `POST /v1/login`: a token for who has a password, and `POST /v1/logout`: its end. For people at the console; programs
//! have tokens of CREATE TOKEN.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::caller::{Caller, token};
use super::problem::{Problem, wrong_body};
use crate::auth::Peer;
use crate::error::Error;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    user: String,
    password: String,
}

/// `POST /v1/login`
pub(super) async fn log_in(
    State(shared): Api,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| wrong_body(&rejection))?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // A form of another site may not be sent as this.
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(Error::invalid("send {\"user\": .., \"password\": ..} with Content-Type: application/json").into());
    }
    let Credentials { user, password } = serde_json::from_slice(&body).map_err(|_| {
        // What serde has to say may hold the password.
        Error::invalid("the request's JSON is not right: it is {\"user\": \"..\", \"password\": \"..\"}")
    })?;
    let Some(authority) = &shared.service.authority else {
        return Err(Error::invalid("nobody logs into this server (--auth off): ask without a token").into());
    };
    let token = authority.open_session(&user, &password, peer).await?;
    let body = json!({ "user": user, "token": token.secret() });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// `POST /v1/logout`: the token is of no use any more. Those of CREATE TOKEN stay.
pub(super) async fn log_out(State(shared): Api, Extension(caller): Extension<Caller>, headers: HeaderMap) -> Response {
    if let (Some(authority), Some(_), Ok(token)) = (&shared.service.authority, caller.user(), token(&headers)) {
        authority.close_session(token);
    }
    Json(json!({ "message": "logged out" })).into_response()
}

/// `GET /v1/session`: who asks; no user where nobody logs in.
pub(super) async fn who(Extension(caller): Extension<Caller>) -> Response {
    Json(json!({ "user": caller.user() })).into_response()
}
