//! What operators look at: metrics, and whether the server lives and is ready.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use lakemill_query::language::Loaded;

use super::Api;
use super::problem::Problem;

/// Prometheus asks for this type: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`
pub(super) async fn metrics(State(shared): Api) -> Result<Response, Problem> {
    let engine = &shared.engine;
    let memory_bytes = engine.session().memory_used_bytes();
    let loaded = engine.session().language().loaded().into_iter();
    let engines = loaded.filter_map(|loaded| match loaded {
        Loaded::Generator(generator) => Some((generator.info().name.clone(), generator.service().statistics())),
        Loaded::Embedder(_) => None,
    });
    let (running, queued) = (engine.admission().running(), engine.admission().queued());
    let text = engine.metrics().text(running, queued, memory_bytes, engines.collect::<BTreeMap<_, _>>())?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

/// `GET /healthz`: the process lives.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the catalog answers, and the server takes statements.
pub(super) async fn ready(State(shared): Api) -> Response {
    if shared.service.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down\n").into_response();
    }
    let lake = shared.engine.session().lake().clone();
    match shared.engine.on_work(async move { Ok(lake.namespaces().await?) }).await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}
