//! `CREATE` and `DROP {NAMESPACE | SCHEMA}`, `USE`.

use lakemill_lake::Securable;
use sqlparser::ast::{Ident, ObjectName, SchemaName};

use crate::dialect::normalized;
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, ident_position, position_of};

pub(super) async fn create(scope: &StatementScope, name: &ObjectName, if_not_exists: bool) -> Result<Outcome> {
    let namespace = single_name(name)?;
    let made = scope.lake().create_namespace(&namespace, if_not_exists).await;
    let made = made.map_err(|error| scope.locate(error.into(), position_of(name)))?;
    if made {
        scope.made(&Securable::namespace(&namespace)).await?;
    }
    Ok(Outcome::Done(Summary::new(match made {
        true => format!("created namespace {namespace}"),
        false => format!("namespace {namespace} exists already; nothing to do"),
    })))
}

pub(super) async fn create_schema(scope: &StatementScope, name: &SchemaName, if_not_exists: bool) -> Result<Outcome> {
    match name {
        SchemaName::Simple(name) => create(scope, name, if_not_exists).await,
        other => Err(Error::invalid(format!("CREATE SCHEMA {other} is not supported: a namespace has no owner"))),
    }
}

pub(super) async fn drop(scope: &StatementScope, name: &ObjectName, if_exists: bool, cascade: bool) -> Result<Outcome> {
    let namespace = single_name(name)?;
    let dropped = scope.lake().drop_namespace(&namespace, if_exists, cascade).await;
    let dropped = dropped.map_err(|error| scope.locate(error.into(), position_of(name)))?;
    Ok(Outcome::Done(Summary::new(match dropped {
        true => format!("dropped namespace {namespace}"),
        false => format!("there is no namespace {namespace}; nothing to do"),
    })))
}

pub(super) async fn switch(scope: &StatementScope, namespace: &Ident) -> Result<Outcome> {
    let name = normalized(namespace);
    let known = scope.session().namespaces_for(scope.rights().await?).await?;
    if !known.contains(&name) {
        let message = lakemill_base::unknown("namespace", &name, known.iter().map(String::as_str));
        return Err(scope.locate(Error::not_found(message), ident_position(namespace)));
    }
    scope.session().set_namespace(name.clone());
    Ok(Outcome::Done(Summary::new(format!("using namespace {name}"))))
}

fn single_name(name: &ObjectName) -> Result<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(normalized).ok_or_else(|| Error::invalid(format!("'{name}' is not a namespace"))),
        _ => Err(Error::invalid(format!("'{name}' is not a namespace: its name has one part"))),
    }
}
