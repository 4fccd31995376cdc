//! DELETE and UPDATE.
//!
//! A condition over the row alone goes through deltalake, which rewrites only the files that hold matching rows. A
//! condition or value with a subquery rewrites the table: the new files hold every row that stays, and one commit swaps
//! them. That costs a full read and write, and is as atomic as the other.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::physical_plan::collect;
use deltalake::protocol::DeltaOperation;
use lakemill_base::unknown;

use super::Commit;
use super::commit::{self, RETRIES};
use super::rows::removals;
use super::sink;
use super::source::delta_session;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::name::TableName;
use crate::table::{LakeTable, Pinned, unqualified};

impl Lake {
    /// Deletes the rows that a predicate selects; all without one.
    ///
    /// # Errors
    /// Conflict: another writer changed the rows meanwhile.
    pub async fn delete(&self, name: &TableName, predicate: Option<Expr>, session: &SessionState) -> Result<Commit> {
        let (_, base) = self.table_to_change(name).await?;
        if let Some(predicate) = predicate.as_ref().filter(|predicate| has_subquery(predicate)) {
            return Box::pin(self.delete_by_rewrite(name, base, predicate, session)).await;
        }
        let predicate = predicate.as_ref().map(unqualified).transpose()?;
        let rows_before = LakeTable::new(name.clone(), Arc::clone(&base)).row_count();
        let everything = predicate.is_none();
        let session = Arc::new(delta_session(session));
        let settled = commit::run(name, &base, self.now_ms(), |properties| async {
            let mut builder = base
                .table()
                .clone()
                .delete()
                .with_session_state(session)
                .with_writer_properties(sink::writer_properties())
                .with_commit_properties(properties);
            if let Some(predicate) = predicate {
                builder = builder.with_predicate(predicate);
            }
            builder.await
        })
        .await?;
        let counted = settled.value.and_then(|metrics| metrics.num_deleted_rows).map(|rows| rows as u64);
        let rows = if everything { counted.or(rows_before) } else { counted };
        Ok(Commit::new(settled.version, rows.unwrap_or_default()))
    }

    /// Sets columns in the rows that a predicate selects.
    ///
    /// # Errors
    /// Conflict: another writer changed the rows meanwhile. Data: a new value breaks a rule of the table.
    pub async fn update(
        &self,
        name: &TableName,
        set: Vec<(String, Expr)>,
        predicate: Option<Expr>,
        session: &SessionState,
    ) -> Result<Commit> {
        let (_, base) = self.table_to_change(name).await?;
        check_set(name, &base, &set)?;
        if predicate.iter().chain(set.iter().map(|(_, value)| value)).any(has_subquery) {
            return Box::pin(self.update_by_rewrite(name, base, &set, predicate, session)).await;
        }
        let predicate = predicate.as_ref().map(unqualified).transpose()?;
        let set: Vec<(String, Expr)> =
            set.into_iter().map(|(column, value)| Ok((column, unqualified(&value)?))).collect::<Result<_>>()?;
        let session = Arc::new(delta_session(session));
        let settled = commit::run(name, &base, self.now_ms(), |properties| async {
            let mut builder = base
                .table()
                .clone()
                .update()
                .with_session_state(session)
                .with_writer_properties(sink::writer_properties())
                .with_commit_properties(properties);
            for (column, value) in set {
                builder = builder.with_update(Column::from_name(column), value);
            }
            if let Some(predicate) = predicate {
                builder = builder.with_predicate(predicate);
            }
            builder.await
        })
        .await?;
        let rows = settled.value.map_or(0, |metrics| metrics.num_updated_rows as u64);
        Ok(Commit::new(settled.version, rows))
    }

    async fn delete_by_rewrite(
        &self,
        name: &TableName,
        base: Arc<Pinned>,
        predicate: &Expr,
        session: &SessionState,
    ) -> Result<Commit> {
        let scan = scan_as(name, &base, [predicate])?;
        let selected = count_rows(&scan, Some(predicate), session).await?;
        if selected == 0 {
            return Ok(Commit::new(base.version(), 0));
        }
        let kept = LogicalPlanBuilder::from(scan).filter(predicate.clone().is_not_true())?.build()?;
        let operation = DeltaOperation::Delete { predicate: None };
        let version = self.rewrite(name, &base, &kept, operation, session).await?;
        Ok(Commit::new(version, selected))
    }

    async fn update_by_rewrite(
        &self,
        name: &TableName,
        base: Arc<Pinned>,
        set: &[(String, Expr)],
        predicate: Option<Expr>,
        session: &SessionState,
    ) -> Result<Commit> {
        let scan = scan_as(name, &base, predicate.iter().chain(set.iter().map(|(_, value)| value)))?;
        let selected = count_rows(&scan, predicate.as_ref(), session).await?;
        if selected == 0 {
            return Ok(Commit::new(base.version(), 0));
        }
        let changed = scan.schema().iter().map(|(relation, field)| {
            let same = Expr::Column(Column::new(relation.cloned(), field.name()));
            match set.iter().find(|(column, _)| column == field.name()) {
                Some((_, value)) => cast(value.clone(), field.data_type().clone()).alias(field.name()),
                None => same.alias(field.name()),
            }
        });
        let changed: Vec<Expr> = changed.collect();
        let as_is = scan
            .schema()
            .iter()
            .map(|(relation, field)| Expr::Column(Column::new(relation.cloned(), field.name())).alias(field.name()));
        let as_is: Vec<Expr> = as_is.collect();
        let plan = match predicate {
            None => LogicalPlanBuilder::from(scan).project(changed)?.build()?,
            Some(predicate) => {
                let rest = LogicalPlanBuilder::from(scan.clone()).filter(predicate.clone().is_not_true())?;
                let rest = rest.project(as_is)?.build()?;
                LogicalPlanBuilder::from(scan).filter(predicate)?.project(changed)?.union(rest)?.build()?
            }
        };
        let operation = DeltaOperation::Update { predicate: None };
        let version = self.rewrite(name, &base, &plan, operation, session).await?;
        Ok(Commit::new(version, selected))
    }

    /// Swaps all files of a table for those of a plan that reads the same snapshot.
    async fn rewrite(
        &self,
        name: &TableName,
        base: &Pinned,
        plan: &LogicalPlan,
        operation: DeltaOperation,
        session: &SessionState,
    ) -> Result<u64> {
        if super::rows::needs_deltalake(base, true)? {
            return Err(Error::invalid(format!(
                "table {name} has column mapping, generated columns or a change data feed: its rows cannot be changed by a \
                 condition with a subquery; use MERGE"
            )));
        }
        let plan = session.create_physical_plan(plan).await?;
        let (mut actions, _) = self.stage(name, base, plan, session).await?;
        actions.extend(removals(base)?);
        commit::commit_actions(base, name, actions, operation, self.now_ms(), RETRIES).await
    }
}

pub(super) fn has_subquery(expr: &Expr) -> bool {
    let is_subquery = |expr: &Expr| {
        Ok(matches!(expr, Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_)))
    };
    expr.exists(is_subquery).unwrap_or(true)
}

/// The table's scan under the name that the expressions use for it.
fn scan_as<'a>(name: &TableName, base: &Arc<Pinned>, exprs: impl IntoIterator<Item = &'a Expr>) -> Result<LogicalPlan> {
    let mut relation = None;
    for expr in exprs {
        expr.apply(|expr| {
            if let Expr::Column(Column { relation: Some(found), .. }) = expr {
                relation = Some(found.clone());
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let relation = relation.unwrap_or_else(|| TableReference::bare(name.table.clone()));
    let table = LakeTable::new(name.clone(), Arc::clone(base));
    Ok(LogicalPlanBuilder::scan(relation, provider_as_source(Arc::new(table)), None)?.build()?)
}

async fn count_rows(scan: &LogicalPlan, predicate: Option<&Expr>, session: &SessionState) -> Result<u64> {
    let mut plan = LogicalPlanBuilder::from(scan.clone());
    if let Some(predicate) = predicate {
        plan = plan.filter(predicate.clone())?;
    }
    let plan = plan.aggregate(Vec::<Expr>::new(), vec![count_all()])?.build()?;
    let batches = collect(session.create_physical_plan(&plan).await?, session.task_ctx()).await?;
    let counted = batches
        .first()
        .filter(|batch| batch.num_rows() == 1)
        .map(|batch| arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(batch.column(0)).value(0));
    Ok(counted.and_then(|rows| u64::try_from(rows).ok()).unwrap_or_default())
}

fn count_all() -> Expr {
    datafusion::functions_aggregate::expr_fn::count(lit(1_i64)).alias("rows")
}

pub(super) fn check_set(name: &TableName, base: &Pinned, set: &[(String, Expr)]) -> Result<()> {
    let schema = base.snapshot()?.arrow_schema();
    for (index, (column, _)) in set.iter().enumerate() {
        if schema.field_with_name(column).is_err() {
            let known = schema.fields().iter().map(|field| field.name().as_str());
            return Err(Error::invalid(format!("table {name}: {}", unknown("column", column, known))));
        }
        if set[..index].iter().any(|(other, _)| other == column) {
            return Err(Error::invalid(format!("column '{column}' is set twice")));
        }
    }
    Ok(())
}
