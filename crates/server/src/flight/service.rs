//! The calls of Flight, each with a command of Flight SQL in it.
//!
//! Written on Flight itself, not on the crate's trait for Flight SQL: that one has two methods for each command and
//! answers GetSchema for none.

use std::sync::Arc;

use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, Any, Command,
    DoPutPreparedStatementResult, DoPutUpdateResult, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, Criteria, Empty, FlightData,
    FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaAsIpc, SchemaResult,
    Ticket,
};
use bytes::Bytes;
use datafusion::common::DataFusionError;
use futures::stream::{self, BoxStream};
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::caller::Caller;
use super::prepared::Statements;
use super::query::{self, Queries, Statement};
use super::rows::{self, Messages, Sent};
use super::status::malformed;
use super::{caller, ingest, metadata, update};
use crate::auth::Authority;
use crate::engine::{Client, Engine};
use crate::error::Error;
use crate::metrics::Protocol;
use crate::server::Service;

const CREATE_PREPARED_STATEMENT: &str = "CreatePreparedStatement";
const CLOSE_PREPARED_STATEMENT: &str = "ClosePreparedStatement";
const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";

/// The actions that are taken.
const ACTIONS: [(&str, &str); 3] = [
    (CREATE_PREPARED_STATEMENT, "Prepares a statement"),
    (CLOSE_PREPARED_STATEMENT, "Forgets a prepared statement"),
    (CANCEL_FLIGHT_INFO, "Stops a query"),
];

type Answer<T> = Result<Response<T>, Status>;

/// The service of all connections.
#[derive(Debug)]
pub(super) struct FlightSql {
    engine: Arc<Engine>,
    authority: Option<Arc<Authority>>,
    queries: Arc<Queries>,
    statements: Statements,
}

impl FlightSql {
    pub(super) fn new(service: &Service) -> Self {
        let engine = Arc::clone(&service.engine);
        let authority = service.authority.clone();
        Self { statements: Statements::new(&engine), engine, authority, queries: Arc::default() }
    }

    /// A session for one call.
    fn client(&self, caller: &Caller) -> Client {
        self.engine.client(caller.0.clone(), Protocol::Flight)
    }

    /// The statement of a command that asks for rows.
    fn statement(&self, command: &Command, caller: &Caller) -> Result<Option<Statement>, Error> {
        match command {
            Command::CommandStatementQuery(command) => {
                refuse_transaction(command.transaction_id.as_ref())?;
                Ok(Some(Statement::new(command.query.clone(), Bytes::new())))
            }
            Command::CommandPreparedStatementQuery(command) => {
                self.statements.get(&command.prepared_statement_handle, caller).map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn put(&self, caller: &Caller, first: FlightData, rest: Streaming<FlightData>) -> Result<Bytes, Status> {
        let descriptor = first.flight_descriptor.clone().unwrap_or_default();
        let (client, mut sent) = (self.client(caller), Sent::new(first, rest));
        let count = match command(&descriptor.cmd)? {
            Command::CommandStatementUpdate(command) => {
                refuse_transaction(command.transaction_id.as_ref())?;
                update::once(&client, &Statement::new(command.query, Bytes::new())).await?
            }
            Command::CommandPreparedStatementUpdate(command) => {
                let statement = self.statements.get(&command.prepared_statement_handle, caller)?;
                update::each(&client, &statement.sql, &mut sent).await?
            }
            Command::CommandStatementIngest(command) => {
                refuse_transaction(command.transaction_id.as_ref())?;
                ingest::run(&client, &command, &mut sent).await?
            }
            Command::CommandPreparedStatementQuery(command) => {
                let handle = command.prepared_statement_handle;
                self.statements.bind(&handle, caller, &mut sent).await?;
                let bound = DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) };
                return Ok(bound.encode_to_vec().into());
            }
            other => return Err(unknown(&other).into()),
        };
        Ok(DoPutUpdateResult { record_count: count }.encode_to_vec().into())
    }

    async fn act(&self, caller: &Caller, action: &Action) -> Result<Option<Bytes>, Error> {
        match action.r#type.as_str() {
            CREATE_PREPARED_STATEMENT => {
                let request: ActionCreatePreparedStatementRequest = unpack(&action.body)?;
                refuse_transaction(request.transaction_id.as_ref())?;
                let created = self.statements.create(&self.client(caller), caller, request.query).await?;
                Ok(Some(created.as_any().encode_to_vec().into()))
            }
            CLOSE_PREPARED_STATEMENT => {
                let request: ActionClosePreparedStatementRequest = unpack(&action.body)?;
                self.statements.close(&request.prepared_statement_handle, caller);
                Ok(None)
            }
            CANCEL_FLIGHT_INFO => {
                let request = CancelFlightInfoRequest::decode(action.body.as_ref()).map_err(malformed)?;
                let stopped = request.info.is_some_and(|info| self.queries.cancel(&info, caller));
                let status = if stopped { CancelStatus::Cancelled } else { CancelStatus::NotCancellable };
                Ok(Some(CancelFlightInfoResult::new(status).encode_to_vec().into()))
            }
            other if other.contains("Transaction") || other.contains("Savepoint") => Err(no_transactions()),
            other => {
                Err(Error::unsupported(format!("there is no action '{other}'; ListActions names those there are")))
            }
        }
    }
}

#[tonic::async_trait]
impl FlightService for FlightSql {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = Messages;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    /// Gives a token for user and password.
    async fn handshake(&self, request: Request<Streaming<HandshakeRequest>>) -> Answer<Self::HandshakeStream> {
        let (metadata, extensions, _) = request.into_parts();
        let token = caller::log_in(self.authority.as_deref(), metadata.as_ref(), extensions.get()).await?;
        let token = MetadataValue::try_from(format!("Bearer {token}"));
        let token = token.map_err(|error| Error::internal(error.to_string()))?;
        let mut response = Response::new(once(HandshakeResponse::default()));
        response.metadata_mut().insert("authorization", token);
        Ok(response)
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Answer<Self::ListFlightsStream> {
        Ok(Response::new(Box::pin(stream::empty())))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        let caller = Caller::of(request.extensions());
        let descriptor = request.into_inner();
        let command = command(&descriptor.cmd)?;
        let client = self.client(&caller);
        let info = match self.statement(&command, &caller)? {
            Some(statement) => self.queries.info(&client, statement, descriptor).await?,
            None => {
                let schema = metadata::schema(&command)?.ok_or_else(|| unknown(&command))?;
                query::info(&schema, Ticket::new(descriptor.cmd.clone()), descriptor)?
            }
        };
        Ok(Response::new(info))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<PollInfo> {
        Err(Error::unsupported("queries are not polled; ask GetFlightInfo").into())
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Answer<SchemaResult> {
        let caller = Caller::of(request.extensions());
        let command = command(&request.into_inner().cmd)?;
        let schema = match self.statement(&command, &caller)? {
            Some(statement) => self.queries.schema(&self.client(&caller), &statement).await?,
            None => metadata::schema(&command)?.ok_or_else(|| unknown(&command))?,
        };
        let result = SchemaResult::try_from(SchemaAsIpc::new(&schema, &IpcWriteOptions::default()));
        Ok(Response::new(result.map_err(DataFusionError::from).map_err(Error::from)?))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Answer<Self::DoGetStream> {
        let caller = Caller::of(request.extensions());
        let client = self.client(&caller);
        let rows = match command(&request.into_inner().ticket)? {
            Command::TicketStatementQuery(ticket) => self.queries.rows(&client, &caller, &ticket).await?,
            other => {
                let missing = unknown(&other);
                rows::one(metadata::answer(&client, other).await?.ok_or(missing)?)
            }
        };
        Ok(Response::new(rows))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Answer<Self::DoPutStream> {
        let caller = Caller::of(request.extensions());
        let mut rest = request.into_inner();
        let first = rest
            .message()
            .await?
            .ok_or_else(|| malformed("no command was sent, as drivers do when no batch is ingested"))?;
        let app_metadata = Box::pin(self.put(&caller, first, rest)).await?;
        Ok(Response::new(once(PutResult { app_metadata })))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Answer<Self::DoExchangeStream> {
        Err(Error::unsupported("there is no exchange in Flight SQL; use DoGet and DoPut").into())
    }

    async fn do_action(&self, request: Request<Action>) -> Answer<Self::DoActionStream> {
        let caller = Caller::of(request.extensions());
        let body = self.act(&caller, &request.into_inner()).await?;
        let results = body.map(|body| Ok(arrow_flight::Result { body }));
        Ok(Response::new(Box::pin(stream::iter(results))))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Answer<Self::ListActionsStream> {
        let action = |(name, description): (&str, &str)| {
            Ok(ActionType { r#type: name.to_owned(), description: description.to_owned() })
        };
        Ok(Response::new(Box::pin(stream::iter(ACTIONS.map(action)))))
    }
}

fn once<T: Send + 'static>(item: T) -> BoxStream<'static, Result<T, Status>> {
    Box::pin(stream::iter([Ok(item)]))
}

fn command(bytes: &Bytes) -> Result<Command, Error> {
    let any = Any::decode(bytes.as_ref()).map_err(malformed)?;
    Command::try_from(any).map_err(malformed)
}

fn unpack<M: ProstMessageExt>(body: &Bytes) -> Result<M, Error> {
    let any = Any::decode(body.as_ref()).map_err(malformed)?;
    any.unpack().map_err(malformed)?.ok_or_else(|| malformed("the action's body is of another type"))
}

fn unknown(command: &Command) -> Error {
    Error::unsupported(format!("this server does not take '{}' here", command.type_url()))
}

fn refuse_transaction(id: Option<&Bytes>) -> Result<(), Error> {
    id.filter(|id| !id.is_empty()).map_or(Ok(()), |_| Err(no_transactions()))
}

fn no_transactions() -> Error {
    Error::unsupported("transactions of several statements are not supported: each statement commits on its own")
}
