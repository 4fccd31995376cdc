//! Which requests are taken: none that a browser sends on behalf of another site.
//!
//! A server that nobody logs into, on loopback, is reached by every page that its user opens. Two doors are shut. A page of another site names
//! itself in `Origin`, and is refused (no CORS header is ever sent either, so that it could not read an answer). A page
//! that has had its own name resolved to this machine (DNS rebinding) has that name in `Host`, and is refused.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Api;
use super::caller::refused;
use crate::error::Error;

pub(super) async fn check(State(shared): Api, request: Request, next: Next) -> Response {
    // A page has no token, and without CORS headers a browser sends none for it.
    if shared.service.authority.is_some() {
        return next.run(request).await;
    }
    match verdict(request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(error) => refused(request.uri().path(), error),
    }
}

fn verdict(headers: &HeaderMap, uri: &Uri) -> Result<(), Error> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // HTTP/2 has the host in the URI.
    let host = text(header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str())).unwrap_or_default();
    if !is_this_machine(host) {
        return Err(Error::invalid(format!(
            "the request is for host '{host}', which this server is not: ask for 127.0.0.1 or localhost"
        )));
    }
    match headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default()) {
        None => Ok(()),
        Some(origin) if origin.strip_prefix("http://").or(origin.strip_prefix("https://")) == Some(host) => Ok(()),
        Some(origin) => Err(Error::invalid(format!("pages of '{origin}' may not use this server"))),
    }
}

/// Whether a `Host` means loopback.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, Uri};

    use super::verdict;

    fn taken(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        verdict(&headers, &Uri::from_static("/v1/sql")).is_ok()
    }

    #[test]
    fn other_sites_and_rebound_names_are_refused() {
        for host in ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "127.0.0.1", "LOCALHOST"] {
            assert!(taken(host, None), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8000", "10.0.0.1:8000", "", "127.0.0.1.evil.example"] {
            assert!(!taken(host, None), "{host}");
        }
        assert!(taken("localhost:8000", Some("http://localhost:8000")));
        assert!(taken("localhost:8000", Some("https://localhost:8000")));
        for origin in ["http://evil.example", "null", "http://localhost:9000", "https://evil.example:8000"] {
            assert!(!taken("localhost:8000", Some(origin)), "{origin}");
        }
    }
}
