//! `DROP {TABLE | VIEW | SCHEMA} [IF EXISTS] name, ..`

use lakemill_lake::{At, Relation, RelationKind, TableName};
use sqlparser::ast::{ObjectName, ObjectType};

use super::namespace;
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, position_of};

pub(super) async fn execute(
    scope: &StatementScope,
    object: ObjectType,
    if_exists: bool,
    names: &[ObjectName],
    cascade: bool,
) -> Result<Outcome> {
    let [name] = names else {
        return Err(Error::invalid("DROP takes one name, so that a failure leaves nothing half done"));
    };
    let dropped = match object {
        ObjectType::Table => table(scope, name, if_exists).await,
        ObjectType::View => view(scope, name, if_exists).await,
        ObjectType::Schema => return namespace::drop(scope, name, if_exists, cascade).await,
        other => Err(Error::invalid(format!("DROP {other} is not supported"))),
    };
    Ok(Outcome::Done(dropped.map_err(|error| scope.locate(error, position_of(name)))?))
}

async fn table(scope: &StatementScope, object: &ObjectName, if_exists: bool) -> Result<Summary> {
    let name = scope.table_name(object)?;
    if let Some(summary) = temporary(scope, &name, RelationKind::Table)? {
        return Ok(summary);
    }
    let dropped = match scope.lake().find(&name, At::Latest).await? {
        Some(Relation::View(_)) => return Err(Error::invalid(format!("'{name}' is a view; write DROP VIEW {name}"))),
        Some(Relation::External(_)) => scope.lake().drop_external(&name, if_exists).await?,
        Some(Relation::Table(_)) | None => scope.lake().drop_table(&name, if_exists).await?,
    };
    Ok(Summary::new(match dropped {
        true => format!("dropped {name}"),
        false => format!("there is no table {name}; nothing to do"),
    }))
}

async fn view(scope: &StatementScope, object: &ObjectName, if_exists: bool) -> Result<Summary> {
    let name = scope.table_name(object)?;
    if let Some(summary) = temporary(scope, &name, RelationKind::View)? {
        return Ok(summary);
    }
    if let Some(Relation::Table(_) | Relation::External(_)) = scope.lake().find(&name, At::Latest).await? {
        return Err(Error::invalid(format!("'{name}' is a table; write DROP TABLE {name}")));
    }
    Ok(Summary::new(match scope.lake().drop_view(&name, if_exists).await? {
        true => format!("dropped view {name}"),
        false => format!("there is no view {name}; nothing to do"),
    }))
}

/// Drops what the session keeps for itself, if it has such a thing.
fn temporary(scope: &StatementScope, name: &TableName, wanted: RelationKind) -> Result<Option<Summary>> {
    let temporaries = scope.session().temporary();
    let Some(known) = temporaries.get(name) else { return Ok(None) };
    let kind = known.kind().as_str();
    if known.kind() != wanted {
        return Err(Error::invalid(format!(
            "'{name}' is a temporary {kind}; write DROP {} {name}",
            kind.to_uppercase()
        )));
    }
    temporaries.remove(name);
    Ok(Some(Summary::new(format!("dropped temporary {kind} {name}"))))
}
