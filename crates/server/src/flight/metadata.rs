//! What there is: one catalog, the lake; its namespaces as schemas; its tables and views.
//!
//! Lakes have no keys: the questions about them are answered with no rows.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::GetTablesBuilder;
use arrow_flight::sql::{Command, CommandGetDbSchemas, CommandGetTables};
use lakemill_lake::{RelationKind, RelationSummary, TableName};

use super::about;
use crate::engine::Client;
use crate::error::{Error, Result};

/// The only catalog.
pub(super) const CATALOG: &str = "lake";

const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";

/// The columns of the answer, if the command asks what there is.
///
/// # Errors
/// Internal: what the server says of itself is wrong.
pub(super) fn schema(command: &Command) -> Result<Option<SchemaRef>> {
    Ok(Some(match command.clone() {
        Command::CommandGetCatalogs(command) => command.into_builder().schema(),
        Command::CommandGetDbSchemas(command) => command.into_builder().schema(),
        Command::CommandGetTables(command) => command.into_builder().schema(),
        Command::CommandGetTableTypes(command) => command.into_builder().schema(),
        Command::CommandGetSqlInfo(command) => command.into_builder(about::server()?).schema(),
        Command::CommandGetXdbcTypeInfo(command) => command.into_builder(about::types()?).schema(),
        Command::CommandGetPrimaryKeys(_) => primary_keys(),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => foreign_keys(),
        _ => return Ok(None),
    }))
}

/// The answer, if the command asks what there is.
///
/// # Errors
/// Unavailable: the catalog cannot be read.
pub(super) async fn answer(client: &Client, command: Command) -> Result<Option<RecordBatch>> {
    let batch = match command {
        Command::CommandGetCatalogs(command) => {
            let mut builder = command.into_builder();
            builder.append(CATALOG);
            builder.build()
        }
        Command::CommandGetDbSchemas(command) => return namespaces(client, command).await.map(Some),
        Command::CommandGetTables(command) => return tables(client, command).await.map(Some),
        Command::CommandGetTableTypes(command) => {
            let mut builder = command.into_builder();
            builder.append(TABLE);
            builder.append(VIEW);
            builder.build()
        }
        Command::CommandGetSqlInfo(command) => command.into_builder(about::server()?).build(),
        Command::CommandGetXdbcTypeInfo(command) => command.into_builder(about::types()?).build(),
        other => return Ok(schema(&other)?.map(RecordBatch::new_empty)),
    };
    batch.map(Some).map_err(wrong)
}

async fn namespaces(client: &Client, command: CommandGetDbSchemas) -> Result<RecordBatch> {
    let session = client.session().clone();
    let namespaces = client.engine().on_work(async move { Ok(session.namespaces().await?) }).await?;
    let mut builder = command.into_builder();
    for namespace in namespaces {
        builder.append(CATALOG, namespace);
    }
    builder.build().map_err(wrong)
}

async fn tables(client: &Client, command: CommandGetTables) -> Result<RecordBatch> {
    let session = client.session().clone();
    let list = async move {
        let mut relations = Vec::new();
        for namespace in session.namespaces().await? {
            relations.extend(session.relations(&namespace).await?);
        }
        Ok(relations)
    };
    let relations: Vec<RelationSummary> = client.engine().on_work(list).await?;
    let none = Schema::empty();
    // First which tables match, by name alone; then the columns of those that do.
    let mut builder = GetTablesBuilder::from(CommandGetTables { include_schema: false, ..command.clone() });
    for relation in &relations {
        let name = &relation.name;
        builder.append(CATALOG, &name.namespace, &name.table, kind(relation.kind), &none).map_err(wrong)?;
    }
    let matching = builder.build().map_err(wrong)?;
    if !command.include_schema {
        return Ok(matching);
    }
    let column = |index: usize| matching.column(index).as_string::<i32>();
    let (namespaces, names, kinds) = (column(1), column(2), column(3));
    let mut builder = GetTablesBuilder::from(CommandGetTables { include_schema: true, ..CommandGetTables::default() });
    for row in 0..matching.num_rows() {
        let name = TableName::new(namespaces.value(row), names.value(row));
        let columns = columns(client, &name).await;
        builder.append(CATALOG, &name.namespace, &name.table, kinds.value(row), &columns).map_err(wrong)?;
    }
    builder.build().map_err(wrong)
}

/// The columns of a relation; none of a view that is broken, or that the user may not read, which must not hide the
/// others.
async fn columns(client: &Client, name: &TableName) -> SchemaRef {
    let (session, wanted) = (client.session().clone(), name.clone());
    match client.engine().on_work(async move { Ok(session.columns(&wanted).await?) }).await {
        Ok(columns) => Arc::new(without_views(&columns)),
        Err(error) => {
            tracing::warn!(%name, %error, "the columns of a relation cannot be told");
            Arc::new(Schema::empty())
        }
    }
}

/// The types that rows are sent in, with what the table says of NULL.
fn without_views(columns: &Schema) -> Schema {
    let plain = lakemill_query::Plain::of(columns);
    let fields = plain.schema().fields().iter().zip(columns.fields());
    let field = |(plain, own): (&Arc<Field>, &Arc<Field>)| plain.as_ref().clone().with_nullable(own.is_nullable());
    Schema::new_with_metadata(fields.map(field).collect::<Vec<_>>(), columns.metadata().clone())
}

/// As information_schema has it: what stores rows, here or elsewhere, is a table.
fn kind(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table | RelationKind::External => TABLE,
        RelationKind::View => VIEW,
    }
}

fn wrong(error: FlightError) -> Error {
    Error::internal(format!("the answer cannot be made: {error}"))
}

fn primary_keys() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

fn foreign_keys() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}
