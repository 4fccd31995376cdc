//! Rows in bulk (`adbc_ingest`): one INSERT, or one CREATE TABLE, that takes them as they come.

use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use lakemill_base::quoted_identifier;
use lakemill_lake::TableName;
use lakemill_query::Plain;
use tonic::Status;

use super::metadata::CATALOG;
use super::rows::Sent;
use crate::cancel::Cancel;
use crate::engine::Client;
use crate::error::{Error, Result};
use crate::ingest::Ingest;

/// What is made of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Create,
    Append,
    Replace,
}

/// Takes all rows into a table; gives how many they were.
///
/// # Errors
/// Whatever the statement finds wrong; nothing is committed then.
pub(super) async fn run(client: &Client, command: &CommandStatementIngest, sent: &mut Sent) -> Result<i64, Status> {
    let table = target(client, command)?;
    let plain = Plain::of(sent.schema().await?.as_ref());
    let way = way(client, command, &table).await?;
    let mut ingest = Ingest::begin(client, plain.schema(), |rows| statement(way, &table, plain.schema(), rows))?;
    while let Some(batch) = sent.batch().await? {
        ingest.send(plain.batch(&batch).map_err(Error::from)?).await?;
    }
    let rows = ingest.finish(&Cancel::default()).await?;
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}

fn target(client: &Client, command: &CommandStatementIngest) -> Result<TableName> {
    if let Some(catalog) = command.catalog.as_deref().filter(|catalog| !["", CATALOG].contains(catalog)) {
        return Err(Error::not_found(format!("there is no catalog '{catalog}'; the lake's is '{CATALOG}'")));
    }
    if command.temporary {
        return Err(Error::unsupported(
            "temporary tables end with their session, and over Flight SQL each call has one of its own: ingest into a \
             table of the lake",
        ));
    }
    if command.table.is_empty() {
        return Err(Error::invalid("the rows need the name of the table that they go into"));
    }
    let namespace = command.schema.clone().filter(|schema| !schema.is_empty());
    Ok(TableName::new(namespace.unwrap_or_else(|| client.session().namespace()), &command.table))
}

/// What to do, by what the client wants if there is such a table, and if there is none.
async fn way(client: &Client, command: &CommandStatementIngest, table: &TableName) -> Result<Way> {
    let options = command.table_definition_options.unwrap_or_default();
    let absent = TableNotExistOption::try_from(options.if_not_exist).unwrap_or(TableNotExistOption::Unspecified);
    let present = TableExistsOption::try_from(options.if_exists).unwrap_or(TableExistsOption::Unspecified);
    match (absent, present) {
        // CREATE TABLE and INSERT see for themselves, when they commit.
        (TableNotExistOption::Create, TableExistsOption::Fail) => return Ok(Way::Create),
        (TableNotExistOption::Create, TableExistsOption::Replace) => return Ok(Way::Replace),
        (TableNotExistOption::Fail, TableExistsOption::Append) => return Ok(Way::Append),
        (TableNotExistOption::Create, TableExistsOption::Append)
        | (TableNotExistOption::Fail, TableExistsOption::Replace) => {}
        _ => {
            return Err(Error::invalid(
                "say what happens if the table exists and if it does not: create, append, replace or create_append",
            ));
        }
    }
    let (session, name) = (client.session().clone(), table.clone());
    // A table that the user may not see is there to none; the statement is then refused.
    let list = async move { Ok(session.relations(&name.namespace).await?.iter().any(|known| known.name == name)) };
    let known = client.engine().on_work(list).await?;
    match (known, present) {
        (true, TableExistsOption::Append) => Ok(Way::Append),
        (true, _) => Ok(Way::Replace),
        (false, TableExistsOption::Append) => Ok(Way::Create),
        (false, _) => Err(Error::not_found(format!("there is no table {table} to replace; create it"))),
    }
}

/// The statement that reads the relation `rows`. Columns are matched by name.
fn statement(way: Way, table: &TableName, schema: &SchemaRef, rows: &str) -> String {
    let name = table.quoted();
    match way {
        Way::Create => format!("CREATE TABLE {name} AS SELECT * FROM {rows}"),
        Way::Replace => format!("CREATE OR REPLACE TABLE {name} AS SELECT * FROM {rows}"),
        Way::Append => {
            let columns = columns(schema);
            format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {rows}")
        }
    }
}

fn columns(schema: &Schema) -> String {
    let names: Vec<String> = schema.fields().iter().map(|field| quoted_identifier(field.name())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use lakemill_lake::TableName;

    use super::{Way, statement};

    #[test]
    fn names_are_never_read_as_sql() {
        let schema = Arc::new(Schema::new(vec![Field::new("a\") --", DataType::Int32, true)]));
        let table = TableName::new("main", "t\"; DROP TABLE u");
        assert_eq!(
            statement(Way::Append, &table, &schema, "sent_rows_1"),
            "INSERT INTO \"main\".\"t\"\"; DROP TABLE u\" (\"a\"\") --\") SELECT \"a\"\") --\" FROM sent_rows_1"
        );
    }
}
