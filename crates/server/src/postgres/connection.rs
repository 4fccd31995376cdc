//! One client: what it has set, prepared and opened, and its statements on their way.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use futures::{Sink, SinkExt};
use lakemill_query::StatementKind;
use parking_lot::Mutex;
use pgwire::api::auth::StartupHandler;
use pgwire::api::copy::CopyHandler;
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler, send_ready_for_query};
use pgwire::api::results::{Response, Tag};
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, PgWireConnectionState, PgWireServerHandlers};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyData, CopyDone, CopyFail};
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::simplequery::Query;
use tokio_util::sync::CancellationToken;

use super::answer::{self, pg_error};
use super::cancel::{Cancels, Registered, Running};
use super::copy::{self, CopyIn};
use super::extended::{Extended, Preparer};
use super::own::{Own, Settings};
use super::script::{Piece, Statement, take_apart};
use super::send::{Way, send};
use super::startup::Door;
use crate::engine::{Answer, Client};
use crate::error::{Error, Result};

/// How often a server that stops looks whether a connection has come to its end.
const LOOK: Duration = Duration::from_millis(50);

/// One client.
pub(super) struct Connection {
    pub(super) client: Client,
    compatibility: PostgresCompatibilityParser,
    pub(super) cancels: Arc<Cancels>,
    pub(super) running: Running,
    /// Keeps the connection known to cancel requests.
    pub(super) registered: Mutex<Option<Registered>>,
    pub(super) state: Mutex<State>,
    pub(super) door: Door,
}

/// What changes while a client is connected.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) settings: Settings,
    /// What the open transaction block has changed, first to last.
    changed: Vec<String>,
    /// The savepoints of the block, with how much had been changed at each.
    savepoints: Vec<(String, usize)>,
    copy_in: Option<CopyIn>,
}

impl Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(client: Client, cancels: Arc<Cancels>, door: Door) -> Self {
        Self {
            client,
            compatibility: PostgresCompatibilityParser::new(),
            cancels,
            running: Running::default(),
            registered: Mutex::default(),
            state: Mutex::default(),
            door,
        }
    }

    pub(super) fn take_apart(&self, text: &str) -> PgWireResult<Vec<Piece>> {
        take_apart(self.client.session(), &self.compatibility, text)
    }

    /// Runs one statement, whose parameters are bound.
    pub(super) async fn run<C: ClientInfo>(
        &self,
        client: &mut C,
        piece: &Piece,
        rows: &answer::Format,
        described: Option<&SchemaRef>,
    ) -> PgWireResult<Response> {
        let status = client.transaction_status();
        let ends = matches!(piece.statement, Statement::Own(Own::Commit | Own::Rollback | Own::RollbackTo(_)));
        if status == TransactionStatus::Error && !ends {
            return Err(aborted());
        }
        match &piece.statement {
            Statement::Own(own) => self.own(client, own),
            Statement::Copy(copy) => self.copy(copy).await.map_err(|error| pg_error(&error, Some(piece))),
            Statement::Engine(parsed) => {
                let (cancel, run) = self.running.begin();
                let time_max = self.state.lock().settings.statement_timeout();
                let answered = self.client.run_within(parsed, &cancel, time_max).await;
                match answered.map_err(|error| pg_error(&error, Some(piece)))? {
                    Answer::Rows(data) => answer::rows(data, rows, described, run),
                    Answer::Done(summary) => {
                        if status == TransactionStatus::Transaction && parsed.kind != StatementKind::Session {
                            self.state.lock().changed.push(summary.message.clone());
                        }
                        Ok(Response::Execution(answer::tag(&parsed.text, &summary)))
                    }
                }
            }
        }
    }

    fn own<C: ClientInfo>(&self, client: &mut C, own: &Own) -> PgWireResult<Response> {
        let mut state = self.state.lock();
        let wrong = |error: Error| pg_error(&error, None);
        Ok(match own {
            Own::Begin => {
                state.begin();
                Response::TransactionStart(Tag::new("BEGIN"))
            }
            Own::Commit => {
                state.begin();
                // PostgreSQL answers so to the COMMIT of a block that has failed.
                let failed = client.transaction_status() == TransactionStatus::Error;
                Response::TransactionEnd(Tag::new(if failed { "ROLLBACK" } else { "COMMIT" }))
            }
            Own::Rollback => {
                let kept = state.kept(0);
                state.begin();
                client.set_transaction_status(TransactionStatus::Idle);
                kept.map_err(wrong)?;
                Response::TransactionEnd(Tag::new("ROLLBACK"))
            }
            Own::Savepoint(name) => {
                let changes = state.changed.len();
                state.savepoints.push((name.clone(), changes));
                Response::Execution(Tag::new("SAVEPOINT"))
            }
            Own::RollbackTo(name) => {
                let known = state.savepoints.iter().rposition(|(known, _)| known == name);
                let known = known.ok_or_else(|| wrong(Error::not_found(format!("there is no savepoint '{name}'"))))?;
                state.savepoints.truncate(known + 1);
                let changes = state.savepoints[known].1;
                state.kept(changes).map_err(wrong)?;
                client.set_transaction_status(TransactionStatus::Transaction);
                Response::Execution(Tag::new("ROLLBACK"))
            }
            Own::Taken(tag) => Response::Execution(Tag::new(tag)),
            Own::Set { name, value } => {
                state.settings.set(name, value).map_err(wrong)?;
                Response::Execution(Tag::new("SET"))
            }
            Own::Show { name } => answer::value(name, state.settings.get(name).unwrap_or_default())?,
            Own::Reset { name } => {
                state.settings.reset(name.as_deref());
                Response::Execution(Tag::new("RESET"))
            }
            Own::Discard(tag) => {
                if *tag == "DISCARD ALL" {
                    state.settings.reset(None);
                }
                Response::Execution(Tag::new(tag))
            }
            Own::Unsupported(what) => {
                return Err(wrong(Error::unsupported(format!("{what} is not supported by a lake"))));
            }
        })
    }

    async fn copy(&self, copy: &copy::Copy) -> Result<Response> {
        match copy.direction {
            copy::Direction::Out => {
                let (cancel, run) = self.running.begin();
                copy::out(&self.client, copy, &cancel, run).await
            }
            copy::Direction::In => {
                let (receiving, response) = CopyIn::begin(&self.client, copy).await?;
                self.state.lock().copy_in = Some(receiving);
                Ok(response)
            }
        }
    }
}

impl State {
    /// A block begins, or has ended.
    fn begin(&mut self) {
        self.changed.clear();
        self.savepoints.clear();
    }

    /// That nothing was changed after the first `changes` of the block's changes, so that they can be undone by doing
    /// nothing.
    fn kept(&self, changes: usize) -> Result<()> {
        match self.changed.get(changes) {
            None => Ok(()),
            Some(changed) => Err(Error::unsupported(format!(
                "cannot roll back: each statement commits on its own, and this block has {changed}; \
                 RESTORE TABLE .. TO VERSION takes a table back"
            ))),
        }
    }
}

/// What a block that has failed says to everything but its end.
fn aborted() -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new(
        "ERROR".to_owned(),
        "25P02".to_owned(),
        "current transaction is aborted, commands ignored until end of transaction block".to_owned(),
    )))
}

#[async_trait]
impl SimpleQueryHandler for Connection {
    /// Runs the statements of a text one after the other, and answers each before the next one begins.
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let pieces = self.take_apart(&query.query)?;
        for piece in &pieces {
            if matches!(client.state(), PgWireConnectionState::CopyInProgress(_)) {
                client.set_state(PgWireConnectionState::QueryInProgress);
                self.state.lock().copy_in = None;
                let error = Error::unsupported("COPY FROM STDIN is the last statement of a text");
                return Err(pg_error(&error, None));
            }
            let response = self.run(client, piece, &answer::Format::UnifiedText, None).await?;
            send(client, response, Way::Simple).await?;
        }
        if pieces.is_empty() {
            send(client, Response::EmptyQuery, Way::Simple).await?;
        }
        if !matches!(client.state(), PgWireConnectionState::CopyInProgress(_)) {
            client.set_state(PgWireConnectionState::ReadyForQuery);
            send_ready_for_query(client, client.transaction_status()).await?;
        }
        Ok(())
    }

    async fn do_query<C>(&self, _: &mut C, _: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        Err(pg_error(&Error::internal("texts are answered as they run"), None))
    }
}

#[async_trait]
impl CopyHandler for Connection {
    async fn on_copy_data<C>(&self, _: &mut C, data: CopyData) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Some(mut receiving) = self.state.lock().copy_in.take() else { return Ok(()) };
        // A COPY that has failed is over: what the client still sends of it counts no more.
        receiving.take(&data.data).await.map_err(|error| pg_error(&error, None))?;
        self.state.lock().copy_in = Some(receiving);
        Ok(())
    }

    async fn on_copy_done<C>(&self, client: &mut C, _: CopyDone) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let receiving = self.state.lock().copy_in.take();
        let Some(receiving) = receiving else { return Ok(()) };
        let (cancel, _run) = self.running.begin();
        let rows = receiving.finish(&self.client, &cancel).await.map_err(|error| pg_error(&error, None))?;
        if client.transaction_status() == TransactionStatus::Transaction {
            self.state.lock().changed.push(format!("copied {rows} rows"));
        }
        let tag = Tag::new("COPY").with_rows(usize::try_from(rows).unwrap_or(usize::MAX));
        client.send(PgWireBackendMessage::CommandComplete(tag.into())).await?;
        Ok(())
    }

    async fn on_copy_fail<C>(&self, _: &mut C, fail: CopyFail) -> PgWireError
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.state.lock().copy_in = None;
        PgWireError::UserError(Box::new(ErrorInfo::new(
            "ERROR".to_owned(),
            "57014".to_owned(),
            format!("COPY from stdin failed: {}; nothing was committed", fail.message),
        )))
    }
}

/// A connection as pgwire asks for it.
#[derive(Debug)]
pub(super) struct Handlers {
    connection: Arc<Connection>,
    extended: Arc<Extended>,
}

impl Handlers {
    /// What the connection runs.
    pub(super) fn running(&self) -> Running {
        self.connection.running.clone()
    }

    pub(super) fn new(connection: Connection) -> Self {
        let connection = Arc::new(connection);
        let preparer = Arc::new(Preparer::new(Arc::clone(&connection)));
        let extended = Arc::new(Extended::new(Arc::clone(&connection), preparer));
        Self { connection, extended }
    }

    /// When the server stops: as soon as the connection runs nothing.
    pub(super) fn finished(&self, stop: &CancellationToken) -> impl Future<Output = ()> + use<> {
        let (connection, stop) = (Arc::clone(&self.connection), stop.clone());
        async move {
            stop.cancelled().await;
            while connection.running.is_busy() {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.connection)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::clone(&self.extended)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.connection)
    }

    fn copy_handler(&self) -> Arc<impl CopyHandler> {
        Arc::clone(&self.connection)
    }

    fn cancel_handler(&self) -> Arc<impl pgwire::api::cancel::CancelHandler> {
        Arc::clone(&self.connection.cancels)
    }
}
