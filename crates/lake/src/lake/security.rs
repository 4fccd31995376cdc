//! Users, roles, grants, tokens and the audit log, as the catalog keeps them.
//!
//! Not here: who asks and whether they may; the session checks that.

use lakemill_base::check_identifier;
use uuid::Uuid;

use super::Lake;
use crate::catalog::{ADMIN, AuditEntry, GrantEntry, PrincipalEntry, PrincipalKind, Rights, Securable, TokenEntry};
use crate::credential::{Key, Token, Verifier};
use crate::error::{Error, Result};

impl Lake {
    /// Makes a user.
    ///
    /// # Errors
    /// Invalid: the name is taken or holds characters that names may not hold.
    pub async fn create_user(&self, name: &str, password: Option<&Verifier>) -> Result<()> {
        let verifier = password.map(Verifier::to_string).unwrap_or_default();
        self.create_principal(name, PrincipalKind::User, &verifier).await
    }

    /// Makes a role.
    ///
    /// # Errors
    /// As [`Lake::create_user`].
    pub async fn create_role(&self, name: &str) -> Result<()> {
        self.create_principal(name, PrincipalKind::Role, "").await
    }

    async fn create_principal(&self, name: &str, kind: PrincipalKind, verifier: &str) -> Result<()> {
        check_identifier(kind.as_str(), name).map_err(Error::invalid)?;
        if self.catalog().insert_principal(name, kind, verifier, self.now_ms()).await? {
            return Ok(());
        }
        let taken = self.catalog().principal(name).await?.map_or(kind, |entry| entry.kind);
        Err(Error::invalid(format!(
            "there is a {} '{name}' already; users and roles share their names",
            taken.as_str()
        )))
    }

    /// Gives a user another password; `None`: none, so that only tokens let it in.
    ///
    /// # Errors
    /// Not found: there is no such user.
    pub async fn set_password(&self, user: &str, password: Option<&Verifier>) -> Result<()> {
        let verifier = password.map(Verifier::to_string).unwrap_or_default();
        match self.catalog().update_verifier(user, &verifier).await? {
            true => Ok(()),
            false => Err(self.no_principal(user, Some(PrincipalKind::User)).await),
        }
    }

    /// Takes away a user or a role with its grants, memberships and tokens; what it owned is the administrators' then.
    /// False: there was none, and `if_exists` was given.
    ///
    /// # Errors
    /// Not found: there is none. Invalid: the role is `admin`.
    pub async fn drop_principal(&self, name: &str, kind: PrincipalKind, if_exists: bool) -> Result<bool> {
        if name == ADMIN {
            return Err(Error::invalid("the role 'admin' cannot be dropped: it is who may make users"));
        }
        match self.catalog().delete_principal(name, kind).await? {
            true => Ok(true),
            false if if_exists => Ok(false),
            false => Err(self.no_principal(name, Some(kind)).await),
        }
    }

    /// All users and roles in alphabetical order.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn principals(&self) -> Result<Vec<PrincipalEntry>> {
        self.catalog().principals().await
    }

    /// The user of this name.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn user(&self, name: &str) -> Result<Option<PrincipalEntry>> {
        Ok(self.catalog().principal(name).await?.filter(|entry| entry.kind == PrincipalKind::User))
    }

    /// Gives a user a role; false if it has it.
    ///
    /// # Errors
    /// Not found: there is no such role or user. Invalid: `user` is a role.
    pub async fn grant_role(&self, role: &str, user: &str) -> Result<bool> {
        self.check_principal(role, PrincipalKind::Role).await?;
        self.check_principal(user, PrincipalKind::User).await?;
        self.catalog().insert_membership(role, user, self.now_ms()).await
    }

    /// Takes a role from a user; false if it had it not.
    ///
    /// # Errors
    /// As [`Lake::grant_role`].
    pub async fn revoke_role(&self, role: &str, user: &str) -> Result<bool> {
        self.check_principal(role, PrincipalKind::Role).await?;
        self.check_principal(user, PrincipalKind::User).await?;
        self.catalog().delete_membership(role, user).await
    }

    /// Grants privileges, all or none.
    ///
    /// # Errors
    /// Not found: there is no such user or role.
    pub async fn grant(&self, grants: &[GrantEntry]) -> Result<()> {
        self.check_grantees(grants).await?;
        self.catalog().insert_grants(grants, self.now_ms()).await
    }

    /// Takes privileges away, all or none; gives how many of them there were.
    ///
    /// # Errors
    /// Not found: there is no such user or role.
    pub async fn revoke(&self, grants: &[GrantEntry]) -> Result<u64> {
        self.check_grantees(grants).await?;
        self.catalog().delete_grants(grants).await
    }

    async fn check_grantees(&self, grants: &[GrantEntry]) -> Result<()> {
        let mut names: Vec<&str> = grants.iter().map(|grant| grant.grantee.as_str()).collect();
        names.dedup();
        for name in names {
            if self.catalog().principal(name).await?.is_none() {
                return Err(self.no_principal(name, None).await);
            }
        }
        Ok(())
    }

    async fn check_principal(&self, name: &str, kind: PrincipalKind) -> Result<()> {
        match self.catalog().principal(name).await? {
            Some(entry) if entry.kind == kind => Ok(()),
            Some(entry) => {
                Err(Error::invalid(format!("'{name}' is a {}, not a {}", entry.kind.as_str(), kind.as_str())))
            }
            None => Err(self.no_principal(name, Some(kind)).await),
        }
    }

    /// All that was granted.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn grants(&self) -> Result<Vec<GrantEntry>> {
        self.catalog().grants().await
    }

    /// All owners with what they own.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn owners(&self) -> Result<Vec<(String, Securable)>> {
        self.catalog().owners().await
    }

    /// What a user may do; `None`: there is no such user.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn rights(&self, user: &str) -> Result<Option<Rights>> {
        self.catalog().rights(user).await
    }

    /// Makes a user the owner of something that it has just made; one that has an owner keeps it.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn set_owner(&self, object: &Securable, user: &str) -> Result<()> {
        self.catalog().insert_owner(object, user).await
    }

    /// Keeps a token's digest.
    ///
    /// # Errors
    /// Invalid: the name is taken. Not found: there is no such user.
    pub async fn create_token(&self, name: &str, user: &str, token: &Token, expires_ms: Option<i64>) -> Result<()> {
        check_identifier("token", name).map_err(Error::invalid)?;
        self.check_principal(user, PrincipalKind::User).await?;
        let entry = TokenEntry { name: name.to_owned(), user: user.to_owned(), created_ms: self.now_ms(), expires_ms };
        match self.catalog().insert_token(&entry, &token.digest()).await? {
            true => Ok(()),
            false => Err(Error::invalid(format!("there is a token '{name}' already"))),
        }
    }

    /// Makes a token worthless. False: there was none, and `if_exists` was given.
    ///
    /// # Errors
    /// Not found: there is none.
    pub async fn drop_token(&self, name: &str, if_exists: bool) -> Result<bool> {
        if self.catalog().delete_token(name).await? {
            return Ok(true);
        }
        if if_exists {
            return Ok(false);
        }
        let known = self.catalog().tokens().await?;
        Err(Error::not_found(lakemill_base::unknown("token", name, known.iter().map(|token| token.name.as_str()))))
    }

    /// The token of this digest, if it has not expired.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn token(&self, digest: &str) -> Result<Option<TokenEntry>> {
        let now_ms = self.now_ms();
        let token = self.catalog().token(digest).await?;
        Ok(token.filter(|token| token.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms)))
    }

    /// All tokens by name.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn tokens(&self) -> Result<Vec<TokenEntry>> {
        self.catalog().tokens().await
    }

    /// Adds lines to the audit log, all or none.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn record_audit(&self, entries: Vec<AuditEntry>) -> Result<()> {
        let entries = entries.into_iter().map(|entry| (Uuid::now_v7().to_string(), entry));
        self.catalog().insert_audit(entries.collect()).await
    }

    /// The last lines of the audit log, newest first.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn audit(&self, limit: u64) -> Result<Vec<AuditEntry>> {
        self.catalog().audit(limit).await
    }

    /// Removes the lines of the audit log from before a time, in milliseconds since the epoch; says how many.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn forget_audit(&self, before_ms: i64) -> Result<u64> {
        self.catalog().delete_audit(before_ms).await
    }

    /// A secret that all servers of this lake share, so that what they say of users who do not exist stays the same.
    ///
    /// # Errors
    /// Invalid: the lake is read-only. Unavailable: the catalog does not answer.
    pub async fn login_secret(&self) -> Result<Key> {
        let text = self.catalog().secret("login", Token::random()?.secret()).await?;
        Ok(*blake3::hash(text.as_bytes()).as_bytes())
    }

    async fn no_principal(&self, name: &str, kind: Option<PrincipalKind>) -> Error {
        let known = self.catalog().principals().await.unwrap_or_default();
        let known = known.iter().filter(|entry| kind.is_none_or(|kind| entry.kind == kind));
        let what = kind.map_or("user or role", PrincipalKind::as_str);
        Error::not_found(lakemill_base::unknown(what, name, known.map(|entry| entry.name.as_str())))
    }
}
