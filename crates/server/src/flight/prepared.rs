//! Prepared statements: a text that was found right, and the values that were last bound to it.
//!
//! They belong to the server, for Flight has no sessions: a handle is good on any connection until it is closed, or has
//! not been used for an hour. Handles of an earlier run of the server are refused, never mistaken for another statement.

use std::collections::HashMap;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::ActionCreatePreparedStatementResult;
use bytes::Bytes;
use lakemill_base::Stopwatch;
use lakemill_query::Plain;
use parking_lot::Mutex;

use super::caller::Caller;
use super::query::{self, Statement};
use super::rows::{Sent, schema_bytes};
use crate::engine::{Client, Engine};
use crate::error::{Error, Result};

/// Prepared statements that are kept.
const STATEMENTS_MAX: usize = 10_000;

/// Bytes of their texts and values together.
const STATEMENTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long one is kept that nobody uses.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Prepared {
    /// The user who has prepared it, and who alone may use it.
    user: Option<String>,
    statement: Statement,
    used: Stopwatch,
}

impl Prepared {
    fn bytes(&self) -> usize {
        self.statement.sql.len() + self.statement.values.len()
    }
}

/// The prepared statements of all clients.
#[derive(Debug)]
pub(super) struct Statements {
    /// What handles of this run of the server begin with.
    run: i64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    bytes: usize,
    statements: HashMap<Bytes, Prepared>,
}

impl Statements {
    pub(super) fn new(engine: &Engine) -> Self {
        Self { run: engine.session().clock().now_ms(), state: Mutex::default() }
    }

    /// Prepares a statement: its handle, what it takes and what it gives.
    ///
    /// # Errors
    /// What planning finds wrong; Overloaded: there are too many.
    pub(super) async fn create(
        &self,
        client: &Client,
        caller: &Caller,
        sql: String,
    ) -> Result<ActionCreatePreparedStatementResult> {
        let description = client.describe(&query::parse(client, &sql)?).await?;
        let dataset_schema = match &description.columns {
            Some(columns) => schema_bytes(Plain::of(columns).schema())?,
            None => Bytes::new(),
        };
        let parameter = |(index, data_type): (usize, &Option<DataType>)| {
            // Where nothing tells, text: the statement then reads it as it needs it.
            let data_type = data_type.clone().unwrap_or(DataType::Utf8);
            Field::new(format!("${}", index + 1), data_type, true)
        };
        let parameters: Vec<Field> = description.parameters.iter().enumerate().map(parameter).collect();
        let parameter_schema = schema_bytes(Plain::of(&Schema::new(parameters)).schema())?;
        let prepared_statement_handle = self.insert(caller.user(), Statement::new(sql, Bytes::new()))?;
        Ok(ActionCreatePreparedStatementResult { prepared_statement_handle, dataset_schema, parameter_schema })
    }

    /// The statement of a handle, with the values that were last bound.
    ///
    /// # Errors
    /// Not found: it was closed, or not used for long.
    pub(super) fn get(&self, handle: &Bytes, caller: &Caller) -> Result<Statement> {
        let mut state = self.state.lock();
        let prepared = state.of(handle, caller)?;
        prepared.used = Stopwatch::start();
        Ok(prepared.statement.clone())
    }

    /// Binds the values of a row to a statement.
    ///
    /// # Errors
    /// Not found; Invalid: not one row; Overloaded: too much is held.
    pub(super) async fn bind(&self, handle: &Bytes, caller: &Caller, sent: &mut Sent) -> Result<(), tonic::Status> {
        let mut values = None;
        while let Some(batch) = sent.batch().await? {
            if batch.num_rows() > 0 && (batch.num_rows() > 1 || values.is_some()) {
                return Err(Error::unsupported(
                    "a query takes one row of values; run it once for each row, or use a join",
                )
                .into());
            }
            values = values.or((batch.num_rows() == 1).then_some(batch));
        }
        let values = values.map_or(Ok(Bytes::new()), |batch| query::encode(&batch))?;
        let mut state = self.state.lock();
        let prepared = state.of(handle, caller)?;
        prepared.used = Stopwatch::start();
        let held = prepared.statement.values.len();
        state.grow(values.len(), held)?;
        if let Some(prepared) = state.statements.get_mut(handle) {
            prepared.statement.values = values;
        }
        Ok(())
    }

    /// Forgets a statement; one that is not known is forgotten already.
    pub(super) fn close(&self, handle: &Bytes, caller: &Caller) {
        let mut state = self.state.lock();
        if state.of(handle, caller).is_ok()
            && let Some(prepared) = state.statements.remove(handle)
        {
            state.bytes -= prepared.bytes();
        }
    }

    fn insert(&self, user: Option<String>, statement: Statement) -> Result<Bytes> {
        let prepared = Prepared { user, statement, used: Stopwatch::start() };
        let mut state = self.state.lock();
        if state.statements.len() >= STATEMENTS_MAX {
            state.forget_idle();
        }
        if state.statements.len() >= STATEMENTS_MAX {
            return Err(Error::overloaded(format!(
                "{STATEMENTS_MAX} prepared statements are open; close those that are not needed"
            )));
        }
        state.grow(prepared.bytes(), 0)?;
        state.next += 1;
        let handle = Bytes::from(format!("{:x}-{:x}", self.run, state.next));
        state.statements.insert(handle.clone(), prepared);
        Ok(handle)
    }
}

impl State {
    /// A statement of the caller's.
    fn of(&mut self, handle: &Bytes, caller: &Caller) -> Result<&mut Prepared> {
        self.statements.get_mut(handle).filter(|prepared| prepared.user == caller.user()).ok_or_else(unknown)
    }

    fn forget_idle(&mut self) {
        self.statements.retain(|_, prepared| prepared.used.elapsed() < IDLE_MAX);
        self.bytes = self.statements.values().map(Prepared::bytes).sum();
    }

    /// Counts `added` bytes in the place of `removed` ones.
    fn grow(&mut self, added: usize, removed: usize) -> Result<()> {
        if self.bytes + added > STATEMENTS_BYTES_MAX + removed {
            self.forget_idle();
        }
        if self.bytes + added > STATEMENTS_BYTES_MAX + removed {
            return Err(Error::overloaded(
                "the open prepared statements are too large; close those that are not needed",
            ));
        }
        self.bytes = self.bytes + added - removed;
        Ok(())
    }
}

fn unknown() -> Error {
    Error::not_found("there is no prepared statement of this handle: it was closed, or the server has started anew")
}
