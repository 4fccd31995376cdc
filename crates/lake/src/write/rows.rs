//! New tables and new rows: CREATE, INSERT, overwrite and replace-where.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, UNNAMED_TABLE};
use datafusion::physical_plan::ExecutionPlan;
use deltalake::kernel::{Action, Protocol};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode as DeltaMode};
use lakemill_base::unknown;

use super::commit::{self, RETRIES};
use super::rules::{RowRules, check_property, parse_check};
use super::sink::{self, Written, write_files};
use super::source::{PlannedInput, delta_session};
use super::types::{kernel_schema, table_schema};
use super::{Commit, TableDefinition, WriteMode};
use crate::error::{Error, Result};
use crate::external::bad_rows;
use crate::lake::{Lake, TableEntry};
use crate::name::TableName;
use crate::table::Pinned;

/// The writer version that CHECK constraints ask for.
const CHECK_WRITER_VERSION: i32 = 3;

/// What a table is made with.
struct Blueprint {
    schema: SchemaRef,
    partition_by: Vec<String>,
    /// Stored CHECK texts by name.
    checks: Vec<(String, String)>,
    comment: Option<String>,
}

impl Lake {
    /// Makes an empty table. `None`: it was there, and `if_not_exists` was given.
    ///
    /// # Errors
    /// Invalid: the name is taken or a column, CHECK or partition column is wrong.
    pub async fn create_table(
        &self,
        name: &TableName,
        definition: &TableDefinition,
        or_replace: bool,
        if_not_exists: bool,
        session: &SessionState,
    ) -> Result<Option<Commit>> {
        let Some(existing) = self.entry_to_create(name, or_replace, if_not_exists).await? else { return Ok(None) };
        let schema = table_schema(&definition.schema, true)?;
        let mut checks = Vec::with_capacity(definition.checks.len());
        for (check, sql) in &definition.checks {
            let (property, stored) = check_property(check, &parse_check(check, sql, &schema, session)?)?;
            let clash = checks.iter().any(|(other, _)| other == &property);
            if clash {
                return Err(Error::invalid(format!("CHECK '{check}' is given twice")));
            }
            checks.push((property, stored));
        }
        let blueprint = Blueprint {
            schema,
            checks,
            partition_by: definition.partition_by.clone(),
            comment: definition.comment.clone(),
        };
        self.make_table(name, existing.as_ref(), blueprint, None, if_not_exists, session).await
    }

    /// Writes the rows of a plan in one commit. `None`: `CREATE .. IF NOT EXISTS` found a table.
    ///
    /// # Errors
    /// Data: a row breaks a rule of the table. Conflict: another writer changed what this one read.
    pub async fn write(
        &self,
        name: &TableName,
        mode: WriteMode,
        input: LogicalPlan,
        session: &SessionState,
    ) -> Result<Option<Commit>> {
        match mode {
            WriteMode::Create { or_replace, if_not_exists, partition_by } => {
                let Some(existing) = self.entry_to_create(name, or_replace, if_not_exists).await? else {
                    return Ok(None);
                };
                let schema = table_schema(input.schema().as_arrow(), false)?;
                let plan = session.create_physical_plan(&input).await?;
                let blueprint = Blueprint { schema, partition_by, checks: Vec::new(), comment: None };
                self.make_table(name, existing.as_ref(), blueprint, Some(plan), if_not_exists, session).await
            }
            WriteMode::Append => self.add_rows(name, false, &input, session).await.map(Some),
            WriteMode::Overwrite => self.add_rows(name, true, &input, session).await.map(Some),
            WriteMode::ReplaceWhere(predicate) => {
                Box::pin(self.replace_where(name, predicate, &input, session)).await.map(Some)
            }
        }
    }

    /// The existing table that CREATE is to replace (`Some(None)`: none), or `None` when there is nothing to do.
    async fn entry_to_create(
        &self,
        name: &TableName,
        or_replace: bool,
        if_not_exists: bool,
    ) -> Result<Option<Option<TableEntry>>> {
        name.check()?;
        self.check_writable()?;
        let Some(row) = self.relation_row(name).await? else { return Ok(Some(None)) };
        if if_not_exists {
            return Ok(None);
        }
        if !or_replace {
            return Err(Error::invalid(format!(
                "{} {name} already exists; use CREATE OR REPLACE or IF NOT EXISTS",
                row.kind.as_str()
            )));
        }
        self.table_entry(row).map(|entry| Some(Some(entry)))
    }

    async fn make_table(
        &self,
        name: &TableName,
        existing: Option<&TableEntry>,
        blueprint: Blueprint,
        plan: Option<Arc<dyn ExecutionPlan>>,
        if_not_exists: bool,
        session: &SessionState,
    ) -> Result<Option<Commit>> {
        check_partition_columns(name, &blueprint)?;
        let entry = match existing {
            Some(entry) => entry.clone(),
            None => self.new_entry(name).await?,
        };
        let base = match existing {
            Some(entry) => Some(self.snapshots().latest(&entry.folder).await?),
            None => None,
        };
        let log_store = self.snapshots().log_store(&entry.folder)?;
        let (written, bad) = match plan {
            None => (Written::default(), 0),
            Some(plan) => {
                let rules = RowRules::new(name, &blueprint.schema, &[], &plan.schema(), session)?;
                let input = Arc::clone(&plan);
                let context = session.task_ctx();
                let written = write_files(input, context, &log_store, rules, &blueprint.partition_by).await?;
                (written, bad_rows(plan.as_ref()))
            }
        };
        let rows = written.rows;
        let has_checks = !blueprint.checks.is_empty();
        let mut builder = CreateBuilder::new()
            .with_log_store(log_store.clone())
            .with_table_name(name.table.clone())
            .with_columns(kernel_schema(&blueprint.schema)?.fields().cloned())
            .with_partition_columns(blueprint.partition_by)
            .with_raise_if_key_not_exists(false)
            .with_configuration(blueprint.checks.into_iter().map(|(property, sql)| (property, Some(sql))))
            .with_save_mode(if existing.is_some() { DeltaMode::Overwrite } else { DeltaMode::ErrorIfExists });
        if let Some(comment) = blueprint.comment {
            builder = builder.with_comment(comment);
        }
        let protocol = has_checks.then(check_protocol).transpose()?;
        builder = builder.with_actions(protocol.map(Action::Protocol).into_iter().chain(written.actions()));
        let version = commit::commit_create(name, base.as_deref(), &log_store, builder, self.now_ms()).await?;
        if existing.is_none() && !self.insert_entry(&entry).await? {
            // Another process made the name meanwhile: ours was never visible.
            self.remove_folder(&entry.folder).await?;
            if if_not_exists {
                return Ok(None);
            }
            return Err(Error::conflict(format!("{name} was made by another session meanwhile")));
        }
        Ok(Some(Commit { version, rows, bad_rows: bad }))
    }

    async fn add_rows(
        &self,
        name: &TableName,
        overwrite: bool,
        input: &LogicalPlan,
        session: &SessionState,
    ) -> Result<Commit> {
        let (_, base) = self.table_to_change(name).await?;
        let plan = session.create_physical_plan(input).await?;
        if needs_deltalake(&base, overwrite)? {
            return Box::pin(self.write_through_deltalake(name, &base, plan, overwrite, None, session)).await;
        }
        let (mut actions, rows) = self.stage(name, &base, Arc::clone(&plan), session).await?;
        let bad_rows = bad_rows(plan.as_ref());
        let partition_by = base.snapshot()?.metadata().partition_columns().to_vec();
        let mode = if overwrite { DeltaMode::Overwrite } else { DeltaMode::Append };
        if overwrite {
            actions.extend(removals(&base)?);
        } else if actions.is_empty() {
            return Ok(Commit { version: base.version(), rows, bad_rows });
        }
        let operation = DeltaOperation::Write {
            mode,
            partition_by: (!partition_by.is_empty()).then_some(partition_by),
            predicate: None,
        };
        // Two overwrites of an empty table remove nothing that would make them conflict, so any commit in between counts.
        let retries = if overwrite && base.snapshot()?.log_data().num_files() == 0 { 0 } else { RETRIES };
        let guard = self.commit_lock(base.table().table_url());
        let _guard = guard.lock().await;
        let version = commit::commit_actions(&base, name, actions, operation, self.now_ms(), retries).await?;
        Ok(Commit { version, rows, bad_rows })
    }

    /// Writes rows as files of a table, by its rules; gives the actions that would add them.
    pub(super) async fn stage(
        &self,
        name: &TableName,
        base: &Pinned,
        plan: Arc<dyn ExecutionPlan>,
        session: &SessionState,
    ) -> Result<(Vec<Action>, u64)> {
        let snapshot = base.snapshot()?;
        let schema = snapshot.arrow_schema();
        let rules = RowRules::new(name, &schema, &base.checks(), &plan.schema(), session)?;
        let log_store = base.table().log_store();
        let partitions = snapshot.metadata().partition_columns();
        let written = write_files(plan, session.task_ctx(), &log_store, rules, partitions).await?;
        let rows = written.rows;
        Ok((written.actions(), rows))
    }

    async fn replace_where(
        &self,
        name: &TableName,
        predicate: Expr,
        input: &LogicalPlan,
        session: &SessionState,
    ) -> Result<Commit> {
        let (_, base) = self.table_to_change(name).await?;
        let plan = session.create_physical_plan(input).await?;
        let predicate = crate::table::unqualified(&predicate)?;
        self.write_through_deltalake(name, &base, plan, true, Some(predicate), session).await
    }

    async fn write_through_deltalake(
        &self,
        name: &TableName,
        base: &Pinned,
        plan: Arc<dyn ExecutionPlan>,
        overwrite: bool,
        predicate: Option<Expr>,
        session: &SessionState,
    ) -> Result<Commit> {
        check_columns(name, &plan.schema(), &base.snapshot()?.arrow_schema())?;
        let source = LogicalPlanBuilder::scan(
            UNNAMED_TABLE,
            provider_as_source(Arc::new(PlannedInput::new(plan)) as Arc<dyn TableProvider>),
            None,
        )?
        .build()?;
        let settled = commit::run(name, base, self.now_ms(), |properties| async move {
            let mut builder = base
                .table()
                .clone()
                .write([])
                .with_input_plan(source)
                .with_save_mode(if overwrite { DeltaMode::Overwrite } else { DeltaMode::Append })
                .with_session_state(Arc::new(delta_session(session)))
                .with_writer_properties(sink::writer_properties())
                .with_commit_properties(properties);
            if let Some(predicate) = predicate {
                builder = builder.with_replace_where(predicate);
            }
            builder.await.map(|table| (table, ()))
        })
        .await?;
        let rows = super::history::added_rows(base, settled.version).await?;
        Ok(Commit::new(settled.version, rows))
    }
}

/// Actions that remove every file of a snapshot.
pub(super) fn removals(base: &Pinned) -> Result<Vec<Action>> {
    Ok(base.snapshot()?.log_data().iter().map(|file| Action::Remove(file.remove_action(true))).collect())
}

/// Tables with features that the sink does not know: column mapping, generated columns, invariants, change data feed.
pub(super) fn needs_deltalake(base: &Pinned, removes_rows: bool) -> Result<bool> {
    let snapshot = base.snapshot()?;
    let configuration = snapshot.metadata().configuration();
    let is_on = |property: &str| configuration.get(property).is_some_and(|value| value == "true");
    let mapped = configuration.get("delta.columnMapping.mode").is_some_and(|mode| mode != "none");
    let ruled = snapshot.schema().fields().any(|field| {
        field.metadata().keys().any(|key| key.contains("generationExpression") || key.contains("invariants"))
    });
    Ok(mapped || ruled || (removes_rows && is_on("delta.enableChangeDataFeed")))
}

fn check_protocol() -> Result<Protocol> {
    let protocol = serde_json::json!({ "minReaderVersion": 1, "minWriterVersion": CHECK_WRITER_VERSION });
    Ok(serde_json::from_value(protocol)?)
}

fn check_columns(name: &TableName, input: &Schema, table: &Schema) -> Result<()> {
    for field in input.fields() {
        if table.field_with_name(field.name()).is_err() {
            let known = table.fields().iter().map(|field| field.name().as_str());
            return Err(Error::invalid(format!("table {name}: {}", unknown("column", field.name(), known))));
        }
    }
    Ok(())
}

fn check_partition_columns(name: &TableName, blueprint: &Blueprint) -> Result<()> {
    let mut seen = HashMap::new();
    for column in &blueprint.partition_by {
        let Ok(field) = blueprint.schema.field_with_name(column) else {
            let known = blueprint.schema.fields().iter().map(|field| field.name().as_str());
            return Err(Error::invalid(format!("table {name}: {}", unknown("partition column", column, known))));
        };
        if field.data_type().is_nested() || field.data_type().is_floating() {
            return Err(Error::invalid(format!(
                "table {name} cannot be partitioned by '{column}', which is {}; use a column of whole numbers, text, dates \
                 or booleans",
                field.data_type()
            )));
        }
        if seen.insert(column, ()).is_some() {
            return Err(Error::invalid(format!("table {name}: partition column '{column}' is given twice")));
        }
    }
    if blueprint.partition_by.len() == blueprint.schema.fields().len() {
        return Err(Error::invalid(format!("table {name} needs a column that it is not partitioned by")));
    }
    Ok(())
}
