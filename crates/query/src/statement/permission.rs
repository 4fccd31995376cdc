//! What a statement needs to be allowed, beside reading: that is checked where names are resolved.
//!
//! UPDATE, DELETE and MERGE need SELECT too: their conditions tell what the rows hold.
//!
//! **Architecture invariant:** every statement passes here before it runs, is described or is planned for others, so that
//! nothing is changed that its user may not change. A statement that is new to the grammar of the lake does not compile
//! until it says here what it needs.

use datafusion::sql::parser::Statement as DFStatement;
use futures::future::BoxFuture;
use lakemill_lake::{ModelName, Privilege, Securable, SecurableKind, TableName};
use sqlparser::ast::{
    AlterTable, AlterTableOperation, CreateTable, CreateView, Delete, FromTable, Insert, Merge, MergeAction,
    ObjectName, ObjectType, RenameTableNameKind, Statement, TableFactor, TableObject, Truncate,
};

use super::data_change;
use super::update::target_name;
use crate::dialect::{Ast, GrantedOn, OwnStatement, SecurityStatement, VectorIndexStatement, normalized};
use crate::error::{Error, Position, Result};
use crate::model::ModelStatement;
use crate::session::{Need, StatementScope, position_of};

/// Whether the statement's user may run it.
///
/// # Errors
/// Denied, naming what is lacking; NotFound where what would be changed is not there.
pub(super) async fn authorize(scope: &StatementScope, ast: &Ast) -> Result<()> {
    if scope.rights().await?.is_none() {
        return Ok(());
    }
    match ast {
        Ast::Model(statement) => model(scope, statement).await,
        Ast::Own(statement) => own(scope, statement).await,
        Ast::Sql(statement) => datafusion(scope, statement).await,
    }
}

async fn model(scope: &StatementScope, statement: &ModelStatement) -> Result<()> {
    match statement {
        ModelStatement::Create(create) => {
            let object = ObjectName::from(create.name.clone());
            let name = Securable::model(&scope.model_name(&object)?);
            makes(scope, &name, create.or_replace, position_of(&object)).await
        }
        ModelStatement::Drop { name, if_exists } => {
            let object = ObjectName::from(name.clone());
            let name = Securable::model(&scope.model_name(&object)?);
            owned(scope, &name, *if_exists, position_of(&object)).await
        }
        // Loading a model asks for PREDICT, and writing its files for an administrator.
        ModelStatement::Show | ModelStatement::Describe { .. } | ModelStatement::Export { .. } => Ok(()),
    }
}

async fn own(scope: &StatementScope, statement: &OwnStatement) -> Result<()> {
    match statement {
        OwnStatement::CreateNamespace { .. } => scope.permit_admin("make namespaces").await,
        OwnStatement::VacuumLake { .. } => scope.permit_admin("clean the lake").await,
        OwnStatement::DropNamespace { name, .. } => drops_namespace(scope, name).await,
        OwnStatement::Optimize { table, .. }
        | OwnStatement::Vacuum { table, .. }
        | OwnStatement::Restore { table, .. } => owned_table(scope, table, false).await,
        OwnStatement::DescribeHistory { table, .. } | OwnStatement::ShowCreate { relation: table } => {
            needs(scope, table, Privilege::Select).await
        }
        OwnStatement::DescribeLineage { kind, object } => lineage(scope, kind.as_deref(), object).await,
        OwnStatement::ShowRuns { .. } | OwnStatement::DescribeRun { .. } => scope.permit_admin("watch pipelines").await,
        OwnStatement::Security(statement) => security(scope, statement).await,
        OwnStatement::VectorIndex(statement) => match statement {
            VectorIndexStatement::Create(create) => owned_table(scope, &create.table, false).await,
            VectorIndexStatement::Drop { table, if_exists, .. }
            | VectorIndexStatement::Rebuild { table, if_exists, .. } => owned_table(scope, table, *if_exists).await,
            VectorIndexStatement::Show => Ok(()),
        },
        // What is listed is what the user may know of.
        OwnStatement::Use { .. }
        | OwnStatement::ShowNamespaces
        | OwnStatement::ShowTables { .. }
        | OwnStatement::ShowSettings { .. } => Ok(()),
    }
}

/// What is made by users and administrators is granted by both; all else is the administrators'.
async fn security(scope: &StatementScope, statement: &SecurityStatement) -> Result<()> {
    match statement {
        // Shows users other than administrators what is their own.
        SecurityStatement::ShowGrants { user: None } => Ok(()),
        // Everybody's password is theirs to change.
        SecurityStatement::AlterUser { name, password: Some(_) }
            if scope.session().principal()?.is_some_and(|principal| principal.user == normalized(name)) =>
        {
            Ok(())
        }
        SecurityStatement::Privileges { on: GrantedOn::Objects(kind, names), .. } => {
            for name in names {
                let TableName { namespace, table } = scope.table_name(name)?;
                let object = match kind {
                    SecurableKind::Model => Securable::model(&ModelName::new(namespace, table)),
                    _ => Securable::table(&TableName::new(namespace, table)),
                };
                owned(scope, &object, false, position_of(name)).await?;
            }
            Ok(())
        }
        other => scope.permit_admin(other.purpose()).await,
    }
}

fn datafusion<'a>(scope: &'a StatementScope, statement: &'a DFStatement) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        match statement {
            DFStatement::Statement(statement) => sql(scope, statement).await,
            DFStatement::CreateExternalTable(create) => {
                scope.permit_admin("make external tables").await?;
                let name = Securable::table(&scope.table_name(&create.name)?);
                makes(scope, &name, create.or_replace, position_of(&create.name)).await
            }
            DFStatement::CopyTo(_) => scope.permit_admin("read and write files of the server").await,
            DFStatement::Explain(explain) => datafusion(scope, &explain.statement).await,
            DFStatement::Reset(_) => Ok(()),
        }
    })
}

fn sql<'a>(scope: &'a StatementScope, statement: &'a Statement) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        match statement {
            Statement::Query(query) => match data_change(query) {
                Some(change) => sql(scope, change).await,
                None => Ok(()),
            },
            Statement::CreateTable(create) => creates_table(scope, create).await,
            Statement::CreateView(create) => creates_view(scope, create).await,
            Statement::Insert(insert) => inserts(scope, insert).await,
            Statement::Update(update) => changes(scope, &update.table.relation, &[Privilege::Update]).await,
            Statement::Delete(delete) => deletes(scope, delete).await,
            Statement::Merge(merge) => merges(scope, merge).await,
            Statement::Truncate(truncate) => truncates(scope, truncate).await,
            Statement::AlterTable(alter) => alters(scope, alter).await,
            Statement::CreateSchema { .. } => scope.permit_admin("make namespaces").await,
            Statement::Drop { object_type, if_exists, names, .. } => {
                drops(scope, *object_type, *if_exists, names).await
            }
            // These read, and reading is checked where names are resolved; change the session; or are not supported.
            _ => Ok(()),
        }
    })
}

async fn creates_table(scope: &StatementScope, create: &CreateTable) -> Result<()> {
    if create.temporary {
        return Ok(());
    }
    let name = Securable::table(&scope.table_name(&create.name)?);
    makes(scope, &name, create.or_replace, position_of(&create.name)).await
}

async fn creates_view(scope: &StatementScope, create: &CreateView) -> Result<()> {
    if create.temporary {
        return Ok(());
    }
    let name = Securable::table(&scope.table_name(&create.name)?);
    makes(scope, &name, create.or_replace, position_of(&create.name)).await
}

async fn inserts(scope: &StatementScope, insert: &Insert) -> Result<()> {
    let TableObject::TableName(object) = &insert.table else { return Ok(()) };
    // As INSERT itself looks the name up: what the session keeps for itself comes first.
    if scope.session().temporary().table(&scope.table_name(object)?).is_some() {
        return Ok(());
    }
    needs(scope, object, Privilege::Insert).await?;
    match insert.overwrite {
        true => needs(scope, object, Privilege::Delete).await,
        false => Ok(()),
    }
}

async fn deletes(scope: &StatementScope, delete: &Delete) -> Result<()> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    for table in from {
        changes(scope, &table.relation, &[Privilege::Delete]).await?;
    }
    Ok(())
}

async fn merges(scope: &StatementScope, merge: &Merge) -> Result<()> {
    let privilege = |action: &MergeAction| match action {
        MergeAction::Insert(_) => Privilege::Insert,
        MergeAction::Update { .. } => Privilege::Update,
        MergeAction::Delete { .. } => Privilege::Delete,
    };
    let privileges: Vec<Privilege> = merge.clauses.iter().map(|clause| privilege(&clause.action)).collect();
    changes(scope, &merge.table, &privileges).await
}

async fn truncates(scope: &StatementScope, truncate: &Truncate) -> Result<()> {
    for target in &truncate.table_names {
        let name = scope.table_name(&target.name)?;
        if truncate.if_exists && !scope.lake().has_relation(&name).await? {
            continue;
        }
        needs(scope, &target.name, Privilege::Delete).await?;
    }
    Ok(())
}

async fn alters(scope: &StatementScope, alter: &AlterTable) -> Result<()> {
    owned_table(scope, &alter.name, alter.if_exists).await?;
    for operation in &alter.operations {
        if let AlterTableOperation::RenameTable { table_name } = operation {
            let (RenameTableNameKind::To(to) | RenameTableNameKind::As(to)) = table_name;
            // A new name without a namespace stays in the table's own.
            let from = scope.table_name(&alter.name)?;
            let to = if to.0.len() == 1 { from } else { scope.table_name(to)? };
            creates_in(scope, &to.namespace, position_of(&alter.name)).await?;
        }
    }
    Ok(())
}

async fn drops(scope: &StatementScope, kind: ObjectType, if_exists: bool, names: &[ObjectName]) -> Result<()> {
    for object in names {
        match kind {
            ObjectType::Schema => drops_namespace(scope, object).await?,
            ObjectType::Table | ObjectType::View if is_temporary(scope, object)? => {}
            ObjectType::Table | ObjectType::View => owned_table(scope, object, if_exists).await?,
            // Not supported.
            _ => {}
        }
    }
    Ok(())
}

fn is_temporary(scope: &StatementScope, object: &ObjectName) -> Result<bool> {
    Ok(scope.session().temporary().contains(&scope.table_name(object)?))
}

async fn drops_namespace(scope: &StatementScope, name: &ObjectName) -> Result<()> {
    let namespace = name.0.last().and_then(|part| part.as_ident()).map(normalized).unwrap_or_default();
    scope.permit(Need::Ownership, &Securable::namespace(&namespace), position_of(name)).await
}

/// The statements of an object's lineage hold what its owner wrote.
async fn lineage(scope: &StatementScope, kind: Option<&str>, object: &ObjectName) -> Result<()> {
    let TableName { namespace, table } = scope.table_name(object)?;
    let position = position_of(object);
    let relation = Securable::table(&TableName::new(&namespace, &table));
    let model = Securable::model(&ModelName::new(namespace, table));
    let objects = match kind {
        Some("model") => vec![model],
        Some(_) => vec![relation],
        None => vec![relation, model],
    };
    let mut known = 0;
    for object in &objects {
        if scope.session().exists(object).await? {
            known += 1;
            scope.permit(Need::Ownership, object, position).await?;
        }
    }
    match known {
        // What is left of things that were dropped is nobody's.
        0 => scope.permit_admin("see the lineage of what is not there any more").await,
        _ => Ok(()),
    }
}

/// Changes rows of a table, which is read for it.
async fn changes(scope: &StatementScope, target: &TableFactor, privileges: &[Privilege]) -> Result<()> {
    let name = target_name(scope, target)?;
    let position = match target {
        TableFactor::Table { name, .. } => position_of(name),
        _ => None,
    };
    for privilege in privileges.iter().chain([&Privilege::Select]) {
        scope.permit(Need::Privilege(*privilege), &Securable::table(&name), position).await?;
    }
    Ok(())
}

async fn needs(scope: &StatementScope, object: &ObjectName, privilege: Privilege) -> Result<()> {
    let name = Securable::table(&scope.table_name(object)?);
    scope.permit(Need::Privilege(privilege), &name, position_of(object)).await
}

async fn owned_table(scope: &StatementScope, object: &ObjectName, if_exists: bool) -> Result<()> {
    owned(scope, &Securable::table(&scope.table_name(object)?), if_exists, position_of(object)).await
}

async fn owned(scope: &StatementScope, object: &Securable, if_exists: bool, position: Option<Position>) -> Result<()> {
    if if_exists && !scope.session().exists(object).await? {
        return Ok(());
    }
    scope.permit(Need::Ownership, object, position).await
}

/// Makes an object, in the place of another one if `or_replace`.
async fn makes(scope: &StatementScope, object: &Securable, or_replace: bool, position: Option<Position>) -> Result<()> {
    if or_replace && scope.session().exists(object).await? {
        return scope.permit(Need::Ownership, object, position).await;
    }
    creates_in(scope, &object.namespace, position).await
}

async fn creates_in(scope: &StatementScope, namespace: &str, position: Option<Position>) -> Result<()> {
    let need = Need::Privilege(Privilege::Create);
    scope.permit(need, &Securable::namespace(namespace), position).await.map_err(|error| match error.kind() {
        lakemill_base::ErrorKind::NotFound => Error::not_found(format!("there is no namespace '{namespace}'")),
        _ => error,
    })
}
