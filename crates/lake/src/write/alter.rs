//! ALTER TABLE: columns and CHECK constraints.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use deltalake::kernel::Action;
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::SaveMode as DeltaMode;
use lakemill_base::unknown;

use super::Commit;
use super::commit;
use super::rows::needs_deltalake;
use super::rules::{RowRules, parse_check, shown_check};
use super::sink::write_files;
use super::source::delta_session;
use super::types::{kernel_schema, table_schema};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::name::TableName;
use crate::table::LakeTable;

impl Lake {
    /// Adds nullable columns.
    ///
    /// # Errors
    /// Invalid: a column is there already, is NOT NULL or has a type that tables do not hold.
    pub async fn add_columns(&self, name: &TableName, fields: Vec<Field>) -> Result<Commit> {
        let (_, base) = self.table_to_change(name).await?;
        let existing = base.snapshot()?.arrow_schema();
        for field in &fields {
            if !field.is_nullable() {
                return Err(Error::invalid(format!(
                    "column '{}' cannot be added as NOT NULL: the rows that are there have no value for it",
                    field.name()
                )));
            }
            if existing.fields().iter().any(|other| other.name().eq_ignore_ascii_case(field.name())) {
                return Err(Error::invalid(format!("table {name} already has a column '{}'", field.name())));
            }
        }
        let added = kernel_schema(table_schema(&Schema::new(fields), true)?.as_ref())?;
        let added: Vec<_> = added.fields().cloned().collect();
        let settled = commit::run(name, &base, self.now_ms(), |properties| async {
            let builder = base.table().clone().add_columns().with_fields(added).with_commit_properties(properties);
            builder.await.map(|table| (table, ()))
        })
        .await?;
        Ok(Commit::new(settled.version, 0))
    }

    /// Renames a column by writing the table's rows anew, as one new version: other engines need no column mapping to
    /// read it, and older versions keep the old name.
    ///
    /// # Errors
    /// Invalid: no such column, the new name is taken, or a CHECK uses the column.
    pub async fn rename_column(
        &self,
        name: &TableName,
        from: &str,
        to: &str,
        session: &SessionState,
    ) -> Result<Commit> {
        let (_, base) = self.table_to_change(name).await?;
        let snapshot = base.snapshot()?;
        let schema = snapshot.arrow_schema();
        if schema.field_with_name(from).is_err() {
            let known = schema.fields().iter().map(|field| field.name().as_str());
            return Err(Error::invalid(format!("table {name}: {}", unknown("column", from, known))));
        }
        if schema.fields().iter().any(|field| field.name() != from && field.name().eq_ignore_ascii_case(to)) {
            return Err(Error::invalid(format!("table {name} already has a column '{to}'")));
        }
        for (check, sql) in base.checks() {
            let columns = delta_session(session).create_logical_expr(&sql, &schema.as_ref().clone().try_into()?)?;
            if columns.column_refs().iter().any(|column| column.name == from) {
                return Err(Error::invalid(format!(
                    "CHECK '{check}' ({}) of table {name} uses column '{from}'; drop the CHECK first",
                    shown_check(&sql)
                )));
            }
        }
        if needs_deltalake(&base, true)? {
            return Err(Error::invalid(format!(
                "table {name} has column mapping, generated columns or a change data feed; rename its columns with the \
                 engine that made it"
            )));
        }
        let renamed = |column: &str| if column == from { to.to_owned() } else { column.to_owned() };
        let fields: Vec<_> =
            schema.fields().iter().map(|field| field.as_ref().clone().with_name(renamed(field.name()))).collect();
        let wanted = Arc::new(Schema::new(fields));
        let table = LakeTable::new(name.clone(), Arc::clone(&base));
        let columns = schema
            .fields()
            .iter()
            .map(|field| Expr::Column(Column::from_name(field.name())).alias(renamed(field.name())));
        let plan = LogicalPlanBuilder::scan(name.table.as_str(), provider_as_source(Arc::new(table)), None)?;
        let plan = session.create_physical_plan(&plan.project(columns)?.build()?).await?;
        let partition_by: Vec<String> =
            snapshot.metadata().partition_columns().iter().map(|column| renamed(column)).collect();
        let rules = RowRules::new(name, &wanted, &base.checks(), &plan.schema(), session)?;
        let log_store = base.table().log_store();
        let written = write_files(plan, session.task_ctx(), &log_store, rules, &partition_by).await?;
        let rows = written.rows;
        let configuration = snapshot.metadata().configuration().clone();
        let protocol = Action::Protocol(snapshot.protocol().clone());
        let mut builder = CreateBuilder::new()
            .with_log_store(log_store.clone())
            .with_table_name(name.table.clone())
            .with_columns(kernel_schema(&wanted)?.fields().cloned())
            .with_partition_columns(partition_by)
            .with_raise_if_key_not_exists(false)
            .with_configuration(configuration.into_iter().map(|(property, value)| (property, Some(value))))
            .with_save_mode(DeltaMode::Overwrite)
            .with_actions(std::iter::once(protocol).chain(written.actions()));
        if let Some(comment) = snapshot.metadata().description() {
            builder = builder.with_comment(comment.to_owned());
        }
        let version = commit::commit_create(name, Some(&base), &log_store, builder, self.now_ms()).await?;
        Ok(Commit::new(version, rows))
    }

    /// Adds a CHECK constraint after checking the rows that are there.
    ///
    /// # Errors
    /// Data: a row breaks it. Invalid: it is no condition over the table's columns, or the name is taken.
    pub async fn add_check(&self, name: &TableName, check: &str, sql: &str, session: &SessionState) -> Result<Commit> {
        lakemill_base::check_identifier("constraint", check).map_err(Error::invalid)?;
        let (_, base) = self.table_to_change(name).await?;
        if base.checks().iter().any(|(other, _)| other == check) {
            return Err(Error::invalid(format!("table {name} already has a CHECK '{check}'")));
        }
        let schema = base.snapshot()?.arrow_schema();
        let condition = parse_check(check, sql, &schema, session)?;
        self.check_rows(name, &base, check, sql, &condition, session).await?;
        let session = Arc::new(delta_session(session));
        let settled = commit::run(name, &base, self.now_ms(), |properties| async {
            let constraints = HashMap::from([(check.to_owned(), condition)]);
            let builder = base
                .table()
                .clone()
                .add_constraint()
                .with_constraints(constraints)
                .with_session_state(session)
                .with_commit_properties(properties);
            builder.await.map(|table| (table, ()))
        })
        .await?;
        Ok(Commit::new(settled.version, 0))
    }

    /// Drops a CHECK constraint.
    ///
    /// # Errors
    /// Not found: there is no such CHECK, and `if_exists` was not given.
    pub async fn drop_check(&self, name: &TableName, check: &str, if_exists: bool) -> Result<Commit> {
        let (_, base) = self.table_to_change(name).await?;
        let checks = base.checks();
        if !checks.iter().any(|(other, _)| other == check) {
            if if_exists {
                return Ok(Commit::new(base.version(), 0));
            }
            let known = checks.iter().map(|(name, _)| name.as_str());
            return Err(Error::not_found(format!("table {name}: {}", unknown("CHECK", check, known))));
        }
        let settled = commit::run(name, &base, self.now_ms(), |properties| async {
            let builder =
                base.table().clone().drop_constraints().with_constraint(check).with_commit_properties(properties);
            builder.await.map(|table| (table, ()))
        })
        .await?;
        Ok(Commit::new(settled.version, 0))
    }

    /// Finds a row that breaks a condition, with a better text than the builder's.
    async fn check_rows(
        &self,
        name: &TableName,
        base: &Arc<crate::table::Pinned>,
        check: &str,
        sql: &str,
        condition: &Expr,
        session: &SessionState,
    ) -> Result<()> {
        let table = LakeTable::new(name.clone(), Arc::clone(base));
        let broken = LogicalPlanBuilder::scan(name.table.as_str(), provider_as_source(Arc::new(table)), None)?
            .filter(condition.clone().is_not_true())?
            .limit(0, Some(1))?
            .build()?;
        let plan = session.create_physical_plan(&broken).await?;
        let rows = datafusion::physical_plan::collect(plan, session.task_ctx()).await?;
        match rows.iter().find(|batch| batch.num_rows() > 0) {
            None => Ok(()),
            Some(row) => Err(Error::data(format!(
                "table {name} holds a row that breaks CHECK '{check}' ({sql}): {}",
                super::rules::shown_row(row, 0)
            ))),
        }
    }
}
