//! Statements without rows: what they change is committed when the call is answered.

use arrow::array::RecordBatch;
use tonic::Status;

use super::query::{Statement, parse, row};
use super::rows::Sent;
use crate::cancel::Cancel;
use crate::engine::{Answer, Client};
use crate::error::{Error, Result};

/// The count of a statement that does not count.
const UNKNOWN: i64 = -1;

/// Runs a statement once; gives the rows that it has changed.
///
/// # Errors
/// The statement's.
pub(super) async fn once(client: &Client, statement: &Statement) -> Result<i64> {
    count(client.run(&statement.bound(client)?, &Cancel::default()).await?)
}

/// Runs a statement once for each row of values, or once if there are none; gives the rows that it has changed.
///
/// # Errors
/// The statement's, with the number of the row; the rows before it are committed.
pub(super) async fn each(client: &Client, sql: &str, sent: &mut Sent) -> Result<i64, Status> {
    let parsed = parse(client, sql)?;
    if parsed.parameter_count().map_err(Error::from)? == 0 {
        return Ok(count(client.run(&parsed, &Cancel::default()).await?)?);
    }
    let (mut changed, mut number) = (0, 0);
    while let Some(batch) = sent.batch().await? {
        for index in 0..batch.num_rows() {
            number += 1;
            let rows = one(client, &parsed, &batch, index).await.map_err(|error| match number {
                1 => error,
                _ => error.in_row(number),
            })?;
            changed = if rows < 0 || changed < 0 { UNKNOWN } else { changed + rows };
        }
    }
    Ok(changed)
}

async fn one(client: &Client, parsed: &lakemill_query::Parsed, values: &RecordBatch, index: usize) -> Result<i64> {
    let bound = parsed.bind(&row(values, index)?)?;
    count(client.run(&bound, &Cancel::default()).await?)
}

fn count(answer: Answer) -> Result<i64> {
    match answer {
        Answer::Done(summary) => Ok(summary.rows.map_or(UNKNOWN, |rows| i64::try_from(rows).unwrap_or(i64::MAX))),
        Answer::Rows(_) => Err(Error::invalid("the statement gives rows; run it as a query")),
    }
}
