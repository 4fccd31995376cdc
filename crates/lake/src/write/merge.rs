//! MERGE.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::prelude::DataFrame;
use deltalake::DeltaResult;
use deltalake::operations::merge::{DeleteBuilder, MergeBuilder, UpdateBuilder};

use super::change::{check_set, has_subquery};
use super::commit;
use super::sink;
use super::source::{PlannedInput, delta_session};
use super::{MergeClause, MergeMetrics, MergeSpec};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::name::TableName;

/// The source's name before its alias.
const SOURCE: &str = "merge_source";

impl Lake {
    /// Merges a source into a table.
    ///
    /// # Errors
    /// Invalid: a clause is wrong, or two source rows match one target row. Conflict: another writer changed the rows.
    pub async fn merge(&self, name: &TableName, spec: MergeSpec, session: &SessionState) -> Result<MergeMetrics> {
        let (_, base) = self.table_to_change(name).await?;
        for clause in &spec.clauses {
            let (predicate, set): (_, &[(String, Expr)]) = match clause {
                MergeClause::MatchedUpdate { predicate, set }
                | MergeClause::NotMatchedBySourceUpdate { predicate, set } => (predicate, set),
                MergeClause::NotMatchedInsert { predicate, values } => (predicate, values),
                MergeClause::MatchedDelete { predicate } | MergeClause::NotMatchedBySourceDelete { predicate } => {
                    (predicate, &[])
                }
            };
            check_set(name, &base, set)?;
            if predicate.iter().chain(set.iter().map(|(_, value)| value)).chain([&spec.on]).any(has_subquery) {
                return Err(Error::invalid(
                    "MERGE takes no subqueries in its conditions and values; put them into USING",
                ));
            }
        }
        let plan = session.create_physical_plan(&spec.source).await?;
        let provider = Arc::new(PlannedInput::new(plan)) as Arc<dyn TableProvider>;
        let source = LogicalPlanBuilder::scan(SOURCE, provider_as_source(provider), None)?.build()?;
        let session = delta_session(session);
        let settled = commit::run(name, &base, self.now_ms(), |properties| async {
            let source = DataFrame::new(session.clone(), source);
            let builder = base
                .table()
                .clone()
                .merge(source, spec.on)
                .with_target_alias(&spec.target_alias)
                .with_source_alias(&spec.source_alias)
                .with_session_state(Arc::new(session))
                .with_writer_properties(sink::writer_properties())
                .with_commit_properties(properties);
            spec.clauses.into_iter().try_fold(builder, add_clause)?.await
        })
        .await?;
        let metrics = settled.value.unwrap_or_default();
        Ok(MergeMetrics {
            version: settled.version,
            inserted: metrics.num_target_rows_inserted as u64,
            updated: metrics.num_target_rows_updated as u64,
            deleted: metrics.num_target_rows_deleted as u64,
        })
    }
}

fn add_clause(builder: MergeBuilder, clause: MergeClause) -> DeltaResult<MergeBuilder> {
    match clause {
        MergeClause::MatchedUpdate { predicate, set } => {
            builder.when_matched_update(|update| update_clause(update, predicate, set))
        }
        MergeClause::NotMatchedBySourceUpdate { predicate, set } => {
            builder.when_not_matched_by_source_update(|update| update_clause(update, predicate, set))
        }
        MergeClause::MatchedDelete { predicate } => {
            builder.when_matched_delete(|delete| delete_clause(delete, predicate))
        }
        MergeClause::NotMatchedBySourceDelete { predicate } => {
            builder.when_not_matched_by_source_delete(|delete| delete_clause(delete, predicate))
        }
        MergeClause::NotMatchedInsert { predicate, values } => builder.when_not_matched_insert(|insert| {
            let insert =
                values.into_iter().fold(insert, |insert, (column, value)| insert.set(Column::from_name(column), value));
            match predicate {
                Some(predicate) => insert.predicate(predicate),
                None => insert,
            }
        }),
    }
}

fn update_clause(update: UpdateBuilder, predicate: Option<Expr>, set: Vec<(String, Expr)>) -> UpdateBuilder {
    let update =
        set.into_iter().fold(update, |update, (column, value)| update.update(Column::from_name(column), value));
    match predicate {
        Some(predicate) => update.predicate(predicate),
        None => update,
    }
}

fn delete_clause(delete: DeleteBuilder, predicate: Option<Expr>) -> DeleteBuilder {
    match predicate {
        Some(predicate) => delete.predicate(predicate),
        None => delete,
    }
}
