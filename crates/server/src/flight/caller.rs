//! Who calls: the user of a token, or, in a handshake, of a password that a token is given for.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use lakemill_query::Principal;
use tonic::{Extensions, Status};

use crate::auth::{Authority, Peer};
use crate::error::{Error, Result};

/// Where drivers log in.
const HANDSHAKE: &str = "/arrow.flight.protocol.FlightService/Handshake";

/// What drivers that log in are given where nobody is asked; it is not looked at again.
const NOBODYS_TOKEN: &str = "lakemill";

/// Whoever makes a call; `None`: nobody was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller(pub(super) Option<Principal>);

impl Caller {
    /// The caller of a request. A call that has come around [`authenticate`] is nobody's, and so may do nothing where
    /// clients must log in.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// The name of the user.
    pub(super) fn user(&self) -> Option<String> {
        self.0.as_ref().map(|principal| principal.user.clone())
    }
}

pub(super) async fn authenticate(
    State(authority): State<Option<Arc<Authority>>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match &authority {
        Some(authority) if request.uri().path() != HANDSHAKE => {
            let principal = match bearer(request.headers()) {
                Ok(token) => authority.by_token(token, peer).await,
                Err(error) => Err(error),
            };
            match principal {
                Ok(principal) => Caller(Some(principal)),
                Err(error) => return Status::from(error).into_http::<axum::body::Body>(),
            }
        }
        _ => Caller(None),
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// The token for a handshake, whose headers have user and password.
///
/// # Errors
/// Unauthenticated: they are missing or wrong.
pub(super) async fn log_in(authority: Option<&Authority>, headers: &HeaderMap, peer: Option<&Peer>) -> Result<String> {
    let Some(authority) = authority else { return Ok(NOBODYS_TOKEN.to_owned()) };
    let peer = *peer.ok_or_else(|| Error::internal("a call has no peer"))?;
    if let Ok(token) = bearer(headers) {
        authority.by_token(token, peer).await?;
        return Ok(token.to_owned());
    }
    let (user, password) = basic(headers)?;
    Ok(authority.open_session(&user, &password, peer).await?.secret().to_owned())
}

fn bearer(headers: &HeaderMap) -> Result<&str> {
    match credentials(headers)? {
        (scheme, token) if scheme.eq_ignore_ascii_case("bearer") => Ok(token),
        _ => Err(missing()),
    }
}

/// <https://www.rfc-editor.org/rfc/rfc7617#section-2>
fn basic(headers: &HeaderMap) -> Result<(String, String)> {
    let decoded = match credentials(headers)? {
        // The driver of Go, which ADBC's is made of, leaves the padding out.
        (scheme, encoded) if scheme.eq_ignore_ascii_case("basic") => {
            STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')).ok()
        }
        _ => None,
    };
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(missing)?;
    let (user, password) = text.split_once(':').ok_or_else(missing)?;
    Ok((user.to_owned(), password.to_owned()))
}

fn credentials(headers: &HeaderMap) -> Result<(&str, &str)> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    let (scheme, rest) = value.split_once(' ').ok_or_else(missing)?;
    Ok((scheme, rest.trim()))
}

fn missing() -> Error {
    Error::unauthenticated(
        "this server asks who calls: log in with username and password, or send a token as authorization: Bearer TOKEN",
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use axum::http::header::AUTHORIZATION;

    use super::{basic, bearer};

    #[test]
    fn both_ways_of_saying_who_calls_are_read() {
        let headers = |value: &str| HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
        assert_eq!(bearer(&headers("Bearer abc")).unwrap(), "abc");
        let (user, password) = basic(&headers("Basic QWxhZGRpbjpvcGVuIHNlc2FtZTp4")).unwrap();
        assert_eq!((user.as_str(), password.as_str()), ("Aladdin", "open sesame:x"));
        assert_eq!(basic(&headers("Basic YW5uOmE")).unwrap(), basic(&headers("Basic YW5uOmE=")).unwrap());
        for wrong in ["", "Basic", "Basic !", "Bearer abc", "Basic QWxhZGRpbg=="] {
            assert!(basic(&headers(wrong)).is_err(), "{wrong}");
        }
        assert!(bearer(&headers("Basic abc")).is_err() && bearer(&HeaderMap::new()).is_err());
    }
}
