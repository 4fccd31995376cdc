//! PostgreSQL's wire protocol, version 3: <https://www.postgresql.org/docs/current/protocol.html>.
//!
//! - `startup`: how a connection begins; `scram`: its password; `connection`: one client's statements; `extended`: those
//!   that are prepared;
//! - `script`: how a text is taken apart; `send`: how answers are sent; `gone`: clients that go away meanwhile;
//! - `own`: what is PostgreSQL's alone, such as BEGIN and SET extra_float_digits; `copy`: rows in and out as text;
//! - `parameters`, `answer`, `numeric`: values and rows between Arrow and the wire; `cancel`: stopping a statement;
//! - `catalog`, `relations`, `functions`: pg_catalog, which clients read before anything else, and `rewrite`: what they
//!   ask of it in words that DataFusion knows.
//!
//! **Architecture invariant:** a transaction block is accepted because clients open one unasked, and never promises what
//! a lake does not give: each statement commits on its own, and a ROLLBACK after a change says that it cannot.

mod answer;
mod cancel;
mod catalog;
mod connection;
mod copy;
mod extended;
mod functions;
mod gone;
mod numeric;
mod own;
mod parameters;
mod relations;
mod rewrite;
mod scram;
mod script;
mod send;
mod startup;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use pgwire::tokio::process_socket;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::connections::accept;
use crate::metrics::Protocol;
use crate::server::Service;
use cancel::Cancels;
use catalog::Template;
use connection::{Connection, Handlers};
use startup::Door;

/// Serves a port until the server stops.
pub(crate) async fn serve(listener: TcpListener, service: Service) {
    let template = match Template::of(service.engine.session()) {
        Ok(template) => template,
        Err(error) => {
            tracing::error!(%error, "pg_catalog cannot be made; PostgreSQL's port stays shut");
            return;
        }
    };
    let cancels = Arc::new(Cancels::default());
    let places = Arc::new(Semaphore::new(service.options.connections_max));
    while let Some((stream, _)) = accept(&listener, &service).await {
        let place = Arc::clone(&places).try_acquire_owned().ok();
        if place.is_none() {
            service.engine.metrics().refused(Protocol::Postgres);
        }
        let Ok(session) = template.connection() else { continue };
        let client = service.engine.client_with(session, Protocol::Postgres);
        let refused = place.is_none().then_some(service.options.connections_max);
        let door = Door::new(service.authority.clone(), service.tls.is_some(), refused);
        let connection = Connection::new(client, Arc::clone(&cancels), door);
        let service = service.clone();
        let tls = service.tls.as_ref().map(|tls| tls.postgres.clone());
        service.connections.clone().spawn(async move {
            let _connected = service.engine.metrics().connection(Protocol::Postgres);
            let handlers = Handlers::new(connection);
            let finish = handlers.finished(&service.stop);
            let Ok((stream, beside)) = beside(stream) else { return };
            let running = handlers.running();
            tokio::select! {
                served = AssertUnwindSafe(process_socket(stream, tls, handlers)).catch_unwind() => match served {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "a PostgreSQL connection has ended early"),
                    Err(_) => tracing::debug!("a PostgreSQL client has sent a message that cannot be read"),
                },
                () = finish => {}
                () = gone::watch(beside, running) => {}
            }
            drop(place);
        });
    }
}

/// Whether a panic is what pgwire's decoders answer to a message that is shorter than it says: the client's fault, which
/// ends its connection and is not worth a report.
pub fn is_of_a_broken_message(panic: &std::panic::PanicHookInfo<'_>) -> bool {
    let said = panic.payload_as_str().unwrap_or_default();
    let of_bytes = panic.location().is_some_and(|location| location.file().contains("/bytes-"));
    of_bytes && said.contains("out of bounds") || said == "capacity overflow"
}

/// The connection, and a second handle of it to look at it from beside.
fn beside(stream: TcpStream) -> std::io::Result<(TcpStream, std::net::TcpStream)> {
    let stream = stream.into_std()?;
    let beside = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, beside))
}
