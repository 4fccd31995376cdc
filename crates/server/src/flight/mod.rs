//! Arrow Flight SQL: <https://arrow.apache.org/docs/format/FlightSql.html>.
//!
//! - `caller`: who calls; `service`: the calls of Flight, and which command goes where;
//! - `query`: queries and their tickets; `prepared`: prepared statements; `update`: statements without rows;
//!   `ingest`: rows in bulk; `metadata` and `about`: what there is, and what the server can;
//! - `rows` and `status`: batches and errors between the engine and the wire.
//!
//! Only HTTP/2 without a prelude is spoken, which no browser does: pages of other sites cannot reach this face.
//!
//! **Architecture invariant:** a ticket carries all that its rows depend on, so that nothing is held between the call
//! that gives it and the one that takes it; prepared statements are all that a client can leave here, and are bounded.

mod about;
mod caller;
mod ingest;
mod metadata;
mod prepared;
mod query;
mod rows;
mod service;
mod status;
mod update;

use arrow_flight::flight_service_server::FlightServiceServer;
use axum::middleware;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tower_http::catch_panic::CatchPanicLayer;

use crate::connections::{self, Face};
use crate::error::Error;
use crate::metrics::Protocol;
use crate::server::Service;
use service::FlightSql;

/// How many times larger than other requests a message with rows may be: a batch is sent in one, and drivers send them
/// as their programs made them.
const BATCH_TIMES: usize = 4;

/// Calls of a connection at a time; each may hold a message.
const CALLS_MAX: u32 = 100;

/// Serves a port until the server stops.
pub(crate) async fn serve(listener: TcpListener, service: Service) {
    let message_bytes_max = service.options.message_bytes_max.saturating_mul(BATCH_TIMES);
    let flight = FlightServiceServer::new(FlightSql::new(&service)).max_decoding_message_size(message_bytes_max);
    let app = Routes::new(flight)
        .into_axum_router()
        .layer(middleware::from_fn_with_state(service.authority.clone(), caller::authenticate))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            let error = Error::internal("the call has failed unexpectedly; the server's log says more");
            tonic::Status::from(error).into_http::<axum::body::Body>()
        }));
    let mut builder = Builder::new(TokioExecutor::new()).http2_only();
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(service.options.idle_max);
    builder.http2().max_concurrent_streams(CALLS_MAX);
    let tls = service.tls.as_ref().map(|tls| tls.flight.clone());
    connections::serve(listener, service, Face { protocol: Protocol::Flight, app, builder, tls }).await;
}
