//! `CREATE [OR REPLACE] [TEMP] TABLE [IF NOT EXISTS] t (columns) | AS query`

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::LogicalPlan;
use lakemill_lake::{Securable, TableDefinition, TableName, WriteMode};
use sqlparser::ast::{
    ColumnDef, ColumnOption, CommentDef, CreateTable, CreateTableOptions, Expr, HiveDistributionStyle, Ident,
    SqlOption, TableConstraint,
};

use super::planned::{column_type, columns_schema};
use super::query::collect;
use super::write::{record, rows, write};
use crate::dialect::normalized;
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, Temporary, position_of};

pub(super) async fn execute(scope: &StatementScope, create: &CreateTable) -> Result<Outcome> {
    refuse_extras(create)?;
    if create.or_replace && create.if_not_exists {
        return Err(Error::invalid("OR REPLACE and IF NOT EXISTS exclude each other"));
    }
    let name = scope.table_name(&create.name)?;
    if create.temporary {
        return temporary(scope, create, name).await;
    }
    let summary = match &create.query {
        Some(query) => {
            let plan = scope.plan_query(query).await?;
            as_query(scope, create, &name, plan).await
        }
        None => with_columns(scope, create, &name).await,
    };
    summary.map(Outcome::Done).map_err(|error| scope.locate(error, position_of(&create.name)))
}

async fn as_query(
    scope: &StatementScope,
    create: &CreateTable,
    name: &TableName,
    plan: LogicalPlan,
) -> Result<Summary> {
    let plan = match create.columns.as_slice() {
        [] => plan,
        columns => super::insert::renamed(scope, plan, columns_schema(scope, columns).await?)?,
    };
    refuse_unnamed_columns(&plan)?;
    let partition_by = partition_columns(create)?;
    let schema = Arc::clone(plan.schema().inner());
    for column in &partition_by {
        column_type(&schema, column)?;
    }
    let mode = WriteMode::Create { or_replace: create.or_replace, if_not_exists: create.if_not_exists, partition_by };
    let Some(commit) = write(scope, name, mode, plan).await? else {
        return Ok(Summary::new(format!("table {name} exists already; nothing to do")));
    };
    scope.made(&Securable::table(name)).await?;
    let message = format!("created {name} with {} (version {})", rows(commit.rows), commit.version);
    Ok(Summary::new(message).with_rows(commit.rows))
}

async fn with_columns(scope: &StatementScope, create: &CreateTable, name: &TableName) -> Result<Summary> {
    if create.columns.is_empty() {
        return Err(Error::invalid(format!(
            "a table needs columns: CREATE TABLE {name} (a INT, b TEXT) or AS SELECT .."
        )));
    }
    let partition_by = partition_columns(create)?;
    let declared: Vec<ColumnDef> = create.columns.iter().chain(partition_definitions(create)).cloned().collect();
    let schema = commented(columns_schema(scope, &declared).await?, &declared);
    for column in &partition_by {
        column_type(&schema, column)?;
    }
    let definition = TableDefinition { schema, checks: checks(create)?, partition_by, comment: comment(create) };
    let made =
        scope.lake().create_table(name, &definition, create.or_replace, create.if_not_exists, scope.state()).await?;
    let Some(commit) = made else {
        return Ok(Summary::new(format!("table {name} exists already; nothing to do")));
    };
    scope.made(&Securable::table(name)).await?;
    record(scope, name, "table", commit.version).await?;
    Ok(Summary::new(format!("created {name} (version {})", commit.version)))
}

/// A table that lives in memory and ends with the session.
async fn temporary(scope: &StatementScope, create: &CreateTable, name: TableName) -> Result<Outcome> {
    let makes = scope.session().temporary().makes(&name, create.if_not_exists, create.or_replace);
    if !makes.map_err(|error| scope.locate(error, position_of(&create.name)))? {
        return Ok(Outcome::Done(Summary::new(format!("temporary table {name} exists already; nothing to do"))));
    }
    if !checks(create)?.is_empty() || !partition_columns(create)?.is_empty() {
        return Err(Error::invalid("a temporary table has neither CHECK nor PARTITIONED BY"));
    }
    let (schema, batches) = match &create.query {
        Some(query) => {
            let plan = scope.plan_query(query).await?;
            refuse_unnamed_columns(&plan)?;
            (Arc::clone(plan.schema().inner()), collect(scope, &plan).await?)
        }
        None => (columns_schema(scope, &create.columns).await?, Vec::new()),
    };
    let count: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    let table = MemTable::try_new(schema, vec![batches]).map_err(|error| scope.error(error))?;
    let message = format!("created temporary table {name} with {}", rows(count as u64));
    scope.session().temporary().insert(name, Temporary::Table(Arc::new(table)));
    Ok(Outcome::Done(Summary::new(message).with_rows(count as u64)))
}

/// Two columns of one name cannot be stored.
pub(super) fn refuse_unnamed_columns(plan: &LogicalPlan) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for field in plan.schema().fields() {
        if !seen.insert(field.name().to_lowercase()) {
            let message = format!("column '{}' is there twice; give one of them another alias", field.name());
            return Err(Error::invalid(message));
        }
    }
    Ok(())
}

/// `PARTITIONED BY (a, b)` or `PARTITION BY (a, b)`
fn partition_columns(create: &CreateTable) -> Result<Vec<String>> {
    if let HiveDistributionStyle::PARTITIONED { columns } = &create.hive_distribution {
        return Ok(columns.iter().map(|column| normalized(&column.name)).collect());
    }
    let Some(by) = &create.partition_by else { return Ok(Vec::new()) };
    let column = |expr: &Expr| match expr {
        Expr::Identifier(ident) => Ok(normalized(ident)),
        other => {
            Err(Error::invalid(format!("tables are partitioned by columns, not by '{other}'; add a column for it")))
        }
    };
    match by.as_ref() {
        Expr::Tuple(exprs) => exprs.iter().map(column).collect(),
        Expr::Nested(expr) => Ok(vec![column(expr)?]),
        expr => Ok(vec![column(expr)?]),
    }
}

/// Hive's `PARTITIONED BY (a INT)` declares the columns there.
fn partition_definitions(create: &CreateTable) -> impl Iterator<Item = &ColumnDef> {
    let columns = match &create.hive_distribution {
        HiveDistributionStyle::PARTITIONED { columns } => columns.as_slice(),
        _ => &[],
    };
    columns.iter().filter(|column| column.data_type != sqlparser::ast::DataType::Unspecified)
}

/// CHECK constraints of columns and of the table; those without a name are numbered.
fn checks(create: &CreateTable) -> Result<Vec<(String, String)>> {
    let mut checks = Vec::new();
    let mut add = |name: Option<&Ident>, expr: &Expr| {
        let name = name.map(normalized).unwrap_or_else(|| format!("check_{}", checks.len() + 1));
        checks.push((name, expr.to_string()));
    };
    for column in &create.columns {
        for option in &column.options {
            match &option.option {
                ColumnOption::Check(check) => add(option.name.as_ref().or(check.name.as_ref()), &check.expr),
                ColumnOption::Null | ColumnOption::NotNull | ColumnOption::Comment(_) => {}
                other => {
                    return Err(Error::invalid(format!(
                        "column option '{other}' of '{}' is not supported; columns take NOT NULL, CHECK and COMMENT",
                        column.name
                    )));
                }
            }
        }
    }
    for constraint in &create.constraints {
        match constraint {
            TableConstraint::Check(check) => add(check.name.as_ref(), &check.expr),
            other => return Err(unsupported_constraint(other)),
        }
    }
    Ok(checks)
}

pub(super) fn unsupported_constraint(constraint: &TableConstraint) -> Error {
    Error::invalid(format!(
        "constraint '{constraint}' is not supported: a lake table enforces NOT NULL and CHECK; MERGE INTO keeps keys unique"
    ))
}

/// Puts the comments of columns into the schema.
fn commented(schema: SchemaRef, columns: &[ColumnDef]) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let comment =
                columns.iter().filter(|column| normalized(&column.name) == *field.name()).find_map(|column| {
                    column.options.iter().find_map(|option| match &option.option {
                        ColumnOption::Comment(text) => Some(text.clone()),
                        _ => None,
                    })
                });
            match comment {
                Some(text) => field.as_ref().clone().with_metadata([("comment".to_owned(), text)].into()),
                None => field.as_ref().clone(),
            }
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn comment(create: &CreateTable) -> Option<String> {
    let text = |comment: &CommentDef| match comment {
        CommentDef::WithEq(text) | CommentDef::WithoutEq(text) => text.clone(),
    };
    let of_options = match &create.table_options {
        CreateTableOptions::Plain(options) => options.iter().find_map(|option| match option {
            SqlOption::Comment(comment) => Some(text(comment)),
            _ => None,
        }),
        _ => None,
    };
    of_options.or_else(|| create.comment.as_ref().map(text))
}

fn refuse_extras(create: &CreateTable) -> Result<()> {
    let extra = [
        (create.like.is_some(), "LIKE", "write AS SELECT * FROM t LIMIT 0"),
        (create.clone.is_some(), "CLONE", "write AS SELECT * FROM t"),
        (create.order_by.is_some(), "ORDER BY", "order the query, or OPTIMIZE .. ZORDER BY afterwards"),
        (
            create.clustered_by.is_some() || create.cluster_by.is_some(),
            "CLUSTER BY",
            "OPTIMIZE .. ZORDER BY afterwards",
        ),
        (create.inherits.is_some(), "INHERITS", "use a view"),
        (create.location.is_some(), "LOCATION", "write CREATE EXTERNAL TABLE"),
        (create.primary_key.is_some(), "PRIMARY KEY", "a lake table enforces NOT NULL and CHECK"),
    ];
    match extra.iter().find(|(present, ..)| *present) {
        Some((_, clause, instead)) => {
            Err(Error::invalid(format!("CREATE TABLE .. {clause} is not supported; {instead}")))
        }
        None => Ok(()),
    }
}
