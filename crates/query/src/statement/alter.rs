//! `ALTER TABLE t {ADD COLUMN | RENAME COLUMN | RENAME TO | ADD CONSTRAINT | DROP CONSTRAINT} ..`

use lakemill_lake::{At, Relation, TableName};
use sqlparser::ast::{AlterTable, AlterTableOperation, ColumnDef, ColumnOption, RenameTableNameKind, TableConstraint};

use super::create_table::unsupported_constraint;
use super::planned::columns_schema;
use super::write::{changing, record};
use crate::dialect::normalized;
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, position_of};

pub(super) async fn execute(scope: &StatementScope, alter: &AlterTable) -> Result<Outcome> {
    let name = scope.table_name(&alter.name)?;
    if alter.if_exists && scope.lake().find(&name, At::Latest).await?.is_none() {
        return Ok(Outcome::Done(Summary::new(format!("there is no table {name}; nothing to do"))));
    }
    let [operation] = alter.operations.as_slice() else {
        return Err(Error::invalid("ALTER TABLE makes one change at a time, so that each is one version"));
    };
    let done = apply(scope, &name, operation).await.map_err(|error| scope.locate(error, position_of(&alter.name)))?;
    Ok(Outcome::Done(done))
}

async fn apply(scope: &StatementScope, name: &TableName, operation: &AlterTableOperation) -> Result<Summary> {
    match operation {
        AlterTableOperation::AddColumn { column_def, if_not_exists, column_position: None, .. } => {
            add_column(scope, name, column_def, *if_not_exists).await
        }
        AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
            let (from, to) = (normalized(old_column_name), normalized(new_column_name));
            let commit = changing(scope, |state| async {
                let state = state;
                Ok(scope.lake().rename_column(name, &from, &to, &state).await?)
            })
            .await?;
            record(scope, name, "table", commit.version).await?;
            Ok(Summary::new(format!("renamed column {from} of {name} to {to} (version {})", commit.version)))
        }
        AlterTableOperation::RenameTable { table_name } => {
            let (RenameTableNameKind::To(to) | RenameTableNameKind::As(to)) = table_name;
            let mut to = scope.table_name(to)?;
            // A new name without a namespace stays in the table's own.
            if let RenameTableNameKind::To(object) | RenameTableNameKind::As(object) = table_name
                && object.0.len() == 1
            {
                to.namespace.clone_from(&name.namespace);
            }
            scope.lake().rename_table(name, &to).await?;
            Ok(Summary::new(format!("renamed {name} to {to}")))
        }
        AlterTableOperation::AddConstraint { constraint: TableConstraint::Check(check), .. } => {
            let Some(check_name) = check.name.as_ref().map(normalized) else {
                return Err(Error::invalid("a new constraint needs a name: ADD CONSTRAINT positive CHECK (a > 0)"));
            };
            let commit = changing(scope, |state| async {
                let state = state;
                Ok(scope.lake().add_check(name, &check_name, &check.expr.to_string(), &state).await?)
            })
            .await?;
            record(scope, name, "table", commit.version).await?;
            Ok(Summary::new(format!("added constraint {check_name} to {name} (version {})", commit.version)))
        }
        AlterTableOperation::AddConstraint { constraint, .. } => Err(unsupported_constraint(constraint)),
        AlterTableOperation::DropConstraint { if_exists, name: check, .. } => {
            let check = normalized(check);
            let commit = scope.lake().drop_check(name, &check, *if_exists).await?;
            record(scope, name, "table", commit.version).await?;
            Ok(Summary::new(format!("dropped constraint {check} of {name} (version {})", commit.version)))
        }
        AlterTableOperation::DropColumn { .. } => Err(Error::invalid(format!(
            "DROP COLUMN is not supported; CREATE OR REPLACE TABLE {name} AS SELECT * EXCEPT (column) FROM {name} makes a version without it"
        ))),
        other => Err(Error::invalid(format!(
            "ALTER TABLE .. {other} is not supported; known: ADD COLUMN, RENAME COLUMN, RENAME TO, ADD CONSTRAINT, DROP CONSTRAINT"
        ))),
    }
}

async fn add_column(
    scope: &StatementScope,
    name: &TableName,
    column: &ColumnDef,
    if_not_exists: bool,
) -> Result<Summary> {
    let column_name = normalized(&column.name);
    if let Some(option) = column.options.iter().find(|option| !matches!(option.option, ColumnOption::Null)) {
        let message =
            format!("a new column takes no '{}': rows that are there get NULL; UPDATE fills them", option.option);
        return Err(Error::invalid(message));
    }
    if if_not_exists
        && let Relation::Table(table) = scope.lake().resolve(name, At::Latest).await?
        && datafusion::catalog::TableProvider::schema(table.as_ref()).index_of(&column_name).is_ok()
    {
        return Ok(Summary::new(format!("column {column_name} of {name} exists already; nothing to do")));
    }
    let schema = columns_schema(scope, std::slice::from_ref(column)).await?;
    let fields = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    let commit = scope.lake().add_columns(name, fields).await?;
    record(scope, name, "table", commit.version).await?;
    Ok(Summary::new(format!("added column {column_name} to {name} (version {})", commit.version)))
}
