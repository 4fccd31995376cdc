//! HTTP: SQL, predictions, and what operators look at.
//!
//! - `sql`: `POST /v1/sql`; `models`: `/v1/models` and `:predict`; `openai`: language models, by OpenAI's API;
//!   `operate`: metrics and health; `openapi`: the description of all of them;
//! - `console`: the web page for people;
//! - `guard`: which requests are taken at all; `caller`: who asks; `login`: how people say so; `problem`: errors as JSON; `linger`: how they arrive.
//!
//! **Architecture invariant:** a page of another site, open in the user's browser, cannot make it ask this server for
//! anything: see `guard`.

mod caller;
mod console;
mod guard;
mod linger;
mod login;
mod models;
mod openai;
mod openapi;
mod operate;
mod problem;
mod sql;

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::connections::{self, Face};
use crate::engine::Engine;
use crate::metrics::Protocol;
use crate::server::Service;
use models::Scorers;
use problem::Problem;

/// How long a client may take to send the head of a request.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// A browser must not take rows for a page, whatever they hold.
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");

/// What handlers share.
#[derive(Debug)]
struct Shared {
    engine: Arc<Engine>,
    scorers: Scorers,
    service: Service,
    /// Places for what keeps a thread busy before a language model begins.
    preparing: Arc<Semaphore>,
}

type Api = State<Arc<Shared>>;

/// Serves a port until the server stops.
pub(crate) async fn serve(listener: TcpListener, service: Service) {
    let engine = Arc::clone(&service.engine);
    let preparing = Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get)));
    let shared = Arc::new(Shared { engine, scorers: Scorers::default(), service: service.clone(), preparing });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(service.options.idle_max);
    let tls = service.tls.as_ref().map(|tls| tls.http.clone());
    connections::serve(listener, service, Face { protocol: Protocol::Http, app: router(shared), builder, tls }).await;
}

fn router(shared: Arc<Shared>) -> Router {
    let body_max = shared.service.options.message_bytes_max;
    Router::new()
        .route("/", get(console::enter))
        .route("/console", get(console::enter))
        .route("/console/", get(console::page))
        .route("/console/{*path}", get(console::below))
        .route("/v1/sql", post(sql::run))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{call}", get(models::describe).post(models::predict))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(openai::completions))
        .route("/v1/embeddings", post(openai::embeddings))
        .route("/v1/login", post(login::log_in))
        .route("/v1/logout", post(login::log_out))
        .route("/v1/session", get(login::who))
        .route("/openapi.json", get(openapi::document))
        .route("/metrics", get(operate::metrics))
        .route("/healthz", get(operate::health))
        .route("/readyz", get(operate::ready))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::max(body_max))
        .layer(RequestBodyTimeoutLayer::new(shared.service.options.idle_max))
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFFING))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), caller::authenticate))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::check))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), count))
        .layer(CatchPanicLayer::custom(|_| Problem::panicked()))
        .layer(middleware::from_fn(linger::linger))
        .with_state(shared)
}

/// Counts the answer by its route.
async fn count(State(shared): Api, route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    shared.engine.metrics().request(route, response.status().as_u16());
    response
}
