//! Executing statements: one file per kind.
//!
//! **Architecture invariant:** a statement that changes something makes one commit, or none if it fails or is
//! cancelled; once it has begun to commit it is no longer cancelled. Its lineage is recorded after the commit, so lineage
//! never names a version that does not exist.

mod alter;
mod copy;
mod create_table;
mod delete;
mod describe;
mod description;
mod drop;
mod external;
mod insert;
mod maintenance;
mod memory;
mod merge;
mod namespace;
mod permission;
mod planned;
mod prepare;
mod query;
mod runs;
mod security;
mod show;
mod truncate;
mod update;
mod variables;
mod view;
mod watch;
mod write;

use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement as DFStatement;
use futures::future::BoxFuture;
use sqlparser::ast::{DescribeAlias, Query, Set, SetExpr, Statement};

use crate::dialect::{Ast, OwnStatement, Parsed, StatementKind};
use crate::error::{Error, Result};
use crate::lineage::Lineage;
use crate::model;
use crate::observer::{NoObserver, Observer};
use crate::outcome::{Executed, Outcome};
use crate::session::{Session, StatementScope};

pub(crate) use description::{columns, describe};
pub(crate) use query::stream;
pub(crate) use variables::SETTINGS;

/// Executes one statement.
pub(crate) async fn execute(session: &Session, parsed: &Parsed, observer: Arc<dyn Observer>) -> Result<Executed> {
    let scope = StatementScope::new(session, parsed, Arc::clone(&observer));
    let work = outcome(&scope, &parsed.ast);
    let outcome = scope.audit(watch::stoppable(observer.as_ref(), work).await);
    let outcome = outcome.map_err(|error| error.at(parsed.position()))?;
    let lineage = Lineage { reads: scope.reads(), writes: scope.writes() };
    Ok(Executed { outcome, lineage })
}

/// Plans one query; see [`Session::plan`].
pub(crate) async fn plan(session: &Session, parsed: &Parsed) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
    let scope = StatementScope::new(session, parsed, Arc::new(NoObserver));
    let planned = async {
        permission::authorize(&scope, &parsed.ast).await?;
        match &parsed.ast {
            Ast::Sql(statement) if parsed.kind == StatementKind::Query => query::plan(&scope, statement).await,
            _ => Err(Error::invalid("only a query has a plan to hand out; execute this statement instead")),
        }
    };
    scope.audit(Box::pin(planned).await).map_err(|error| error.at(parsed.position()))
}

fn outcome<'a>(scope: &'a Arc<StatementScope>, ast: &'a Ast) -> BoxFuture<'a, Result<Outcome>> {
    Box::pin(async move {
        permission::authorize(scope, ast).await?;
        run(scope, ast).await
    })
}

fn run<'a>(scope: &'a Arc<StatementScope>, ast: &'a Ast) -> BoxFuture<'a, Result<Outcome>> {
    match ast {
        Ast::Model(statement) => Box::pin(model::execute(scope, statement, scope.statement())),
        Ast::Own(statement) => own(scope, statement),
        Ast::Sql(statement) if scope.session().options().create_tables_in_memory => {
            Box::pin(memory::execute(scope, statement))
        }
        Ast::Sql(statement) => datafusion(scope, statement),
    }
}

fn own<'a>(scope: &'a StatementScope, statement: &'a OwnStatement) -> BoxFuture<'a, Result<Outcome>> {
    match statement {
        OwnStatement::CreateNamespace { name, if_not_exists } => {
            Box::pin(namespace::create(scope, name, *if_not_exists))
        }
        OwnStatement::DropNamespace { name, if_exists, cascade } => {
            Box::pin(namespace::drop(scope, name, *if_exists, *cascade))
        }
        OwnStatement::Use { namespace } => Box::pin(namespace::switch(scope, namespace)),
        OwnStatement::Optimize { table, zorder } => Box::pin(maintenance::optimize(scope, table, zorder)),
        OwnStatement::Vacuum { table, retain_hours, dry_run } => {
            Box::pin(maintenance::vacuum(scope, table, *retain_hours, *dry_run))
        }
        OwnStatement::VacuumLake { dry_run } => Box::pin(maintenance::vacuum_lake(scope, *dry_run)),
        OwnStatement::Restore { table, to } => Box::pin(maintenance::restore(scope, table, to)),
        OwnStatement::DescribeHistory { table, limit } => Box::pin(describe::history(scope, table, *limit)),
        OwnStatement::DescribeLineage { kind, object } => Box::pin(describe::lineage(scope, kind.as_deref(), object)),
        OwnStatement::ShowRuns { pipeline, limit } => Box::pin(runs::list(scope, pipeline.as_deref(), *limit)),
        OwnStatement::DescribeRun { run } => Box::pin(runs::describe(scope, run)),
        OwnStatement::ShowNamespaces => Box::pin(show::namespaces(scope)),
        OwnStatement::ShowTables { namespace, like } => {
            Box::pin(show::tables(scope, namespace.as_ref(), like.as_deref()))
        }
        OwnStatement::ShowSettings { like } => Box::pin(variables::show_like(scope, like)),
        OwnStatement::ShowCreate { relation } => Box::pin(show::create(scope, relation)),
        OwnStatement::Security(statement) => security::execute(scope, statement),
        OwnStatement::VectorIndex(statement) => Box::pin(model::execute_index(scope, statement)),
    }
}

fn datafusion<'a>(scope: &'a Arc<StatementScope>, statement: &'a DFStatement) -> BoxFuture<'a, Result<Outcome>> {
    match statement {
        DFStatement::Statement(statement) => sql(scope, statement),
        DFStatement::CreateExternalTable(external) => Box::pin(external::create(scope, external)),
        DFStatement::CopyTo(copy) => Box::pin(copy::execute(scope, copy)),
        DFStatement::Explain(explain) => Box::pin(query::explain(scope, explain)),
        DFStatement::Reset(reset) => Box::pin(variables::reset(scope, reset)),
    }
}

fn sql<'a>(scope: &'a Arc<StatementScope>, statement: &'a Statement) -> BoxFuture<'a, Result<Outcome>> {
    match statement {
        Statement::Query(query) => match data_change(query) {
            Some(change) => sql(scope, change),
            None => Box::pin(query::execute(scope, statement)),
        },
        Statement::CreateTable(create) => Box::pin(create_table::execute(scope, create)),
        Statement::Insert(insert) => Box::pin(insert::execute(scope, insert)),
        Statement::Update(update) => Box::pin(update::execute(scope, update)),
        Statement::Delete(delete) => Box::pin(delete::execute(scope, delete)),
        Statement::Merge(merge) => Box::pin(merge::execute(scope, merge)),
        Statement::Truncate(truncate) => Box::pin(truncate::execute(scope, truncate)),
        Statement::AlterTable(alter) => Box::pin(alter::execute(scope, alter)),
        Statement::CreateView(create) => Box::pin(view::create(scope, create)),
        Statement::CreateSchema { schema_name, if_not_exists, .. } => {
            Box::pin(namespace::create_schema(scope, schema_name, *if_not_exists))
        }
        Statement::Drop { object_type, if_exists, names, cascade, .. } => {
            Box::pin(drop::execute(scope, *object_type, *if_exists, names, *cascade))
        }
        Statement::Set(set @ (Set::SingleAssignment { .. } | Set::SetTimeZone { .. })) => {
            Box::pin(variables::set(scope, set))
        }
        Statement::Prepare { name, data_types, statement } => {
            Box::pin(prepare::prepare(scope, name, data_types, statement))
        }
        Statement::Execute { name: Some(name), parameters, .. } => Box::pin(prepare::execute(scope, name, parameters)),
        Statement::Deallocate { name, .. } => Box::pin(prepare::deallocate(scope, name)),
        Statement::ShowVariable { variable } => Box::pin(variables::show(scope, variable)),
        Statement::ExplainTable {
            describe_alias: DescribeAlias::Describe | DescribeAlias::Desc, table_name, ..
        } => Box::pin(describe::table(scope, table_name)),
        Statement::Explain { describe_alias: DescribeAlias::Describe | DescribeAlias::Desc, statement, .. }
            if matches!(statement.as_ref(), Statement::Query(_)) =>
        {
            Box::pin(describe::query(scope, statement))
        }
        Statement::ExplainTable { .. }
        | Statement::Explain { .. }
        | Statement::ShowVariables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowFunctions { .. } => Box::pin(query::execute(scope, statement)),
        other => Box::pin(async move { Err(unsupported(other)) }),
    }
}

/// `WITH .. INSERT` and parenthesised changes come as queries around the change.
fn data_change(query: &Query) -> Option<&Statement> {
    match query.body.as_ref() {
        SetExpr::Insert(change) | SetExpr::Update(change) | SetExpr::Delete(change) | SetExpr::Merge(change)
            if query.with.is_none() =>
        {
            Some(change)
        }
        _ => None,
    }
}

fn unsupported(statement: &Statement) -> Error {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    Error::invalid(match statement {
        Statement::StartTransaction { .. } | Statement::Commit { .. } | Statement::Rollback { .. } => {
            "transactions of several statements are not supported: each statement commits on its own".to_owned()
        }
        _ => format!("statement '{}' is not supported", words.join(" ")),
    })
}
