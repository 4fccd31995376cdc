//! `TRUNCATE TABLE t`: all rows go, the columns and the history stay.

use lakemill_lake::At;
use sqlparser::ast::Truncate;

use super::write::{changing, record, rows};
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, position_of};

pub(super) async fn execute(scope: &StatementScope, truncate: &Truncate) -> Result<Outcome> {
    let [target] = truncate.table_names.as_slice() else {
        return Err(Error::invalid("TRUNCATE takes one table"));
    };
    let name = scope.table_name(&target.name)?;
    let locate = |error: lakemill_lake::Error| scope.locate(error.into(), position_of(&target.name));
    if truncate.if_exists && scope.lake().find(&name, At::Latest).await.map_err(locate)?.is_none() {
        return Ok(Outcome::Done(Summary::new(format!("there is no table {name}; nothing to do"))));
    }
    let commit = changing(scope, |state| async {
        let state = state;
        scope.lake().delete(&name, None, &state).await.map_err(locate)
    })
    .await?;
    record(scope, &name, "table", commit.version).await?;
    let message = format!("deleted {} from {name} (version {})", rows(commit.rows), commit.version);
    Ok(Outcome::Done(Summary::new(message).with_rows(commit.rows)))
}
