//! Who asks: the user of the token in `Authorization`, where clients must log in.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lakemill_query::{Principal, Session};

use super::problem::Problem;
use super::{Api, Shared, openai};
use crate::auth::Peer;
use crate::engine::Client;
use crate::error::{Error, Result};
use crate::metrics::Protocol;

/// What anybody may ask: machines that watch the server have no tokens, and learn nothing but that it lives; people get
/// theirs by a password, from a page that is the same for all.
const OPEN: [&str; 5] = ["/healthz", "/readyz", "/v1/login", "/", "/console"];

fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || path.starts_with("/console/")
}

/// Whoever sends a request; `None`: nobody was asked.
#[derive(Clone, Debug)]
pub(super) struct Caller(Option<Principal>);

impl Caller {
    /// The name of the user.
    pub(super) fn user(&self) -> Option<&str> {
        self.0.as_ref().map(|principal| principal.user.as_str())
    }

    /// A client with a session of its own.
    pub(super) fn client(self, shared: &Shared) -> Client {
        shared.engine.client(self.0, Protocol::Http)
    }

    /// A session of its own.
    pub(super) fn session(self, shared: &Shared) -> Session {
        shared.engine.session_of(self.0)
    }
}

pub(super) async fn authenticate(
    State(shared): Api,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match &shared.service.authority {
        Some(authority) if !is_open(request.uri().path()) => {
            let principal = match token(request.headers()) {
                Ok(token) => authority.by_token(token, peer).await,
                Err(error) => Err(error),
            };
            match principal {
                Ok(principal) => Caller(Some(principal)),
                Err(error) => return refused(request.uri().path(), error),
            }
        }
        _ => Caller(None),
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// An error in the shape that the path's clients read.
pub(super) fn refused(path: &str, error: Error) -> Response {
    match openai::speaks(path) {
        true => openai::refuse(error),
        false => Problem::from(error).into_response(),
    }
}

/// <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>
pub(super) fn token(headers: &HeaderMap) -> Result<&str> {
    let missing =
        || Error::unauthenticated("this server asks for a token: Authorization: Bearer TOKEN; CREATE TOKEN makes one");
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(token.trim()),
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::token;

    #[test]
    fn only_bearer_tokens_are_taken() {
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(axum::http::header::AUTHORIZATION, value.parse().unwrap())]);
            token(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").unwrap(), "abc");
        assert_eq!(of("bearer  abc ").unwrap(), "abc");
        for wrong in ["", "Bearer", "Bearer ", "Basic YTpi", "abc"] {
            assert_eq!(of(wrong).unwrap_err().status(), 401, "{wrong}");
        }
        assert!(token(&HeaderMap::new()).is_err());
    }
}
