//! The ports: bound together or not at all, served until told to stop, then drained.

use std::net::SocketAddr;
use std::sync::Arc;

use lakemill_base::ErrorKind;
use lakemill_query::Session;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Authority;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::{Auth, ServerOptions};
use crate::predictions::PredictionLog;
use crate::tls::Tls;
use crate::{flight, http, postgres};

/// A server whose ports are bound.
#[derive(Debug)]
pub struct Server {
    engine: Arc<Engine>,
    options: ServerOptions,
    http: Option<TcpListener>,
    postgres: Option<TcpListener>,
    flight: Option<TcpListener>,
    authority: Option<Arc<Authority>>,
    tls: Option<Tls>,
    predictions: Option<Arc<PredictionLog>>,
}

/// What every listener needs beside its port.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) engine: Arc<Engine>,
    pub(crate) options: ServerOptions,
    /// Says who clients are; `None`: nobody asks.
    pub(crate) authority: Option<Arc<Authority>>,
    /// `None`: nothing is encrypted.
    pub(crate) tls: Option<Tls>,
    /// `None`: no prediction is kept.
    pub(crate) predictions: Option<Arc<PredictionLog>>,
    /// Cancelled when no new connection is taken and idle ones are closed.
    pub(crate) stop: CancellationToken,
    /// The open connections, which a server that stops waits for.
    pub(crate) connections: TaskTracker,
}

impl Server {
    /// Binds the ports. `session` is what clients' sessions begin as; statements run on `work`, which is best not the
    /// runtime that the connections are served on.
    ///
    /// # Errors
    /// Invalid: an address beyond this machine without logging in or without TLS; files of TLS that cannot be used.
    /// Conflict: a port that is taken.
    pub async fn bind(session: Session, work: Handle, options: ServerOptions) -> Result<Self> {
        let auth = protection(&options)?;
        let tls = options.tls.as_ref().map(Tls::read).transpose()?;
        let own = session.client();
        let (session, authority) = match auth {
            Auth::Off => (session, None),
            Auth::Required => {
                let authority = Authority::new(session.lake().clone(), work.clone(), options.keep_audit).await?;
                (session.locked(), Some(authority))
            }
        };
        let engine = Engine::new(session, work.clone(), &options.statements);
        let keep = |rate| PredictionLog::start(own, &work, rate, Arc::clone(engine.metrics()));
        let predictions = Some(options.log_predictions).filter(|rate| *rate > 0.0).map(keep);
        Ok(Self {
            http: bind("http", options.http).await?,
            postgres: bind("postgres", options.postgres).await?,
            flight: bind("flight", options.flight).await?,
            engine,
            options,
            authority,
            tls,
            predictions,
        })
    }

    /// The addresses that are listened on, by protocol.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let listeners = [("http", &self.http), ("postgres", &self.postgres), ("flight", &self.flight)];
        let address =
            |listener: &Option<TcpListener>| listener.as_ref().and_then(|listener| listener.local_addr().ok());
        listeners.into_iter().filter_map(|(name, listener)| Some((name, address(listener)?))).collect()
    }

    /// Serves until `stop` is done; then takes no new connections and statements, and waits for those that run.
    ///
    /// # Errors
    /// If a listener fails.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<()> {
        let service = Service {
            engine: Arc::clone(&self.engine),
            options: self.options.clone(),
            authority: self.authority.clone(),
            tls: self.tls,
            predictions: self.predictions.clone(),
            stop: CancellationToken::new(),
            connections: TaskTracker::new(),
        };
        if let Some(listener) = self.http {
            service.connections.spawn(http::serve(listener, service.clone()));
        }
        if let Some(listener) = self.postgres {
            service.connections.spawn(postgres::serve(listener, service.clone()));
        }
        if let Some(listener) = self.flight {
            service.connections.spawn(flight::serve(listener, service.clone()));
        }
        stop.await;
        tracing::info!("draining");
        service.stop.cancel();
        self.engine.drain();
        service.connections.close();
        if tokio::time::timeout(self.options.drain_max, service.connections.wait()).await.is_err() {
            tracing::warn!("statements still run after {} s and are stopped", self.options.drain_max.as_secs());
            self.engine.halt();
            let _ = tokio::time::timeout(HALT_MAX, service.connections.wait()).await;
        }
        // Its engines end with their threads, which are not to be torn off: SQL has none of them in use any more.
        let language = self.engine.session().language().clone();
        let _ = tokio::task::spawn_blocking(move || language.shutdown(Some(HALT_MAX))).await;
        if let Some(predictions) = self.predictions
            && tokio::time::timeout(self.options.drain_max, predictions.close()).await.is_err()
        {
            tracing::warn!("predictions that were waiting are not kept: the lake did not take them");
        }
        if let Some(authority) = self.authority {
            authority.close().await;
        }
        Ok(())
    }
}

/// How long stopped statements get to give up what they hold.
const HALT_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// Whether clients must log in. What is open to other machines is protected: clients log in, and what passes is encrypted.
fn protection(options: &ServerOptions) -> Result<Auth> {
    let addresses = [("http", options.http), ("postgres", options.postgres), ("flight", options.flight)];
    let open = addresses.into_iter().find_map(|(name, address)| {
        address.filter(|address| !address.ip().is_loopback()).map(|address| format!("--{name} {address}"))
    });
    let auth = options.auth.unwrap_or(if open.is_some() { Auth::Required } else { Auth::Off });
    match open {
        Some(open) if auth == Auth::Off => Err(Error::invalid(format!(
            "{open} is open to other machines, which --auth off would let do everything: leave it out and make users with \
             'lakemill users add', or listen on 127.0.0.1 or [::1] alone"
        ))),
        Some(open) if options.tls.is_none() && !options.insecure => Err(Error::invalid(format!(
            "{open} is open to other machines, which would send passwords and rows for all to read: give --tls-cert and \
             --tls-key, or --insecure if a proxy before it has TLS"
        ))),
        _ => Ok(auth),
    }
}

async fn bind(name: &str, address: Option<SocketAddr>) -> Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => {
            let (kind, why) = match error.kind() {
                std::io::ErrorKind::AddrInUse => (
                    ErrorKind::Conflict,
                    format!("another process listens there; choose another with --{name}, or 'off' to do without"),
                ),
                std::io::ErrorKind::PermissionDenied => {
                    (ErrorKind::Invalid, "ports below 1024 need rights that this process lacks".to_owned())
                }
                _ => (ErrorKind::Unavailable, error.to_string()),
            };
            Err(Error::new(kind, format!("cannot listen on {address} for {name}: {why}")).with_source(error))
        }
    }
}
