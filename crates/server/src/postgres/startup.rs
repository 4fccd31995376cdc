//! How a connection begins: the namespace that it names, and what it sets.

use std::fmt::Debug;
use std::sync::LazyLock;

use async_trait::async_trait;
use futures::{Sink, SinkExt};
use pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::{ClientInfo, METADATA_DATABASE, PidSecretKeyGenerator, RandomPidSecretKeyGenerator};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::answer::pg_error;
use super::connection::Connection;
use super::own::SERVER_VERSION;

static KEYS: LazyLock<RandomPidSecretKeyGenerator> = LazyLock::new(RandomPidSecretKeyGenerator::default);

#[async_trait]
impl StartupHandler for Connection {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let begun = self.start(client, message).await;
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
    async fn start<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let PgWireFrontendMessage::Startup(startup) = &message else { return Ok(()) };
        protocol_negotiation(client, startup).await?;
        save_startup_parameters_to_metadata(client, startup);
        if let Some(connections_max) = self.refused {
            return Err(fatal(
                "53300",
                &format!("too many clients: the server takes {connections_max} (--max-connections)"),
            ));
        }
        self.begin(client).await?;
        let (pid, secret) = KEYS.generate(client);
        client.set_pid_and_secret_key(pid, secret.clone());
        let registered = self.cancels.register(pid, secret.to_bytes().to_vec(), self.running.clone());
        *self.registered.lock() = Some(registered);
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.server_version = SERVER_VERSION.to_owned();
        parameters.search_path = self.client.session().namespace();
        finish_authentication(client, &parameters).await
    }

    /// What the client has said at its start: the database is the namespace, and other words are settings.
    async fn begin<C: ClientInfo>(&self, client: &C) -> PgWireResult<()> {
        let metadata = client.metadata();
        if let Some(namespace) = metadata.get(METADATA_DATABASE).filter(|name| !name.is_empty()) {
            let lake = self.client.session().lake().clone();
            let known = self.client.engine().on_work(async move { Ok(lake.namespaces().await?) }).await;
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

fn fatal(code: &str, message: &str) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".to_owned(), code.to_owned(), message.to_owned())))
}
