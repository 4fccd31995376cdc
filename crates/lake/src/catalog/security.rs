//! Users, roles, grants, owners, tokens and the audit log, as rows.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::Catalog;
use super::rights::{Privilege, Rights, Securable, SecurableKind};
use crate::error::{Error, Result};

/// The role that may do everything. It is there from the start and cannot be dropped.
pub const ADMIN: &str = "admin";

/// What a name that privileges are granted to is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// Somebody who logs in.
    User,
    /// A set of privileges that users are given together.
    Role,
}

impl PrincipalKind {
    /// As the catalog and messages write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
        }
    }
}

/// A user or a role.
#[derive(Clone, Debug)]
pub struct PrincipalEntry {
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: PrincipalKind,
    /// A user's SCRAM verifier as text; empty: no password.
    pub verifier: String,
    /// The roles that it has, in alphabetical order.
    pub roles: Vec<String>,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
}

/// One privilege that was granted.
#[derive(Clone, Debug)]
pub struct GrantEntry {
    /// The user or role that has it.
    pub grantee: String,
    /// The privilege.
    pub privilege: Privilege,
    /// What it is on.
    pub object: Securable,
}

/// A token, without its secret.
#[derive(Clone, Debug)]
pub struct TokenEntry {
    /// The name.
    pub name: String,
    /// The user that it stands for.
    pub user: String,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
    /// When it ends, in milliseconds since the epoch.
    pub expires_ms: Option<i64>,
}

/// One line of the audit log.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The user, as it has named itself; empty: somebody at this machine's command line.
    pub user: String,
    /// Where the client is; empty at the command line.
    pub address: String,
    /// `http`, `postgres`, `flight` or `local`.
    pub protocol: String,
    /// Such as `login`, `select`, `create user`.
    pub action: String,
    /// What it was done to.
    pub object: String,
    /// `ok`, or why not.
    pub outcome: String,
}

impl Catalog {
    /// False when the name is taken.
    pub(crate) async fn insert_principal(
        &self,
        name: &str,
        kind: PrincipalKind,
        verifier: &str,
        now_ms: i64,
    ) -> Result<bool> {
        let done = sqlx::query(
            "INSERT INTO principals (name, kind, verifier, created_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .bind(kind.as_str())
        .bind(verifier)
        .bind(now_ms)
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// False when there is no such user.
    pub(crate) async fn update_verifier(&self, user: &str, verifier: &str) -> Result<bool> {
        let done = sqlx::query("UPDATE principals SET verifier = $1 WHERE name = $2 AND kind = 'user'")
            .bind(verifier)
            .bind(user)
            .execute(self.writer()?)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes away a user or a role with all that it was granted, its tokens and its memberships. What it owned has no
    /// owner then. False when there is none of this kind.
    pub(crate) async fn delete_principal(&self, name: &str, kind: PrincipalKind) -> Result<bool> {
        const BELONGING: [&str; 5] = [
            "DELETE FROM tokens WHERE principal = $1",
            "DELETE FROM owners WHERE owner = $1",
            "DELETE FROM grants WHERE grantee = $1",
            "DELETE FROM memberships WHERE member = $1",
            "DELETE FROM memberships WHERE role = $1",
        ];
        let mut transaction = self.writer()?.begin().await?;
        for statement in BELONGING {
            sqlx::query(statement).bind(name).execute(&mut *transaction).await?;
        }
        let done = sqlx::query("DELETE FROM principals WHERE name = $1 AND kind = $2")
            .bind(name)
            .bind(kind.as_str())
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    pub(crate) async fn principals(&self) -> Result<Vec<PrincipalEntry>> {
        let rows = sqlx::query("SELECT name, kind, verifier, created_ms FROM principals ORDER BY name");
        let rows = rows.fetch_all(self.reader()).await?;
        let members =
            sqlx::query("SELECT member, role FROM memberships ORDER BY role").fetch_all(self.reader()).await?;
        let members: Vec<(String, String)> =
            members.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_>>()?;
        rows.iter().map(|row| read_principal(row, &members)).collect()
    }

    pub(crate) async fn principal(&self, name: &str) -> Result<Option<PrincipalEntry>> {
        let row = sqlx::query("SELECT name, kind, verifier, created_ms FROM principals WHERE name = $1")
            .bind(name)
            .fetch_optional(self.reader())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let roles = self.roles_of(name).await?;
        let members: Vec<(String, String)> = roles.into_iter().map(|role| (name.to_owned(), role)).collect();
        read_principal(&row, &members).map(Some)
    }

    async fn roles_of(&self, member: &str) -> Result<Vec<String>> {
        let rows = sqlx::query("SELECT role FROM memberships WHERE member = $1 ORDER BY role")
            .bind(member)
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(|row| row.try_get(0).map_err(Error::from)).collect()
    }

    /// False when the member has the role already.
    pub(crate) async fn insert_membership(&self, role: &str, member: &str, now_ms: i64) -> Result<bool> {
        let done = sqlx::query(
            "INSERT INTO memberships (role, member, granted_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(role)
        .bind(member)
        .bind(now_ms)
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// False when the member has not the role.
    pub(crate) async fn delete_membership(&self, role: &str, member: &str) -> Result<bool> {
        let done = sqlx::query("DELETE FROM memberships WHERE role = $1 AND member = $2")
            .bind(role)
            .bind(member)
            .execute(self.writer()?)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Adds what is not there yet, all or nothing.
    pub(crate) async fn insert_grants(&self, grants: &[GrantEntry], now_ms: i64) -> Result<()> {
        let mut transaction = self.writer()?.begin().await?;
        for GrantEntry { grantee, privilege, object } in grants {
            sqlx::query(
                "INSERT INTO grants (grantee, privilege, kind, namespace, object, granted_ms) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            )
            .bind(grantee)
            .bind(privilege.as_str())
            .bind(object.kind.as_str())
            .bind(&object.namespace)
            .bind(&object.object)
            .bind(now_ms)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Takes grants away, all or nothing; gives how many there were.
    pub(crate) async fn delete_grants(&self, grants: &[GrantEntry]) -> Result<u64> {
        let mut transaction = self.writer()?.begin().await?;
        let mut deleted = 0;
        for GrantEntry { grantee, privilege, object } in grants {
            let done = sqlx::query(
                "DELETE FROM grants \
                 WHERE grantee = $1 AND privilege = $2 AND kind = $3 AND namespace = $4 AND object = $5",
            )
            .bind(grantee)
            .bind(privilege.as_str())
            .bind(object.kind.as_str())
            .bind(&object.namespace)
            .bind(&object.object)
            .execute(&mut *transaction)
            .await?;
            deleted += done.rows_affected();
        }
        transaction.commit().await?;
        Ok(deleted)
    }

    pub(crate) async fn grants(&self) -> Result<Vec<GrantEntry>> {
        let rows = sqlx::query(
            "SELECT kind, namespace, object, privilege, grantee FROM grants \
             ORDER BY grantee, kind, namespace, object, privilege",
        )
        .fetch_all(self.reader())
        .await?;
        let read = |row: &AnyRow| {
            let (object, privilege) = read_granted(row)?;
            Ok(GrantEntry { grantee: row.try_get(4)?, privilege, object })
        };
        rows.iter().map(read).collect()
    }

    /// The owners of objects, as grantees of no privilege in particular: owner and object.
    pub(crate) async fn owners(&self) -> Result<Vec<(String, Securable)>> {
        let rows =
            sqlx::query("SELECT kind, namespace, object, owner FROM owners ORDER BY owner, kind, namespace, object")
                .fetch_all(self.reader())
                .await?;
        rows.iter().map(|row| Ok((row.try_get(3)?, read_securable(row)?))).collect()
    }

    /// What a user may do; `None`: there is no such user.
    pub(crate) async fn rights(&self, user: &str) -> Result<Option<Rights>> {
        let known = sqlx::query("SELECT name FROM principals WHERE name = $1 AND kind = 'user'")
            .bind(user)
            .fetch_optional(self.reader())
            .await?;
        if known.is_none() {
            return Ok(None);
        }
        let mut rights =
            Rights { is_admin: self.roles_of(user).await?.iter().any(|role| role == ADMIN), ..Rights::default() };
        if rights.is_admin {
            return Ok(Some(rights));
        }
        let granted = sqlx::query(
            "SELECT kind, namespace, object, privilege FROM grants \
             WHERE grantee = $1 OR grantee IN (SELECT role FROM memberships WHERE member = $1)",
        );
        for row in granted.bind(user).fetch_all(self.reader()).await? {
            rights.granted.insert(read_granted(&row)?);
        }
        let owned = sqlx::query("SELECT kind, namespace, object FROM owners WHERE owner = $1");
        for row in owned.bind(user).fetch_all(self.reader()).await? {
            rights.owned.insert(read_securable(&row)?);
        }
        Ok(Some(rights))
    }

    /// Makes a user the owner of an object that has none.
    pub(crate) async fn insert_owner(&self, object: &Securable, owner: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO owners (kind, namespace, object, owner) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(object.kind.as_str())
        .bind(&object.namespace)
        .bind(&object.object)
        .bind(owner)
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    /// False when the name is taken.
    pub(crate) async fn insert_token(&self, token: &TokenEntry, digest: &str) -> Result<bool> {
        let done = sqlx::query(
            "INSERT INTO tokens (name, principal, digest, created_ms, expires_ms) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT DO NOTHING",
        )
        .bind(&token.name)
        .bind(&token.user)
        .bind(digest)
        .bind(token.created_ms)
        .bind(token.expires_ms.unwrap_or_default())
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// False when there is none.
    pub(crate) async fn delete_token(&self, name: &str) -> Result<bool> {
        let done = sqlx::query("DELETE FROM tokens WHERE name = $1").bind(name).execute(self.writer()?).await?;
        Ok(done.rows_affected() > 0)
    }

    pub(crate) async fn token(&self, digest: &str) -> Result<Option<TokenEntry>> {
        let row = sqlx::query("SELECT name, principal, created_ms, expires_ms FROM tokens WHERE digest = $1")
            .bind(digest)
            .fetch_optional(self.reader())
            .await?;
        row.as_ref().map(read_token).transpose()
    }

    pub(crate) async fn tokens(&self) -> Result<Vec<TokenEntry>> {
        let rows = sqlx::query("SELECT name, principal, created_ms, expires_ms FROM tokens ORDER BY name");
        rows.fetch_all(self.reader()).await?.iter().map(read_token).collect()
    }

    /// The secret of a name: `fresh`, unless there is one already.
    pub(crate) async fn secret(&self, name: &str, fresh: &str) -> Result<String> {
        sqlx::query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(fresh)
            .execute(self.writer()?)
            .await?;
        let row = sqlx::query("SELECT value FROM secrets WHERE name = $1").bind(name).fetch_one(self.reader()).await?;
        Ok(row.try_get(0)?)
    }

    /// Adds lines to the audit log, all or nothing.
    pub(crate) async fn insert_audit(&self, entries: Vec<(String, AuditEntry)>) -> Result<()> {
        let mut transaction = self.writer()?.begin().await?;
        for (id, entry) in entries {
            sqlx::query(
                "INSERT INTO audit (id, at_ms, principal, address, protocol, action, object, outcome) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(id)
            .bind(entry.at_ms)
            .bind(entry.user)
            .bind(entry.address)
            .bind(entry.protocol)
            .bind(entry.action)
            .bind(entry.object)
            .bind(entry.outcome)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Newest first.
    pub(crate) async fn audit(&self, limit: u64) -> Result<Vec<AuditEntry>> {
        let rows = sqlx::query(
            "SELECT at_ms, principal, address, protocol, action, object, outcome FROM audit \
             ORDER BY at_ms DESC, id DESC LIMIT $1",
        )
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.reader())
        .await?;
        let read = |row: &AnyRow| {
            Ok(AuditEntry {
                at_ms: row.try_get(0)?,
                user: row.try_get(1)?,
                address: row.try_get(2)?,
                protocol: row.try_get(3)?,
                action: row.try_get(4)?,
                object: row.try_get(5)?,
                outcome: row.try_get(6)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Removes the lines of the audit log from before a time; says how many.
    pub(crate) async fn delete_audit(&self, before_ms: i64) -> Result<u64> {
        let done = sqlx::query("DELETE FROM audit WHERE at_ms < $1").bind(before_ms).execute(self.writer()?).await?;
        Ok(done.rows_affected())
    }
}

/// Takes away an object's owner and all that was granted on it.
pub(super) async fn forget(connection: &mut AnyConnection, object: &Securable) -> Result<()> {
    const STATEMENTS: [&str; 2] = [
        "DELETE FROM grants WHERE kind = $1 AND namespace = $2 AND object = $3",
        "DELETE FROM owners WHERE kind = $1 AND namespace = $2 AND object = $3",
    ];
    for statement in STATEMENTS {
        sqlx::query(statement)
            .bind(object.kind.as_str())
            .bind(&object.namespace)
            .bind(&object.object)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Takes away all that was granted in a namespace.
pub(super) async fn forget_namespace(connection: &mut AnyConnection, namespace: &str) -> Result<()> {
    for statement in ["DELETE FROM grants WHERE namespace = $1", "DELETE FROM owners WHERE namespace = $1"] {
        sqlx::query(statement).bind(namespace).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Moves an object's owner and all that was granted on it to its new name.
pub(super) async fn rename(connection: &mut AnyConnection, from: &Securable, to: &Securable) -> Result<()> {
    // The new name was free, so that what is left of it is of a table that was dropped by an older lakemill.
    forget(&mut *connection, to).await?;
    const STATEMENTS: [&str; 2] = [
        "UPDATE grants SET namespace = $1, object = $2 WHERE kind = $3 AND namespace = $4 AND object = $5",
        "UPDATE owners SET namespace = $1, object = $2 WHERE kind = $3 AND namespace = $4 AND object = $5",
    ];
    for statement in STATEMENTS {
        sqlx::query(statement)
            .bind(&to.namespace)
            .bind(&to.object)
            .bind(from.kind.as_str())
            .bind(&from.namespace)
            .bind(&from.object)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn read_principal(row: &AnyRow, members: &[(String, String)]) -> Result<PrincipalEntry> {
    let name: String = row.try_get(0)?;
    let kind: String = row.try_get(1)?;
    let roles = members.iter().filter(|(member, _)| *member == name).map(|(_, role)| role.clone()).collect();
    Ok(PrincipalEntry {
        kind: if kind == PrincipalKind::User.as_str() { PrincipalKind::User } else { PrincipalKind::Role },
        verifier: row.try_get(2)?,
        roles,
        created_ms: row.try_get(3)?,
        name,
    })
}

/// The first three columns: kind, namespace, object.
fn read_securable(row: &AnyRow) -> Result<Securable> {
    let kind: String = row.try_get(0)?;
    Ok(Securable { kind: SecurableKind::parse(&kind)?, namespace: row.try_get(1)?, object: row.try_get(2)? })
}

fn read_granted(row: &AnyRow) -> Result<(Securable, Privilege)> {
    let text: String = row.try_get(3)?;
    let privilege = Privilege::parse(&text)
        .ok_or_else(|| Error::data(format!("the catalog holds a grant of the unknown privilege '{text}'")))?;
    Ok((read_securable(row)?, privilege))
}

fn read_token(row: &AnyRow) -> Result<TokenEntry> {
    let expires_ms: i64 = row.try_get(3)?;
    Ok(TokenEntry {
        name: row.try_get(0)?,
        user: row.try_get(1)?,
        created_ms: row.try_get(2)?,
        expires_ms: (expires_ms != 0).then_some(expires_ms),
    })
}
