//! Prepared statements: parsed and described once, bound and executed often.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use futures::Sink;
use pgwire::api::portal::{Portal, PortalExecutionState};
use pgwire::api::query::ExtendedQueryHandler;
use pgwire::api::results::{DescribePortalResponse, DescribeStatementResponse, Response};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::extendedquery::Execute;
use pgwire::messages::response::TransactionStatus;

use super::answer::{self, pg_error};
use super::connection::Connection;
use super::own::Own;
use super::parameters;
use super::script::{Piece, Statement};
use super::send::{Way, send};
use crate::error::Error;

/// A prepared statement: the statement, the types of its parameters and its columns.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) piece: Piece,
    pub(super) description: lakemill_query::Description,
}

/// Prepares statements.
#[derive(Debug)]
pub(super) struct Preparer(Arc<Connection>);

impl Preparer {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self(connection)
    }
}

#[async_trait]
impl QueryParser for Preparer {
    type Statement = Prepared;

    async fn parse_sql<C>(&self, client: &C, sql: &str, given: &[Option<Type>]) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let pieces = self.0.take_apart(sql)?;
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
                let wrong = |error: Error| pg_error(&error, Some(&piece));
                let typed = parsed.typed(&parameters::planned(given)).map_err(|error| wrong(error.into()))?;
                self.0.client.describe(&typed).await.map_err(wrong)?
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

impl Extended {
    pub(super) fn new(connection: Arc<Connection>, preparer: Arc<Preparer>) -> Self {
        Self { connection, preparer }
    }
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
        // Fetching in parts is pgwire's.
        if message.max_rows != 0 || !begins {
            return self._on_execute(client, message).await;
        }
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let response = self.do_query(client, portal.as_ref(), 0).await?;
        send(client, response, Way::Extended).await?;
        *portal.state().lock().await = PortalExecutionState::Finished;
        if !matches!(client.state(), PgWireConnectionState::CopyInProgress(_)) {
            client.set_state(PgWireConnectionState::ReadyForQuery);
        }
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
        let described = description.columns.as_ref();
        self.connection.run(client, &bound, &portal.result_column_format, described).await
    }
}
