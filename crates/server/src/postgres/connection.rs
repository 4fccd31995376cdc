//! One client: what it has set, prepared and opened, and its statements on their way.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use futures::{Sink, SinkExt};
use lakemill_query::StatementKind;
use parking_lot::Mutex;
use pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::copy::CopyHandler;
use pgwire::api::portal::{Portal, PortalExecutionState};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler, send_query_response};
use pgwire::api::results::{DescribePortalResponse, DescribeStatementResponse, Response, Tag};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{
    ClientInfo, ClientPortalStore, DEFAULT_NAME, METADATA_DATABASE, PgWireConnectionState, PgWireServerHandlers,
    PidSecretKeyGenerator, RandomPidSecretKeyGenerator, Type,
};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::copy::{CopyData, CopyDone, CopyFail};
use pgwire::messages::extendedquery::Execute;
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio_util::sync::CancellationToken;

use super::answer::{self, pg_error};
use super::cancel::{Cancels, Registered, Running};
use super::copy::{self, CopyIn};
use super::own::{Own, SERVER_VERSION, Settings};
use super::parameters;
use super::script::{Piece, Statement, take_apart};
use crate::engine::{Answer, Client};
use crate::error::{Error, Result};

static KEYS: LazyLock<RandomPidSecretKeyGenerator> = LazyLock::new(RandomPidSecretKeyGenerator::default);

/// How often a server that stops looks whether a connection has come to its end.
const LOOK: Duration = Duration::from_millis(50);

/// A prepared statement: the statement, the types of its parameters and its columns.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) piece: Piece,
    pub(super) description: lakemill_query::Description,
}

/// One client.
pub(super) struct Connection {
    client: Client,
    compatibility: PostgresCompatibilityParser,
    cancels: Arc<Cancels>,
    running: Running,
    /// Keeps the connection known to cancel requests.
    registered: Mutex<Option<Registered>>,
    state: Mutex<State>,
    /// There are this many connections already, and this one is to be told so.
    refused: Option<usize>,
}

/// What changes while a client is connected.
#[derive(Debug, Default)]
struct State {
    settings: Settings,
    /// What the open transaction block has changed, if it has.
    changed: Option<String>,
    copy_in: Option<CopyIn>,
}

impl Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(client: Client, cancels: Arc<Cancels>, refused: Option<usize>) -> Self {
        Self {
            client,
            compatibility: PostgresCompatibilityParser::new(),
            cancels,
            running: Running::default(),
            registered: Mutex::default(),
            state: Mutex::default(),
            refused,
        }
    }

    fn take_apart(&self, text: &str) -> Result<Vec<Piece>> {
        take_apart(self.client.session(), &self.compatibility, text)
    }

    /// Runs one statement, whose parameters are bound.
    async fn run<C: ClientInfo>(&self, client: &mut C, piece: &Piece, rows: &answer::Format) -> PgWireResult<Response> {
        let status = client.transaction_status();
        let ends = matches!(piece.statement, Statement::Own(Own::Commit | Own::Rollback | Own::RollbackTo));
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
                    Answer::Rows(data) => answer::rows(data, rows, run),
                    Answer::Done(summary) => {
                        if status == TransactionStatus::Transaction && parsed.kind != StatementKind::Session {
                            self.state.lock().changed.get_or_insert_with(|| summary.message.clone());
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
                state.changed = None;
                Response::TransactionStart(Tag::new("BEGIN"))
            }
            Own::Commit => {
                state.changed = None;
                // PostgreSQL answers so to the COMMIT of a block that has failed.
                let failed = client.transaction_status() == TransactionStatus::Error;
                Response::TransactionEnd(Tag::new(if failed { "ROLLBACK" } else { "COMMIT" }))
            }
            Own::Rollback => match state.changed.take() {
                None => Response::TransactionEnd(Tag::new("ROLLBACK")),
                Some(changed) => {
                    client.set_transaction_status(TransactionStatus::Idle);
                    return Err(wrong(Error::unsupported(format!(
                        "cannot roll back: each statement commits on its own, and this block has {changed}; \
                         RESTORE TABLE .. TO VERSION takes a table back"
                    ))));
                }
            },
            Own::RollbackTo => {
                return Err(wrong(Error::unsupported(
                    "savepoints are not kept: each statement commits on its own; RESTORE TABLE .. TO VERSION takes a \
                     table back",
                )));
            }
            Own::Savepoint(tag) => Response::Execution(Tag::new(tag)),
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
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let pieces = self.take_apart(query).map_err(|error| pg_error(&error, None))?;
        let last = pieces.len().saturating_sub(1);
        let mut responses = Vec::with_capacity(pieces.len());
        for (index, piece) in pieces.iter().enumerate() {
            let response = match self.run(client, piece, &answer::Format::UnifiedText).await {
                Ok(response) => response,
                // What came before has been done, and its answers are owed.
                Err(error) => {
                    responses.push(Response::Error(Box::new(error.into())));
                    break;
                }
            };
            match &response {
                Response::TransactionStart(_) => client.set_transaction_status(TransactionStatus::Transaction),
                Response::TransactionEnd(_) => client.set_transaction_status(TransactionStatus::Idle),
                _ => {}
            }
            // The next statement may need what this one reads, or change it: its rows are taken first.
            responses.push(if index < last { answer::settled(response).await? } else { response });
        }
        if responses.is_empty() {
            responses.push(Response::EmptyQuery);
        }
        Ok(responses)
    }
}

/// Prepares statements.
#[derive(Debug)]
pub(super) struct Preparer(Arc<Connection>);

#[async_trait]
impl QueryParser for Preparer {
    type Statement = Prepared;

    async fn parse_sql<C>(&self, client: &C, sql: &str, _: &[Option<Type>]) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let pieces = self.0.take_apart(sql).map_err(|error| pg_error(&error, None))?;
        let piece = match <[Piece; 1]>::try_from(pieces) {
            Ok([piece]) => piece,
            Err(pieces) if pieces.is_empty() => return Ok(None),
            Err(_) => {
                let error = Error::invalid("syntax error: a prepared statement is one statement");
                return Err(pg_error(&error, None));
            }
        };
        let nothing = lakemill_query::Description { parameters: Vec::new(), columns: None };
        let description = match &piece.statement {
            Statement::Engine(parsed) if client.transaction_status() != TransactionStatus::Error => {
                let described = self.0.client.describe(parsed).await;
                described.map_err(|error| pg_error(&error, Some(&piece)))?
            }
            Statement::Own(Own::Show { name }) => {
                lakemill_query::Description { parameters: Vec::new(), columns: Some(answer::text_schema(name)) }
            }
            _ => nothing,
        };
        Ok(Some(Prepared { piece, description }))
    }

    fn get_parameter_types(&self, statement: &Prepared) -> PgWireResult<Vec<Type>> {
        Ok(parameters::types(&statement.description))
    }

    fn get_result_schema(
        &self,
        statement: &Prepared,
        format: Option<&answer::Format>,
    ) -> PgWireResult<Vec<pgwire::api::results::FieldInfo>> {
        match &statement.description.columns {
            Some(columns) => answer::fields(columns, format.unwrap_or(&answer::Format::UnifiedText)),
            None => Ok(Vec::new()),
        }
    }
}

/// The prepared statements of a connection.
#[derive(Debug)]
pub(super) struct Extended {
    connection: Arc<Connection>,
    preparer: Arc<Preparer>,
}

#[async_trait]
impl ExtendedQueryHandler for Extended {
    type Statement = Prepared;
    type QueryParser = Preparer;

    fn query_parser(&self) -> Arc<Preparer> {
        Arc::clone(&self.preparer)
    }

    /// Sends rows as they come. pgwire's own way keeps them all before it sends the first one.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let Some(Entry::Value(portal)) = client.portal_store().get_portal(name) else {
            return self._on_execute(client, message).await;
        };
        let begins = matches!(portal.state().lock().await.deref(), PortalExecutionState::Initial);
        let gives_rows = portal.statement.statement.description.columns.is_some();
        if message.max_rows != 0 || !begins || !gives_rows {
            return self._on_execute(client, message).await;
        }
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        match self.do_query(client, portal.as_ref(), 0).await? {
            Response::Query(rows) => send_query_response(client, rows, false).await?,
            _ => return Err(pg_error(&Error::internal("a query has given no rows"), None)),
        }
        *portal.state().lock().await = PortalExecutionState::Finished;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    async fn do_describe_statement<C>(
        &self,
        _: &mut C,
        target: &StoredStatement<Prepared>,
    ) -> PgWireResult<DescribeStatementResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let types = parameters::types(&target.statement.description).into_iter().enumerate();
        let given = |index: usize| target.parameter_types.get(index).cloned().flatten();
        let types = types.map(|(index, known)| given(index).unwrap_or(known)).collect();
        Ok(DescribeStatementResponse::new(types, self.preparer.get_result_schema(&target.statement, None)?))
    }

    async fn do_describe_portal<C>(&self, _: &mut C, target: &Portal<Prepared>) -> PgWireResult<DescribePortalResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let format = Some(&target.result_column_format);
        Ok(DescribePortalResponse::new(self.preparer.get_result_schema(&target.statement.statement, format)?))
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Prepared>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Prepared { piece, description } = &portal.statement.statement;
        let bound = match &piece.statement {
            Statement::Engine(parsed) => {
                let values = parameters::values(portal, description)?;
                let bound = parsed.bind(&values).map_err(|error| pg_error(&error.into(), Some(piece)))?;
                Piece { statement: Statement::Engine(Box::new(bound)), ..piece.clone() }
            }
            _ => piece.clone(),
        };
        self.connection.run(client, &bound, &portal.result_column_format).await
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
}

impl Connection {
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

#[async_trait]
impl CopyHandler for Connection {
    async fn on_copy_data<C>(&self, _: &mut C, data: CopyData) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Some(mut receiving) = self.state.lock().copy_in.take() else { return Ok(()) };
        let taken = receiving.take(&data.data).await;
        self.state.lock().copy_in = Some(receiving);
        taken.map_err(|error| pg_error(&error, None))
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
            self.state.lock().changed.get_or_insert_with(|| format!("copied {rows} rows"));
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
    pub(super) fn new(connection: Connection) -> Self {
        let connection = Arc::new(connection);
        let preparer = Arc::new(Preparer(Arc::clone(&connection)));
        let extended = Arc::new(Extended { connection: Arc::clone(&connection), preparer });
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
