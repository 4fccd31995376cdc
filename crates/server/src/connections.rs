//! Connections: taken until the server stops; those of the faces that are spoken over HTTP are served up to a limit, and
//! drained.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::metrics::Protocol;
use crate::server::Service;

/// How long to wait when the machine gives no more connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is spoken on a port, and how.
#[derive(Clone)]
pub(crate) struct Face {
    pub(crate) protocol: Protocol,
    pub(crate) app: Router,
    pub(crate) builder: Builder<TokioExecutor>,
}

/// Serves a port until the server stops.
pub(crate) async fn serve(listener: TcpListener, service: Service, face: Face) {
    let places = Arc::new(Semaphore::new(service.options.connections_max));
    while let Some(stream) = accept(&listener, &service).await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // Closed without a word: whoever opens too many connections is not owed an answer on each.
            service.engine.metrics().refused(face.protocol);
            continue;
        };
        let connection = connection(stream, face.clone(), service.clone());
        service.connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
}

/// The next connection; `None` when the server stops.
pub(crate) async fn accept(listener: &TcpListener, service: &Service) -> Option<TcpStream> {
    loop {
        let accepted = tokio::select! {
            () = service.stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => return Some(stream),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, face: Face, service: Service) {
    let _connected = service.engine.metrics().connection(face.protocol);
    let _ = stream.set_nodelay(true);
    let connection = face.builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(face.app));
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = service.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of {} has ended early", face.protocol.as_str());
    }
}
