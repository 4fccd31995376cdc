//! `UPDATE t SET a = .. [FROM s] [WHERE ..]`

use datafusion::logical_expr::cast;
use lakemill_lake::{At, MergeClause, MergeSpec, Relation, TableName};
use sqlparser::ast::{self, TableFactor, Update, UpdateTableFromKind};

use super::merge::{alias_of, run_merge, source_plan};
use super::planned::{assigned_column, column_type, expressions, unqualified};
use super::write::{changing, record, rows};
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, position_of};

pub(super) async fn execute(scope: &StatementScope, update: &Update) -> Result<Outcome> {
    refuse_extras(update)?;
    let target = &update.table.relation;
    let name = target_name(scope, target)?;
    let Target { schema } = target_table(scope, target, &name).await?;
    let mut columns = Vec::new();
    let mut values = Vec::new();
    for assignment in &update.assignments {
        let column = assigned_column(&assignment.target)?;
        column_type(&schema, &column)?;
        columns.push(column);
        values.push(assignment.value.clone());
    }
    if let Some(from) = &update.from {
        return update_from(scope, update, from, &name, columns, values).await;
    }
    let predicate = update.selection.clone();
    let mut planned = expressions(scope, vec![target.clone()], values.into_iter().chain(predicate).collect()).await?;
    let predicate = if update.selection.is_some() { planned.pop().map(unqualified).transpose()? } else { None };
    let mut set = Vec::new();
    for (column, value) in columns.into_iter().zip(planned) {
        let data_type = column_type(&schema, &column)?;
        set.push((column, cast(unqualified(value)?, data_type)));
    }
    let commit = changing(scope, |state| async {
        let state = state;
        Ok(scope.lake().update(&name, set, predicate, &state).await?)
    })
    .await?;
    record(scope, &name, "table", commit.version).await?;
    let message = format!("updated {} in {name} (version {})", rows(commit.rows), commit.version);
    Ok(Outcome::Done(Summary::new(message).with_rows(commit.rows)))
}

async fn update_from(
    scope: &StatementScope,
    update: &Update,
    from: &UpdateTableFromKind,
    name: &TableName,
    columns: Vec<String>,
    values: Vec<ast::Expr>,
) -> Result<Outcome> {
    let (UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) = from;
    let [source] = from.as_slice() else {
        return Err(Error::invalid(
            "UPDATE .. FROM takes one source; put a join into a subquery: FROM (SELECT ..) AS s",
        ));
    };
    if !source.joins.is_empty() {
        return Err(Error::invalid(
            "UPDATE .. FROM takes one source; put the join into a subquery: FROM (SELECT ..) AS s",
        ));
    }
    let Some(on) = &update.selection else {
        return Err(Error::invalid("UPDATE .. FROM needs a WHERE that says which rows belong together"));
    };
    let factors = vec![update.table.relation.clone(), source.relation.clone()];
    let exprs = values.into_iter().chain([on.clone()]).collect();
    let mut planned = expressions(scope, factors, exprs).await?;
    let Some(on) = planned.pop() else { return Err(Error::internal("the condition of an UPDATE was lost")) };
    let set = columns.into_iter().zip(planned).collect();
    let spec = MergeSpec {
        target_alias: alias_of(&update.table.relation)?,
        source_alias: alias_of(&source.relation)?,
        source: source_plan(scope, &source.relation).await?,
        on,
        clauses: vec![MergeClause::MatchedUpdate { predicate: None, set }],
    };
    let metrics = run_merge(scope, name, spec).await?;
    let message = format!("updated {} in {name} (version {})", rows(metrics.updated), metrics.version);
    Ok(Outcome::Done(Summary::new(message).with_rows(metrics.updated)))
}

fn refuse_extras(update: &Update) -> Result<()> {
    if update.returning.is_some() {
        return Err(Error::invalid("UPDATE .. RETURNING is not supported"));
    }
    if update.limit.is_some() || !update.order_by.is_empty() {
        return Err(Error::invalid("UPDATE .. ORDER BY and LIMIT are not supported; select the rows in WHERE"));
    }
    if !update.table.joins.is_empty() {
        return Err(Error::invalid("UPDATE of a join is not supported; write UPDATE t SET .. FROM s WHERE .."));
    }
    Ok(())
}

/// The table that a change names.
pub(super) fn target_name(scope: &StatementScope, factor: &TableFactor) -> Result<TableName> {
    match factor {
        TableFactor::Table { name, args: None, version: None, .. } => scope.table_name(name),
        other => Err(Error::invalid(format!("'{other}' cannot be changed; name a table"))),
    }
}

/// What a change needs to know of its table.
pub(super) struct Target {
    pub(super) schema: arrow::datatypes::SchemaRef,
}

/// The columns of the table to be changed.
pub(super) async fn target_table(scope: &StatementScope, factor: &TableFactor, name: &TableName) -> Result<Target> {
    let position = match factor {
        TableFactor::Table { name, .. } => position_of(name),
        _ => None,
    };
    let relation =
        scope.lake().resolve(name, At::Latest).await.map_err(|error| scope.locate(error.into(), position))?;
    match relation {
        Relation::Table(table) => Ok(Target { schema: datafusion::catalog::TableProvider::schema(table.as_ref()) }),
        Relation::View(_) => {
            Err(scope.locate(Error::invalid(format!("'{name}' is a view; change the tables below it")), position))
        }
        Relation::External(_) => {
            let message = format!(
                "'{name}' is an external table and is only read; CREATE TABLE .. AS SELECT * FROM {name} makes a table of it"
            );
            Err(scope.locate(Error::invalid(message), position))
        }
    }
}
