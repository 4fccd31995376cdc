//! Connections: taken until the server stops, encrypted where there is a certificate; those of the faces that are spoken over HTTP are served up to a limit, and
//! drained.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::auth::Peer;
use crate::metrics::Protocol;
use crate::server::Service;
use crate::tls;

/// How long to wait when the machine gives no more connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is spoken on a port, and how.
#[derive(Clone)]
pub(crate) struct Face {
    pub(crate) protocol: Protocol,
    pub(crate) app: Router,
    pub(crate) builder: Builder<TokioExecutor>,
    /// Where the server has a certificate.
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Serves a port until the server stops.
pub(crate) async fn serve(listener: TcpListener, service: Service, face: Face) {
    let places = Arc::new(Semaphore::new(service.options.connections_max));
    while let Some((stream, address)) = accept(&listener, &service).await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // Closed without a word: whoever opens too many connections is not owed an answer on each.
            service.engine.metrics().refused(face.protocol);
            continue;
        };
        let connection = connection(stream, address, face.clone(), service.clone());
        service.connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
}

/// The next connection; `None` when the server stops.
pub(crate) async fn accept(listener: &TcpListener, service: &Service) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            () = service.stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, address: SocketAddr, face: Face, service: Service) {
    let _connected = service.engine.metrics().connection(face.protocol);
    let _ = stream.set_nodelay(true);
    let peer = Peer { address: address.ip().to_canonical(), protocol: face.protocol };
    match &face.tls {
        None => speak(stream, peer, face, service).await,
        Some(acceptor) => {
            let accepted = tokio::select! {
                accepted = tls::accept(acceptor, stream) => accepted,
                () = service.stop.cancelled() => return,
            };
            match accepted {
                Ok(stream) => speak(stream, peer, face, service).await,
                Err(error) => tracing::debug!(%error, %address, "a client of {} has no TLS", face.protocol.as_str()),
            }
        }
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer, face: Face, service: Service) {
    let app = face.app.layer(Extension(peer));
    let connection = face.builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
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
