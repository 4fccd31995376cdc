//! `MERGE INTO t USING s ON .. WHEN ..`

use datafusion::logical_expr::{Expr, LogicalPlan};
use lakemill_lake::{MergeClause, MergeMetrics, MergeSpec, TableName};
use sqlparser::ast::{
    self, Merge, MergeAction, MergeClauseKind, MergeInsertExpr, MergeInsertKind, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableFactor, TableWithJoins, WildcardAdditionalOptions,
};

use super::planned::{assigned_column, column_type, expressions};
use super::update::{Target, target_name, target_table};
use super::write::{changing, record};
use crate::dialect::{normalized, parse_query_text};
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::StatementScope;

pub(super) async fn execute(scope: &StatementScope, merge: &Merge) -> Result<Outcome> {
    if merge.output.is_some() {
        return Err(Error::invalid("MERGE .. OUTPUT is not supported"));
    }
    let name = target_name(scope, &merge.table)?;
    let target = target_table(scope, &merge.table, &name).await?;
    let source_alias = alias_of(&merge.source)?;
    let source = source_plan(scope, &merge.source).await?;

    let mut drafts = Vec::with_capacity(merge.clauses.len());
    let mut exprs = vec![merge.on.as_ref().clone()];
    for clause in &merge.clauses {
        let source_columns: Vec<String> = source.schema().fields().iter().map(|field| field.name().clone()).collect();
        drafts.push(Draft::of(clause, &target, &source_alias, &source_columns, &mut exprs)?);
    }
    let planned = expressions(scope, vec![merge.table.clone(), merge.source.clone()], exprs).await?;
    let mut planned = planned.into_iter();
    let mut next = || planned.next().ok_or_else(|| Error::internal("an expression of a MERGE was lost"));
    let on = next()?;
    let clauses = drafts.into_iter().map(|draft| draft.finish(&mut next)).collect::<Result<_>>()?;

    let spec = MergeSpec { target_alias: alias_of(&merge.table)?, source_alias, source, on, clauses };
    let metrics = run_merge(scope, &name, spec).await?;
    let MergeMetrics { version, inserted, updated, deleted } = metrics;
    let message =
        format!("merged into {name}: {inserted} inserted, {updated} updated, {deleted} deleted (version {version})");
    let summary = Summary::new(message)
        .with_rows(inserted + updated + deleted)
        .with_detail("inserted", inserted)
        .with_detail("updated", updated)
        .with_detail("deleted", deleted);
    Ok(Outcome::Done(summary))
}

/// Runs a merge and records its lineage.
pub(super) async fn run_merge(scope: &StatementScope, name: &TableName, spec: MergeSpec) -> Result<MergeMetrics> {
    let metrics = changing(scope, |state| async {
        let state = state;
        Ok(scope.lake().merge(name, spec, &state).await?)
    })
    .await?;
    record(scope, name, "table", metrics.version).await?;
    Ok(metrics)
}

/// A WHEN clause whose expressions are not planned yet: they stand, in order, in the list of all.
struct Draft {
    kind: DraftKind,
    has_predicate: bool,
    columns: Vec<String>,
}

#[derive(Clone, Copy)]
enum DraftKind {
    MatchedUpdate,
    MatchedDelete,
    Insert,
    BySourceUpdate,
    BySourceDelete,
}

impl Draft {
    fn of(
        clause: &ast::MergeClause,
        target: &Target,
        source_alias: &str,
        source_columns: &[String],
        exprs: &mut Vec<ast::Expr>,
    ) -> Result<Self> {
        use MergeClauseKind::{Matched, NotMatched, NotMatchedBySource, NotMatchedByTarget};
        exprs.extend(clause.predicate.iter().cloned());
        let has_predicate = clause.predicate.is_some();
        let draft = |kind, columns| Ok(Self { kind, has_predicate, columns });
        match (clause.clause_kind, &clause.action) {
            (Matched, MergeAction::Delete { .. }) => draft(DraftKind::MatchedDelete, Vec::new()),
            (NotMatchedBySource, MergeAction::Delete { .. }) => draft(DraftKind::BySourceDelete, Vec::new()),
            (kind @ (Matched | NotMatchedBySource), MergeAction::Update(update)) => {
                if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                    return Err(Error::invalid("MERGE .. UPDATE .. WHERE is not supported; write WHEN MATCHED AND .."));
                }
                let mut columns = Vec::with_capacity(update.assignments.len());
                for assignment in &update.assignments {
                    let column = assigned_column(&assignment.target)?;
                    column_type(&target.schema, &column)?;
                    columns.push(column);
                    exprs.push(assignment.value.clone());
                }
                let by_source = matches!(kind, NotMatchedBySource);
                draft(if by_source { DraftKind::BySourceUpdate } else { DraftKind::MatchedUpdate }, columns)
            }
            (NotMatched | NotMatchedByTarget, MergeAction::Insert(insert)) => {
                let columns = insert_values(insert, target, source_alias, source_columns, exprs)?;
                draft(DraftKind::Insert, columns)
            }
            (kind, action) => Err(Error::invalid(format!("WHEN {kind} cannot do '{action}'"))),
        }
    }

    fn finish(self, next: &mut impl FnMut() -> Result<Expr>) -> Result<MergeClause> {
        let predicate = if self.has_predicate { Some(next()?) } else { None };
        let mut set = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            set.push((column, next()?));
        }
        Ok(match self.kind {
            DraftKind::MatchedUpdate => MergeClause::MatchedUpdate { predicate, set },
            DraftKind::MatchedDelete => MergeClause::MatchedDelete { predicate },
            DraftKind::Insert => MergeClause::NotMatchedInsert { predicate, values: set },
            DraftKind::BySourceUpdate => MergeClause::NotMatchedBySourceUpdate { predicate, set },
            DraftKind::BySourceDelete => MergeClause::NotMatchedBySourceDelete { predicate },
        })
    }
}

fn insert_values(
    insert: &MergeInsertExpr,
    target: &Target,
    source_alias: &str,
    source_columns: &[String],
    exprs: &mut Vec<ast::Expr>,
) -> Result<Vec<String>> {
    if insert.insert_predicate.is_some() {
        return Err(Error::invalid("MERGE .. INSERT .. WHERE is not supported; write WHEN NOT MATCHED AND .."));
    }
    let mut columns = Vec::new();
    for name in &insert.columns {
        let column = name.0.last().and_then(|part| part.as_ident()).map(normalized).unwrap_or_default();
        column_type(&target.schema, &column)?;
        columns.push(column);
    }
    match &insert.kind {
        MergeInsertKind::Values(values) => {
            let [row] = values.rows.as_slice() else {
                return Err(Error::invalid("MERGE .. INSERT takes one row of values"));
            };
            if columns.is_empty() {
                columns = target.schema.fields().iter().map(|field| field.name().clone()).collect();
            }
            if columns.len() != row.len() {
                return Err(Error::invalid(format!(
                    "INSERT names {} columns and gives {} values",
                    columns.len(),
                    row.len()
                )));
            }
            exprs.extend(row.iter().cloned());
        }
        // The columns that source and target share, by name.
        MergeInsertKind::Row => {
            columns = target.schema.fields().iter().map(|field| field.name().clone()).collect();
            columns.retain(|column| source_columns.contains(column));
            exprs.extend(columns.iter().map(|column| {
                let parts = [source_alias, column.as_str()];
                ast::Expr::CompoundIdentifier(parts.map(|part| ast::Ident::with_quote('"', part)).to_vec())
            }));
        }
    }
    Ok(columns)
}

/// The name by which expressions call a relation.
pub(super) fn alias_of(factor: &TableFactor) -> Result<String> {
    let (alias, name) = match factor {
        TableFactor::Table { alias, name, .. } => (alias.as_ref(), name.0.last().and_then(|part| part.as_ident())),
        TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => (alias.as_ref(), None),
        _ => (None, None),
    };
    match alias.map(|alias| &alias.name).or(name) {
        Some(ident) => Ok(normalized(ident)),
        None => Err(Error::invalid("a subquery as a source needs a name: (SELECT ..) AS s")),
    }
}

/// `SELECT s.* FROM s`
pub(super) async fn source_plan(scope: &StatementScope, source: &TableFactor) -> Result<LogicalPlan> {
    let mut query = parse_query_text("SELECT 1 FROM t")?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(Error::internal("a SELECT did not parse as one"));
    };
    let alias = ast::Ident::with_quote('"', alias_of(source)?);
    let wildcard = SelectItemQualifiedWildcardKind::ObjectName(ast::ObjectName::from(vec![alias]));
    select.projection = vec![SelectItem::QualifiedWildcard(wildcard, WildcardAdditionalOptions::default())];
    select.from = vec![TableWithJoins { relation: source.clone(), joins: Vec::new() }];
    scope.plan_query(&query).await
}
