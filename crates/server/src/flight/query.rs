//! Queries: planned when a client asks for a ticket, run when it comes with it.
//!
//! A statement without rows has nothing to come back for, and drivers send such statements as queries too. It is run
//! at once, so that its errors are seen and its work is done when `execute` returns.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow_flight::sql::{ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use datafusion::common::{DataFusionError, ScalarValue};
use futures::StreamExt;
use lakemill_query::{Parsed, Plain, StatementKind};
use parking_lot::Mutex;
use prost::Message;

use super::caller::Caller;
use super::rows::{self, Messages};
use super::status::malformed;
use crate::cancel::{Cancel, Reason};
use crate::engine::{Answer, Client};
use crate::error::{Error, Result};

/// A statement on its way: what a ticket carries, and what a prepared statement holds.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Statement {
    /// Empty of a statement that has been run, and whose rows are none.
    #[prost(string, tag = "1")]
    pub(super) sql: String,
    /// The values of `$1`, `$2` ..: an Arrow stream of one row. Empty: none.
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) values: Bytes,
    /// What the query can be cancelled by.
    #[prost(uint64, tag = "3")]
    id: u64,
}

impl Statement {
    pub(super) fn new(sql: String, values: Bytes) -> Self {
        Self { sql, values, id: 0 }
    }

    /// The statement with its values in it.
    ///
    /// # Errors
    /// What the grammar does not allow; values that are too few or too many.
    pub(super) fn bound(&self, client: &Client) -> Result<Parsed> {
        let values = match self.values.is_empty() {
            true => Vec::new(),
            false => row(&decode(&self.values)?, 0)?,
        };
        Ok(parse(client, &self.sql)?.bind(&values)?)
    }

    fn ticket(&self) -> Ticket {
        let handle = self.encode_to_vec().into();
        Ticket::new(TicketStatementQuery { statement_handle: handle }.as_any().encode_to_vec())
    }
}

/// The one statement that a text is.
///
/// # Errors
/// What the grammar does not allow; several statements; one that would change nothing that lasts.
pub(super) fn parse(client: &Client, sql: &str) -> Result<Parsed> {
    let mut statements = client.parse(sql)?;
    let parsed = match (statements.pop(), statements.len()) {
        (Some(parsed), 0) => parsed,
        (None, _) => return Err(Error::invalid("the request has no statement")),
        (Some(_), before) => {
            let count = before + 1;
            return Err(Error::invalid(format!("Flight SQL takes one statement at a time, and the text has {count}")));
        }
    };
    match parsed.kind {
        StatementKind::Session => Err(Error::unsupported(
            "SET, USE and PREPARE change a session, and over Flight SQL each call has a session of its own: write \
             names with their namespace, and prepare statements by the driver",
        )),
        _ => Ok(parsed),
    }
}

/// The values of a row.
pub(super) fn row(batch: &RecordBatch, index: usize) -> Result<Vec<ScalarValue>> {
    let value = |column: &ArrayRef| ScalarValue::try_from_array(column, index).map_err(Error::from);
    batch.columns().iter().map(value).collect()
}

/// One row as bytes.
pub(super) fn encode(batch: &RecordBatch) -> Result<Bytes> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(DataFusionError::from)?;
    writer.write(batch).and_then(|()| writer.finish()).map_err(DataFusionError::from)?;
    Ok(writer.into_inner().map_err(DataFusionError::from)?.into())
}

fn decode(bytes: &Bytes) -> Result<RecordBatch> {
    let batches = StreamReader::try_new(bytes.as_ref(), None).and_then(|mut batches| batches.next().transpose());
    let batch = batches.map_err(malformed)?.filter(|batch| batch.num_rows() == 1);
    batch.ok_or_else(|| malformed("a ticket has one row of values"))
}

/// The queries whose rows are being sent.
#[derive(Debug, Default)]
pub(super) struct Queries {
    next: AtomicU64,
    /// By the number in their tickets: whose they are, and what stops them.
    running: Mutex<HashMap<u64, (Option<String>, Cancel)>>,
}

impl Queries {
    /// What a client gets for a statement: its columns, and the ticket for its rows.
    ///
    /// # Errors
    /// What planning finds wrong; of a statement without rows, what running it does.
    pub(super) async fn info(
        &self,
        client: &Client,
        statement: Statement,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo> {
        let parsed = statement.bound(client)?;
        let columns = match client.describe(&parsed).await?.columns {
            Some(columns) => Some(columns),
            None => match client.run(&parsed, &Cancel::default()).await? {
                Answer::Done(_) => None,
                Answer::Rows(rows) => Some(Arc::clone(rows.schema())),
            },
        };
        let statement = match columns {
            Some(_) => Statement { id: self.next.fetch_add(1, Ordering::Relaxed) + 1, ..statement },
            None => Statement::default(),
        };
        info(&plain(columns.as_ref()), statement.ticket(), descriptor)
    }

    /// The columns of a statement's rows, without running it.
    ///
    /// # Errors
    /// What planning finds wrong.
    pub(super) async fn schema(&self, client: &Client, statement: &Statement) -> Result<SchemaRef> {
        let columns = client.describe(&statement.bound(client)?).await?.columns;
        Ok(plain(columns.as_ref()))
    }

    /// The rows of a ticket. Dropping them stops the query.
    ///
    /// # Errors
    /// What running the statement finds wrong before its first rows.
    pub(super) async fn rows(
        self: &Arc<Self>,
        client: &Client,
        caller: &Caller,
        ticket: &TicketStatementQuery,
    ) -> Result<Messages> {
        let statement = Statement::decode(ticket.statement_handle.as_ref()).map_err(malformed)?;
        if statement.sql.is_empty() {
            return Ok(rows::encode(&Schema::empty(), futures::stream::empty()));
        }
        let cancel = Cancel::default();
        let running = Running::enter(self, statement.id, caller, &cancel);
        match client.run(&statement.bound(client)?, &cancel).await? {
            Answer::Done(_) => Ok(rows::encode(&Schema::empty(), futures::stream::empty())),
            Answer::Rows(rows) => {
                let schema = Arc::clone(rows.schema());
                Ok(rows::encode(
                    &schema,
                    rows.inspect(move |_| {
                        let _running = &running;
                    }),
                ))
            }
        }
    }

    /// Stops the query of an info, if it is the caller's; tells whether it was running.
    pub(super) fn cancel(&self, info: &FlightInfo, caller: &Caller) -> bool {
        let tickets = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref());
        let ids = tickets.filter_map(|ticket| {
            let any = arrow_flight::sql::Any::decode(ticket.ticket.as_ref()).ok()?;
            let ticket = any.unpack::<TicketStatementQuery>().ok()??;
            Some(Statement::decode(ticket.statement_handle.as_ref()).ok()?.id)
        });
        let running = self.running.lock();
        let user = caller.user();
        let own = ids.filter_map(|id| running.get(&id).filter(|(owner, _)| *owner == user));
        let cancels: Vec<&Cancel> = own.map(|(_, cancel)| cancel).collect();
        cancels.iter().for_each(|cancel| cancel.set(Reason::Client));
        !cancels.is_empty()
    }
}

fn plain(columns: Option<&SchemaRef>) -> SchemaRef {
    Arc::clone(Plain::of(columns.map_or(&Schema::empty(), |columns| columns)).schema())
}

/// An info whose rows are all behind one ticket, here.
pub(super) fn info(schema: &Schema, ticket: Ticket, descriptor: FlightDescriptor) -> Result<FlightInfo> {
    let info = FlightInfo::new().try_with_schema(schema).map_err(DataFusionError::from)?;
    Ok(info.with_descriptor(descriptor).with_endpoint(FlightEndpoint::new().with_ticket(ticket)))
}

/// A query's place among those that can be cancelled, as long as its rows are sent.
#[derive(Debug)]
struct Running {
    queries: Arc<Queries>,
    id: u64,
}

impl Running {
    fn enter(queries: &Arc<Queries>, id: u64, caller: &Caller, cancel: &Cancel) -> Self {
        queries.running.lock().insert(id, (caller.user(), cancel.clone()));
        Self { queries: Arc::clone(queries), id }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.queries.running.lock().remove(&self.id);
    }
}
