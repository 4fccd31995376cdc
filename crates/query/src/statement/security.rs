//! Users, roles, privileges, tokens and the audit log: see `docs/security.md`.
//!
//! Each change is one change of the catalog, and a line of the audit log.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use lakemill_lake::{
    At, GrantEntry, Lake, ModelName, PrincipalKind, Privilege, Securable, SecurableKind, TableName, Token, Verifier,
    is_verifier,
};
use sqlparser::ast::{Ident, ObjectName};

use super::show::rows_of;
use crate::dialect::{Expires, GrantedOn, Privileges, Secret, SecurityStatement, normalized};
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, ident_position, position_of};

/// Lines of the audit log that SHOW AUDIT gives unless told otherwise.
const AUDIT_LINES: u64 = 1_000;

/// Runs a statement whose user may run it.
pub(super) fn execute<'a>(
    scope: &'a StatementScope,
    statement: &'a SecurityStatement,
) -> BoxFuture<'a, Result<Outcome>> {
    use SecurityStatement as Is;
    match statement {
        Is::CreateUser { name, password, if_not_exists } => {
            Box::pin(create_user(scope, name, password.as_ref(), *if_not_exists))
        }
        Is::AlterUser { name, password } => Box::pin(alter_user(scope, name, password.as_ref())),
        Is::CreateRole { name, if_not_exists } => Box::pin(create_role(scope, name, *if_not_exists)),
        Is::Drop { kind, name, if_exists } => Box::pin(drop(scope, *kind, name, *if_exists)),
        Is::Roles { give, roles, users } => Box::pin(give_roles(scope, *give, roles, users)),
        Is::Privileges { give, privileges, on, grantees } => {
            Box::pin(give_privileges(scope, *give, privileges, on, grantees))
        }
        Is::CreateToken { name, user, expires } => Box::pin(create_token(scope, name, user, expires.as_ref())),
        Is::DropToken { name, if_exists } => Box::pin(drop_token(scope, name, *if_exists)),
        Is::ShowPrincipals { kind } => Box::pin(show_principals(scope, *kind)),
        Is::ShowGrants { user } => Box::pin(show_grants(scope, user.as_ref())),
        Is::ShowTokens => Box::pin(show_tokens(scope)),
        Is::ShowAudit { limit } => Box::pin(show_audit(scope, limit.unwrap_or(AUDIT_LINES))),
    }
}

async fn create_user(
    scope: &StatementScope,
    name: &Ident,
    password: Option<&Secret>,
    if_not_exists: bool,
) -> Result<Outcome> {
    let user = normalized(name);
    if if_not_exists && scope.lake().user(&user).await?.is_some() {
        return done(format!("user {user} exists already; nothing to do"));
    }
    let verifier = verifier(password).await?;
    let made = scope.lake().create_user(&user, verifier.as_ref()).await;
    made.map_err(|error| scope.locate(error.into(), ident_position(name)))?;
    record(scope, "create user", user.clone()).await?;
    done(match password {
        Some(_) => format!("created user {user}"),
        None => format!("created user {user}, who has no password and logs in with tokens alone"),
    })
}

async fn alter_user(scope: &StatementScope, name: &Ident, password: Option<&Secret>) -> Result<Outcome> {
    let user = normalized(name);
    let verifier = verifier(password).await?;
    let set = scope.lake().set_password(&user, verifier.as_ref()).await;
    set.map_err(|error| scope.locate(error.into(), ident_position(name)))?;
    record(scope, "alter user", user.clone()).await?;
    done(match password {
        Some(_) => format!("changed the password of {user}"),
        None => format!("took the password of {user} away: tokens alone let it in"),
    })
}

/// What is kept of a password; a client may have made it of the password itself. Hashing takes a while.
async fn verifier(password: Option<&Secret>) -> Result<Option<Verifier>> {
    let Some(Secret(password)) = password.cloned() else { return Ok(None) };
    let made = tokio::task::spawn_blocking(move || match is_verifier(&password) {
        true => password.parse(),
        false => Verifier::of(&password),
    });
    let made = made.await.map_err(|error| Error::internal(format!("hashing a password failed: {error}")))?;
    Ok(Some(made?))
}

async fn create_role(scope: &StatementScope, name: &Ident, if_not_exists: bool) -> Result<Outcome> {
    let role = normalized(name);
    let known = scope.lake().principals().await?;
    if if_not_exists && known.iter().any(|entry| entry.name == role && entry.kind == PrincipalKind::Role) {
        return done(format!("role {role} exists already; nothing to do"));
    }
    let made = scope.lake().create_role(&role).await;
    made.map_err(|error| scope.locate(error.into(), ident_position(name)))?;
    record(scope, "create role", role.clone()).await?;
    done(format!("created role {role}"))
}

async fn drop(scope: &StatementScope, kind: PrincipalKind, name: &Ident, if_exists: bool) -> Result<Outcome> {
    let (what, dropped) = (kind.as_str(), normalized(name));
    let was_there = scope.lake().drop_principal(&dropped, kind, if_exists).await;
    if !was_there.map_err(|error| scope.locate(error.into(), ident_position(name)))? {
        return done(format!("there is no {what} {dropped}; nothing to do"));
    }
    record(scope, &format!("drop {what}"), dropped.clone()).await?;
    done(format!("dropped {what} {dropped}"))
}

async fn give_roles(scope: &StatementScope, give: bool, roles: &[Ident], users: &[Ident]) -> Result<Outcome> {
    let mut changed = 0;
    for role in roles {
        for user in users {
            let (role_name, user_name) = (normalized(role), normalized(user));
            let done = match give {
                true => scope.lake().grant_role(&role_name, &user_name).await,
                false => scope.lake().revoke_role(&role_name, &user_name).await,
            };
            if done.map_err(|error| scope.locate(error.into(), ident_position(role)))? {
                changed += 1;
                let action = if give { "grant role" } else { "revoke role" };
                record(scope, action, format!("{role_name} {} {user_name}", direction(give))).await?;
            }
        }
    }
    let (roles, users) = (listed(roles), listed(users));
    let verb = if give { "granted" } else { "revoked" };
    done(match changed {
        0 => format!("{users} {} {roles} already; nothing to do", if give { "has" } else { "lacks" }),
        _ => format!("{verb} {roles} {} {users}", direction(give)),
    })
}

async fn give_privileges(
    scope: &StatementScope,
    give: bool,
    privileges: &Privileges,
    on: &GrantedOn,
    grantees: &[Ident],
) -> Result<Outcome> {
    let mut grants = Vec::new();
    let objects = objects(scope, on, privileges, give).await?;
    for object in &objects {
        for privilege in privileges_on(object, privileges)? {
            let grant = |grantee| GrantEntry { grantee: normalized(grantee), privilege, object: object.clone() };
            grants.extend(grantees.iter().map(grant));
        }
    }
    // By grantee, so that each is looked up once.
    grants.sort_by(|left, right| left.grantee.cmp(&right.grantee));
    let locate = |error: lakemill_lake::Error| scope.locate(error.into(), grantees.first().and_then(ident_position));
    let message = match give {
        true => {
            scope.lake().grant(&grants).await.map_err(locate)?;
            format!("granted {} to {}", counted(grants.len() as u64), listed(grantees))
        }
        false => match scope.lake().revoke(&grants).await.map_err(locate)? {
            0 => format!("{} had none of these privileges; nothing to do", listed(grantees)),
            revoked => format!("revoked {} from {}", counted(revoked), listed(grantees)),
        },
    };
    let named: Vec<String> =
        grants.iter().map(|grant| format!("{} on {}", grant.privilege.as_str(), grant.object)).collect();
    let action = if give { "grant" } else { "revoke" };
    let mut named = named;
    named.dedup();
    record(scope, action, format!("{} {} {}", named.join(", "), direction(give), listed(grantees))).await?;
    done(message)
}

/// What privileges are given on, each of which is there; what is revoked may be gone.
async fn objects(
    scope: &StatementScope,
    on: &GrantedOn,
    privileges: &Privileges,
    give: bool,
) -> Result<Vec<Securable>> {
    match on {
        GrantedOn::Objects(kind, names) => {
            let mut objects = Vec::with_capacity(names.len());
            for name in names {
                objects.push(object(scope, *kind, name, give).await?);
            }
            Ok(objects)
        }
        GrantedOn::AllIn(kind, namespace) => {
            let name = known_namespace(scope, namespace).await?;
            Ok(match kind {
                SecurableKind::Model => {
                    let models = scope.lake().models(Some(&name)).await?;
                    models.iter().map(|model| Securable::model(&model.version.name)).collect()
                }
                _ => scope.lake().list(&name).await?.iter().map(|found| Securable::table(&found.name)).collect(),
            })
        }
        GrantedOn::Namespace(namespace) => {
            let name = known_namespace(scope, namespace).await?;
            let kinds = match privileges {
                Privileges::All => vec![SecurableKind::Table, SecurableKind::Model, SecurableKind::Namespace],
                Privileges::Named(privileges) => privileges.iter().map(|privilege| privilege.kind()).collect(),
            };
            let mut objects: Vec<Securable> = kinds.into_iter().map(|kind| Securable::all_in(kind, &name)).collect();
            objects.sort();
            objects.dedup();
            Ok(objects)
        }
    }
}

async fn object(scope: &StatementScope, kind: SecurableKind, name: &ObjectName, give: bool) -> Result<Securable> {
    let TableName { namespace, table } = scope.table_name(name)?;
    let locate = |error: lakemill_lake::Error| scope.locate(error.into(), position_of(name));
    if kind == SecurableKind::Model {
        let model = ModelName::new(namespace, table);
        if give {
            scope.lake().model(&model, None).await.map_err(locate)?;
        }
        return Ok(Securable::model(&model));
    }
    let table = TableName::new(namespace, table);
    if give && !scope.lake().has_relation(&table).await? {
        scope.lake().resolve(&table, At::Latest).await.map_err(locate)?;
    }
    Ok(Securable::table(&table))
}

async fn known_namespace(scope: &StatementScope, namespace: &Ident) -> Result<String> {
    let name = normalized(namespace);
    let known = scope.lake().namespaces().await?;
    if !known.contains(&name) {
        let message = lakemill_base::unknown("namespace", &name, known.iter().map(String::as_str));
        return Err(scope.locate(Error::not_found(message), ident_position(namespace)));
    }
    Ok(name)
}

/// The privileges on one object: of a whole namespace those that are about this kind of object.
fn privileges_on(object: &Securable, privileges: &Privileges) -> Result<Vec<Privilege>> {
    let known = Privilege::all_of(object.kind);
    let Privileges::Named(named) = privileges else { return Ok(known.to_vec()) };
    if object.object.is_empty() {
        return Ok(named.iter().copied().filter(|privilege| known.contains(privilege)).collect());
    }
    match named.iter().find(|privilege| !known.contains(privilege)) {
        None => Ok(named.clone()),
        Some(privilege) => {
            let names: Vec<&str> = known.iter().map(|privilege| privilege.as_str()).collect();
            let (kind, place) = (object.kind.as_str(), privilege.kind().as_str());
            Err(Error::invalid(format!(
                "{} is a privilege on a {place}, not on a {kind}; those on a {kind}: {}",
                privilege.as_str(),
                names.join(", ")
            )))
        }
    }
}

async fn create_token(
    scope: &StatementScope,
    name: &Ident,
    user: &Ident,
    expires: Option<&Expires>,
) -> Result<Outcome> {
    let now_ms = scope.session().clock().now_ms();
    let expires_ms = match expires {
        None => None,
        Some(Expires::AfterMs(after_ms)) => Some(now_ms.saturating_add(*after_ms)),
        Some(Expires::At(time)) => match scope.at_timestamp(time)? {
            At::TimestampMs(at_ms) => Some(at_ms),
            _ => return Err(Error::internal("a time was read as a version")),
        },
    };
    if expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
        return Err(Error::invalid("the token would expire before it is used; EXPIRES takes a time to come"));
    }
    let token = Token::random()?;
    let (token_name, user_name) = (normalized(name), normalized(user));
    let made = scope.lake().create_token(&token_name, &user_name, &token, expires_ms).await;
    made.map_err(|error| scope.locate(error.into(), ident_position(name)))?;
    record(scope, "create token", format!("{token_name} for {user_name}")).await?;
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let columns = vec![
        text(&token_name),
        text(&user_name),
        text(token.secret()),
        Arc::new(TimestampMillisecondArray::from(vec![expires_ms]).with_timezone("UTC")) as _,
    ];
    rows_of(RecordBatch::try_new(token_columns(), columns)?)
}

/// The columns that CREATE TOKEN gives.
pub(super) fn token_columns() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![text("name"), text("user"), text("token"), time("expires")]))
}

async fn drop_token(scope: &StatementScope, name: &Ident, if_exists: bool) -> Result<Outcome> {
    let token = normalized(name);
    let dropped = scope.lake().drop_token(&token, if_exists).await;
    if !dropped.map_err(|error| scope.locate(error.into(), ident_position(name)))? {
        return done(format!("there is no token {token}; nothing to do"));
    }
    record(scope, "drop token", token.clone()).await?;
    done(format!("dropped token {token}"))
}

async fn show_principals(scope: &StatementScope, kind: PrincipalKind) -> Result<Outcome> {
    let mut known = scope.lake().principals().await?;
    if kind == PrincipalKind::Role {
        let members = |role: &str| -> String {
            let has = known.iter().filter(|entry| entry.roles.iter().any(|known| known == role));
            has.map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let roles: Vec<&str> =
            known.iter().filter(|entry| entry.kind == kind).map(|entry| entry.name.as_str()).collect();
        let users: Vec<String> = roles.iter().map(|role| members(role)).collect();
        return table(vec![("role", texts(&roles)), ("users", texts(&users))]);
    }
    known.retain(|entry| entry.kind == kind);
    let names: Vec<&str> = known.iter().map(|entry| entry.name.as_str()).collect();
    let roles: Vec<String> = known.iter().map(|entry| entry.roles.join(", ")).collect();
    let passwords: BooleanArray = known.iter().map(|entry| Some(!entry.verifier.is_empty())).collect();
    let created = times(known.iter().map(|entry| Some(entry.created_ms)));
    table(vec![
        ("user", texts(&names)),
        ("roles", texts(&roles)),
        ("has_password", Arc::new(passwords)),
        ("created", created),
    ])
}

/// All privileges and owners, or those of one user by its roles too.
async fn show_grants(scope: &StatementScope, user: Option<&Ident>) -> Result<Outcome> {
    let lake = scope.lake();
    let is_admin = scope.rights().await?.is_none_or(|rights| rights.is_admin());
    let wanted = match user {
        Some(user) => Some(normalized(user)),
        None if is_admin => None,
        None => scope.session().principal()?.map(|principal| principal.user.clone()),
    };
    let grantees = match &wanted {
        None => None,
        Some(wanted) => Some(grantees_of(lake, wanted).await?),
    };
    let shown = |grantee: &str| grantees.as_ref().is_none_or(|grantees| grantees.iter().any(|known| known == grantee));
    let mut rows: Vec<[String; 4]> = Vec::new();
    for entry in lake.principals().await?.iter().filter(|entry| shown(&entry.name)) {
        rows.extend(entry.roles.iter().map(|role| [entry.name.clone(), "ROLE".into(), "role".into(), role.clone()]));
    }
    for GrantEntry { grantee, privilege, object } in lake.grants().await?.into_iter().filter(|g| shown(&g.grantee)) {
        rows.push([grantee, privilege.as_str().to_owned(), object.kind.as_str().to_owned(), object_name(&object)]);
    }
    for (owner, object) in lake.owners().await?.into_iter().filter(|(owner, _)| shown(owner)) {
        rows.push([owner, "OWNER".to_owned(), object.kind.as_str().to_owned(), object_name(&object)]);
    }
    rows.sort();
    let column = |index: usize| texts(&rows.iter().map(|row| row[index].as_str()).collect::<Vec<_>>());
    table(vec![("grantee", column(0)), ("privilege", column(1)), ("kind", column(2)), ("object", column(3))])
}

/// A user and its roles, or a role.
async fn grantees_of(lake: &Lake, name: &str) -> Result<Vec<String>> {
    let known = lake.principals().await?;
    match known.iter().find(|entry| entry.name == name) {
        Some(entry) => Ok(entry.roles.iter().cloned().chain([entry.name.clone()]).collect()),
        None => {
            let names = known.iter().map(|entry| entry.name.as_str());
            Err(Error::not_found(lakemill_base::unknown("user or role", name, names)))
        }
    }
}

/// `raw.flights`, `raw.*` for all of a namespace, `raw` for the namespace.
fn object_name(object: &Securable) -> String {
    let Securable { kind, namespace, object } = object;
    match kind {
        SecurableKind::Namespace => namespace.clone(),
        _ if object.is_empty() => format!("{namespace}.*"),
        _ => format!("{namespace}.{object}"),
    }
}

async fn show_tokens(scope: &StatementScope) -> Result<Outcome> {
    let known = scope.lake().tokens().await?;
    let names: Vec<&str> = known.iter().map(|token| token.name.as_str()).collect();
    let users: Vec<&str> = known.iter().map(|token| token.user.as_str()).collect();
    table(vec![
        ("name", texts(&names)),
        ("user", texts(&users)),
        ("created", times(known.iter().map(|token| Some(token.created_ms)))),
        ("expires", times(known.iter().map(|token| token.expires_ms))),
    ])
}

async fn show_audit(scope: &StatementScope, limit: u64) -> Result<Outcome> {
    let lines = scope.lake().audit(limit).await?;
    let text = |of: &dyn Fn(&lakemill_lake::AuditEntry) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(lines.iter().map(of)))
    };
    table(vec![
        ("at", times(lines.iter().map(|line| Some(line.at_ms)))),
        ("user", text(&|line| line.user.clone())),
        ("address", text(&|line| line.address.clone())),
        ("protocol", text(&|line| line.protocol.clone())),
        ("action", text(&|line| line.action.clone())),
        ("object", text(&|line| line.object.clone())),
        ("outcome", text(&|line| line.outcome.clone())),
    ])
}

fn texts<T: AsRef<str>>(values: &[T]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values.iter().map(AsRef::as_ref)))
}

fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true)
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMillisecondArray>().with_timezone("UTC"))
}

fn table(columns: Vec<(&str, ArrayRef)>) -> Result<Outcome> {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    rows_of(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn done(message: String) -> Result<Outcome> {
    Ok(Outcome::Done(Summary::new(message)))
}

fn direction(give: bool) -> &'static str {
    if give { "to" } else { "from" }
}

fn listed(names: &[Ident]) -> String {
    names.iter().map(normalized).collect::<Vec<_>>().join(", ")
}

fn counted(privileges: u64) -> String {
    match privileges {
        1 => "1 privilege".to_owned(),
        count => format!("{count} privileges"),
    }
}

/// Writes a change to the audit log before the statement is answered.
async fn record(scope: &StatementScope, action: &str, object: String) -> Result<()> {
    Ok(scope.lake().record_audit(vec![scope.session().audit_entry(action, object, "ok")]).await?)
}
