//! `CREATE [OR REPLACE] EXTERNAL TABLE [IF NOT EXISTS] t [(columns)] STORED AS f LOCATION '..' ..`

use std::sync::Arc;

use datafusion::sql::parser::CreateExternalTable;
use lakemill_base::ErrorKind;
use lakemill_lake::{ExternalEntry, Securable, external};
use sqlparser::ast::Value;

use super::planned::{column_type, columns_schema};
use super::write::record;
use crate::error::{Error, Result};
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, full_name, position_of};

pub(super) async fn create(scope: &StatementScope, create: &CreateExternalTable) -> Result<Outcome> {
    if create.unbounded || create.temporary {
        return Err(Error::invalid("CREATE EXTERNAL TABLE takes neither TEMPORARY nor UNBOUNDED"));
    }
    if !create.order_exprs.is_empty() || !create.constraints.is_empty() {
        return Err(Error::invalid(
            "CREATE EXTERNAL TABLE takes neither WITH ORDER nor constraints: nobody keeps them",
        ));
    }
    let [location] = create.locations.as_slice() else {
        return Err(Error::invalid(
            "CREATE EXTERNAL TABLE takes one LOCATION; a pattern such as 'data/*.csv' names many files",
        ));
    };
    let place = || scope.statement().literal_after("LOCATION");
    scope.check_location(location).await.map_err(|error| scope.locate(error, place()))?;
    let name = scope.table_name(&create.name)?;
    let locate = |error: lakemill_lake::Error| scope.locate(error.into(), position_of(&create.name));
    let locate_files = |error: lakemill_lake::Error| match error.kind() {
        ErrorKind::Invalid => locate(error),
        _ => scope.locate(error.into(), place()),
    };
    let schema = match create.columns.is_empty() {
        true => None,
        false => Some(columns_schema(scope, &create.columns).await?),
    };
    let mut partition_columns = Vec::new();
    for column in &create.table_partition_cols {
        let column = column.trim_matches('"').to_owned();
        let data_type = match &schema {
            Some(schema) => column_type(schema, &column)?,
            None => arrow::datatypes::DataType::Utf8,
        };
        partition_columns.push((column, data_type));
    }
    // Partition columns come from the folders' names, not from the files.
    let schema = schema.map(|schema| {
        let fields =
            schema.fields().iter().filter(|field| !partition_columns.iter().any(|(name, _)| name == field.name()));
        Arc::new(arrow::datatypes::Schema::new(fields.cloned().collect::<Vec<_>>()))
    });
    let entry = ExternalEntry {
        name: name.clone(),
        format: create.file_type.to_lowercase(),
        location: location.clone(),
        options: create
            .options
            .iter()
            .map(|(key, value)| Ok((key.clone(), option_text(key, value)?)))
            .collect::<Result<_>>()?,
        schema,
        partition_columns,
        created_ms: scope.session().clock().now_ms(),
    };
    let entry = external::infer(scope.lake(), entry, scope.state()).await.map_err(locate_files)?;
    let fingerprint = external::fingerprint(scope.lake(), &entry).await.map_err(locate_files)?;
    scope.record_read(ObjectRef::file(&entry.location), ObjectVersion::Fingerprint(fingerprint.clone()));
    let made = scope.lake().create_external(entry, create.or_replace, create.if_not_exists).await.map_err(locate)?;
    if !made {
        return Ok(Outcome::Done(Summary::new(format!("table {name} exists already; nothing to do"))));
    }
    scope.made(&Securable::table(&name)).await?;
    scope.record_write(ObjectRef::table(full_name(&name)), ObjectVersion::Fingerprint(fingerprint));
    record(scope, &name, "external table", 0).await?;
    Ok(Outcome::Done(Summary::new(format!("created external table {name} over {location}"))))
}

fn option_text(key: &str, value: &Value) -> Result<String> {
    match value {
        Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) | Value::EscapedStringLiteral(text) => {
            Ok(text.clone())
        }
        Value::Number(number, _) => Ok(number.clone()),
        Value::Boolean(flag) => Ok(flag.to_string()),
        other => Err(Error::invalid(format!("option '{key}' cannot be {other}; write a string or a number"))),
    }
}
