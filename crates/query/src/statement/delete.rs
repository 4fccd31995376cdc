//! `DELETE FROM t [USING s] [WHERE ..]`

use lakemill_lake::{MergeClause, MergeSpec};
use sqlparser::ast::{Delete, FromTable};

use super::merge::{alias_of, run_merge, source_plan};
use super::planned::{expressions, unqualified};
use super::update::{target_name, target_table};
use super::write::{changing, record, rows};
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::StatementScope;

pub(super) async fn execute(scope: &StatementScope, delete: &Delete) -> Result<Outcome> {
    if delete.returning.is_some() || delete.limit.is_some() || !delete.order_by.is_empty() {
        return Err(Error::invalid("DELETE takes only USING and WHERE"));
    }
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [target] = from.as_slice() else { return Err(Error::invalid("DELETE takes one table")) };
    let name = target_name(scope, &target.relation)?;
    target_table(scope, &target.relation, &name).await?;
    let (deleted, version) = match delete.using.as_deref() {
        None => {
            let exprs = delete.selection.iter().cloned().collect();
            let planned = expressions(scope, vec![target.relation.clone()], exprs).await?;
            let predicate = planned.into_iter().next().map(unqualified).transpose()?;
            let commit = changing(scope, |state| async {
                let state = state;
                Ok(scope.lake().delete(&name, predicate, &state).await?)
            })
            .await?;
            record(scope, &name, "table", commit.version).await?;
            (commit.rows, commit.version)
        }
        Some([source]) if source.joins.is_empty() => {
            let Some(on) = &delete.selection else {
                return Err(Error::invalid("DELETE .. USING needs a WHERE that says which rows belong together"));
            };
            let factors = vec![target.relation.clone(), source.relation.clone()];
            let planned = expressions(scope, factors, vec![on.clone()]).await?;
            let Some(on) = planned.into_iter().next() else {
                return Err(Error::internal("the condition of a DELETE was lost"));
            };
            let spec = MergeSpec {
                target_alias: alias_of(&target.relation)?,
                source_alias: alias_of(&source.relation)?,
                source: source_plan(scope, &source.relation).await?,
                on,
                clauses: vec![MergeClause::MatchedDelete { predicate: None }],
            };
            let metrics = run_merge(scope, &name, spec).await?;
            (metrics.deleted, metrics.version)
        }
        Some(_) => {
            return Err(Error::invalid(
                "DELETE .. USING takes one source; put a join into a subquery: USING (SELECT ..) AS s",
            ));
        }
    };
    let message = format!("deleted {} from {name} (version {version})", rows(deleted));
    Ok(Outcome::Done(Summary::new(message).with_rows(deleted)))
}
