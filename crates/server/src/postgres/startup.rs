//! How a connection begins: who it is, the namespace that it names, and what it sets.

use std::fmt::Debug;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use futures::{Sink, SinkExt};
use parking_lot::Mutex;
use pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::{
    ClientInfo, METADATA_DATABASE, METADATA_USER, PgWireConnectionState, PidSecretKeyGenerator,
    RandomPidSecretKeyGenerator,
};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::startup::{Authentication, PasswordMessageFamily, Startup};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::answer::pg_error;
use super::connection::Connection;
use super::own::SERVER_VERSION;
use super::scram::{self, Exchange};
use crate::auth::{Authority, Challenge, Peer};
use crate::metrics::Protocol;

static KEYS: LazyLock<RandomPidSecretKeyGenerator> = LazyLock::new(RandomPidSecretKeyGenerator::default);

/// What a connection must pass before it may say anything.
#[derive(Debug)]
pub(super) struct Door {
    /// Says who clients are; `None`: nobody asks.
    authority: Option<Arc<Authority>>,
    /// Whether connections must be encrypted.
    encrypted: bool,
    /// There are this many connections already, and this one is to be told so.
    refused: Option<usize>,
    login: Mutex<Login>,
}

/// How far a login is.
#[derive(Debug, Default)]
enum Login {
    /// Not begun, or over.
    #[default]
    None,
    /// The client knows that it must log in.
    Asked,
    /// The client has the salt, and is to prove that it knows the password.
    Challenged(Box<(Challenge, Exchange)>),
}

impl Door {
    pub(super) fn new(authority: Option<Arc<Authority>>, encrypted: bool, refused: Option<usize>) -> Self {
        Self { authority, encrypted, refused, login: Mutex::default() }
    }
}

#[async_trait]
impl StartupHandler for Connection {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let begun = match message {
            PgWireFrontendMessage::Startup(startup) => self.start(client, &startup).await,
            PgWireFrontendMessage::PasswordMessageFamily(message) => self.log_in(client, message).await,
            _ => Ok(()),
        };
        if let Err(error) = begun {
            // pgwire would say that it is ready for a query after the error, which clients do not expect here.
            let mut info = ErrorInfo::from(error);
            info.severity = "FATAL".to_owned();
            client.send(PgWireBackendMessage::ErrorResponse(info.into())).await?;
            client.close().await?;
        }
        Ok(())
    }
}

impl Connection {
    async fn start<C>(&self, client: &mut C, startup: &Startup) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        protocol_negotiation(client, startup).await?;
        save_startup_parameters_to_metadata(client, startup);
        if let Some(connections_max) = self.door.refused {
            return Err(fatal(
                "53300",
                &format!("too many clients: the server takes {connections_max} (--max-connections)"),
            ));
        }
        if self.door.encrypted && !client.is_secure() {
            return Err(fatal("28000", "this server takes encrypted connections alone: connect with sslmode=require"));
        }
        if self.door.authority.is_some() {
            *self.door.login.lock() = Login::Asked;
            client.set_state(PgWireConnectionState::AuthenticationInProgress);
            return authentication(client, Authentication::SASL(vec![scram::MECHANISM.to_owned()])).await;
        }
        self.enter(client).await
    }

    /// Takes a message of the exchange that proves who the client is.
    async fn log_in<C>(&self, client: &mut C, message: PasswordMessageFamily) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Some(authority) = &self.door.authority else { return Ok(()) };
        let peer = Peer { address: client.socket_addr().ip().to_canonical(), protocol: Protocol::Postgres };
        let login = std::mem::take(&mut *self.door.login.lock());
        match login {
            Login::None => Err(fatal("08P01", "no password was asked for")),
            Login::Asked => {
                let first = message.into_sasl_initial_response()?;
                let user = client.metadata().get(METADATA_USER).cloned().unwrap_or_default();
                let challenge = authority.challenge(&user, peer).await.map_err(|error| pg_error(&error, None))?;
                let mut nonce = [0; scram::NONCE_BYTES];
                lakemill_lake::random(&mut nonce).map_err(|error| pg_error(&error.into(), None))?;
                let begun = (first.auth_method == scram::MECHANISM)
                    .then(|| Exchange::begin(first.data.as_deref().unwrap_or_default(), &challenge.verifier, nonce));
                let exchange = begun.flatten().ok_or_else(malformed)?;
                let answer = Authentication::SASLContinue(exchange.server_first().to_owned().into());
                *self.door.login.lock() = Login::Challenged(Box::new((challenge, exchange)));
                authentication(client, answer).await
            }
            Login::Challenged(begun) => {
                let (challenge, exchange) = *begun;
                let last = message.into_sasl_response()?;
                let answer = exchange.finish(&last.data, &challenge.verifier);
                let principal = authority.judge(&challenge, answer.is_some(), peer);
                let principal = principal.map_err(|error| pg_error(&error, None))?;
                let logged_in = self.client.session().log_in(principal);
                logged_in.map_err(|error| pg_error(&error.into(), None))?;
                authentication(client, Authentication::SASLFinal(answer.unwrap_or_default().into())).await?;
                self.enter(client).await
            }
        }
    }

    /// Lets a client in that is who it says it is, or was not asked.
    async fn enter<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.begin(client).await?;
        let (pid, secret) = KEYS.generate(client);
        client.set_pid_and_secret_key(pid, secret.clone());
        let registered = self.cancels.register(pid, secret.to_bytes().to_vec(), self.running.clone());
        *self.registered.lock() = Some(registered);
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.server_version = SERVER_VERSION.to_owned();
        parameters.search_path = self.client.session().namespace();
        let session = self.client.session().clone();
        let is_admin = self.client.engine().on_work(async move { Ok(session.is_admin().await?) }).await;
        parameters.is_superuser = is_admin.map_err(|error| pg_error(&error, None))?;
        finish_authentication(client, &parameters).await
    }

    /// What the client has said at its start: the database is the namespace, and other words are settings.
    async fn begin<C: ClientInfo>(&self, client: &C) -> PgWireResult<()> {
        let metadata = client.metadata();
        if let Some(namespace) = metadata.get(METADATA_DATABASE).filter(|name| !name.is_empty()) {
            let session = self.client.session().clone();
            let known = self.client.engine().on_work(async move { Ok(session.namespaces().await?) }).await;
            let known = known.map_err(|error| pg_error(&error, None))?;
            // Clients that are not told name their user, or 'postgres', or the lake: those mean the default namespace.
            let usual = ["postgres", "lake", "lakemill"].contains(&namespace.as_str());
            if known.contains(namespace) {
                self.client.session().set_namespace(namespace.clone());
            } else if !usual && metadata.get("user") != Some(namespace) {
                return Err(fatal(
                    "3D000",
                    &format!(
                        "database \"{namespace}\" does not exist: name a namespace of the lake: {}",
                        known.join(", ")
                    ),
                ));
            }
        }
        let mut state = self.state.lock();
        for (name, value) in metadata {
            if state.settings.get(name).is_some() {
                state.settings.set(name, value).map_err(|error| pg_error(&error, None))?;
            }
        }
        Ok(())
    }
}

async fn authentication<C>(client: &mut C, message: Authentication) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    client.send(PgWireBackendMessage::Authentication(message)).await?;
    Ok(())
}

fn malformed() -> PgWireError {
    fatal("08P01", "the login is not one of SCRAM-SHA-256 without channel binding")
}

fn fatal(code: &str, message: &str) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".to_owned(), code.to_owned(), message.to_owned())))
}
