//! Answers on their way to the client, each as soon as it is there.
//!
//! pgwire's own way sends the answers of a text after its last statement, keeps all rows of a prepared statement, and
//! ends a COPY that fails with a message that only clients may send.

use std::fmt::Debug;

use futures::{Sink, SinkExt, StreamExt};
use pgwire::api::copy::send_copy_in_response;
use pgwire::api::query::send_query_response;
use pgwire::api::results::{CopyResponse, Response, Tag};
use pgwire::api::{ClientInfo, PgWireConnectionState};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, TransactionStatus};

/// Which messages the statement came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As a text: rows are described before they come.
    Simple,
    /// Prepared: the client has asked for the description.
    Extended,
}

/// Sends an answer.
///
/// # Errors
/// That of a statement that fails while its rows are read; that the client is gone.
pub(super) async fn send<C>(client: &mut C, response: Response, way: Way) -> PgWireResult<()>
where
    C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    match response {
        Response::EmptyQuery => {
            client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?
        }
        Response::Query(rows) => send_query_response(client, rows, way == Way::Simple).await?,
        Response::Execution(tag) => complete(client, tag).await?,
        Response::TransactionStart(tag) => {
            client.set_transaction_status(TransactionStatus::Transaction);
            complete(client, tag).await?;
        }
        Response::TransactionEnd(tag) => {
            client.set_transaction_status(TransactionStatus::Idle);
            complete(client, tag).await?;
        }
        Response::Error(error) => return Err(PgWireError::UserError(error)),
        Response::CopyIn(copy) | Response::CopyBoth(copy) => {
            client.set_state(PgWireConnectionState::CopyInProgress(way == Way::Extended));
            send_copy_in_response(client, copy).await?;
        }
        Response::CopyOut(copy) => copy_out(client, copy).await?,
    }
    Ok(())
}

async fn complete<C>(client: &mut C, tag: Tag) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    client.feed(PgWireBackendMessage::CommandComplete(CommandComplete::from(tag))).await?;
    Ok(())
}

async fn copy_out<C>(client: &mut C, mut copy: CopyResponse) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let columns = i16::try_from(copy.columns).unwrap_or(i16::MAX);
    let begins = CopyOutResponse::new(copy.format, columns, copy.column_formats());
    client.feed(PgWireBackendMessage::CopyOutResponse(begins)).await?;
    let mut rows = 0;
    while let Some(line) = copy.data_stream.next().await {
        client.feed(PgWireBackendMessage::CopyData(line?)).await?;
        rows += 1;
    }
    client.feed(PgWireBackendMessage::CopyDone(CopyDone::new())).await?;
    complete(client, Tag::new("COPY").with_rows(rows)).await
}
