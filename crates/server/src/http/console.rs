//! The console: a web page for people, built from `console/` and part of the binary.
//!
//! Its pages lie behind the `#` of the address, so the server knows one page and its files.
//!
//! **Architecture invariant:** the page runs its own files alone (`Content-Security-Policy`), so that no text of a lake can
//! become a script, and no other site can show it in a frame.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use rust_embed::RustEmbed;

use super::problem::Problem;
use crate::error::Error;

/// The built page, below the repository's root.
#[derive(RustEmbed)]
#[folder = "../../console/dist"]
struct Files;

/// The editor sets its styles from a script, which is what `unsafe-inline` lets it do.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's parts have their contents' hash in their names, the page itself has not.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

const PAGE: &str = "index.html";

/// `GET /` and `GET /console`
pub(super) async fn enter() -> Redirect {
    Redirect::temporary("/console/")
}

/// `GET /console/`
pub(super) async fn page() -> Response {
    file(PAGE)
        .unwrap_or_else(|| Problem::from(Error::internal("the console is not part of this binary")).into_response())
}

/// `GET /console/{path}`
pub(super) async fn below(Path(path): Path<String>) -> Response {
    let missing = || Problem::from(Error::not_found(format!("there is no file /console/{path}"))).into_response();
    file(&path).unwrap_or_else(missing)
}

fn file(path: &str) -> Option<Response> {
    let found = Files::get(path)?;
    let kind = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("md") => "text/markdown; charset=utf-8",
        _ => "application/octet-stream",
    };
    let kept = if path.starts_with("assets/") { FOR_EVER } else { ASK_AGAIN };
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept), (header::CONTENT_SECURITY_POLICY, POLICY)];
    Some((headers, found.data).into_response())
}
