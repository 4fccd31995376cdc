//! Executing statements: one file per kind.

use std::sync::Arc;

use crate::dialect::{Ast, Parsed};
use crate::error::Result;
use crate::lineage::Lineage;
use crate::model;
use crate::observer::Observer;
use crate::outcome::Executed;
use crate::session::{Session, StatementScope};

mod query;

/// Executes one statement.
pub(crate) async fn execute(session: &Session, parsed: &Parsed, observer: Arc<dyn Observer>) -> Result<Executed> {
    let scope = StatementScope::new(session, parsed, observer);
    let outcome = match &parsed.ast {
        Ast::Sql(statement) => query::execute(&scope, statement).await,
        Ast::Own(_) => todo!(),
        Ast::Model(statement) => model::execute(&scope, statement, parsed).await,
    }
    .map_err(|error| error.at(parsed.position()))?;
    let lineage = Lineage { reads: scope.reads(), writes: scope.writes() };
    Ok(Executed { outcome, lineage })
}
