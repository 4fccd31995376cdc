//! What a statement's user may do.
//!
//! The rights are read once a statement, so that a GRANT or REVOKE holds from the next one on. Reading is checked where
//! relations and models are resolved ([`StatementScope::may_read`], before a pin is looked up), everything else by
//! `statement::permission` before the statement runs.
//!
//! **Architecture invariant:** what a user may not read is never pinned, so that no plan of that user can scan it,
//! whatever way leads to its name.

use futures::FutureExt;
use lakemill_base::ErrorKind;
use lakemill_lake::{
    AuditEntry, ModelEntry, ModelName, Privilege, RelationSummary, Rights, Securable, SecurableKind, TableName,
};

use super::{Session, StatementScope};
use crate::error::{Error, Position, Result};

/// What somebody wants to do to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// What a privilege allows.
    Privilege(Privilege),
    /// What only the owner may.
    Ownership,
}

impl Need {
    fn is_met(self, rights: &Rights, object: &Securable) -> bool {
        match self {
            Self::Privilege(privilege) => rights.allows(privilege, object),
            Self::Ownership => rights.owns(object),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Privilege(privilege) => privilege.as_str(),
            Self::Ownership => "ownership",
        }
    }
}

impl Session {
    /// What the session's user may do now; `None`: everything, for there is no user.
    ///
    /// # Errors
    /// Denied: nobody has logged in, or the user was dropped.
    pub(crate) async fn rights(&self) -> Result<Option<Rights>> {
        let Some(principal) = self.principal()? else { return Ok(None) };
        match self.lake().rights(&principal.user).await? {
            Some(rights) => Ok(Some(rights)),
            None => Err(Error::denied(format!("permission denied: there is no user '{}' any more", principal.user))),
        }
    }

    /// The namespaces that the session's user may know of.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        async { self.namespaces_for(self.rights().await?.as_ref()).await }.boxed().await
    }

    /// The relations of a namespace that the session's user may know of.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn relations(&self, namespace: &str) -> Result<Vec<RelationSummary>> {
        async { self.relations_for(self.rights().await?.as_ref(), namespace).await }.boxed().await
    }

    /// The newest versions of the models that the session's user may know of.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn visible_models(&self) -> Result<Vec<ModelEntry>> {
        async { self.models_for(self.rights().await?.as_ref()).await }.boxed().await
    }

    /// Whether the session's user has the role `admin`, or there is no user.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn is_admin(&self) -> Result<bool> {
        Ok(self.rights().boxed().await?.is_none_or(|rights| rights.is_admin()))
    }

    pub(crate) async fn namespaces_for(&self, rights: Option<&Rights>) -> Result<Vec<String>> {
        let mut names = self.lake().namespaces().await?;
        names.retain(|name| rights.is_none_or(|rights| rights.sees_namespace(name)));
        Ok(names)
    }

    pub(crate) async fn relations_for(&self, rights: Option<&Rights>, namespace: &str) -> Result<Vec<RelationSummary>> {
        let mut relations = self.lake().list(namespace).await?;
        let temporary = self.temporary();
        relations.retain(|relation| {
            rights.is_none_or(|rights| rights.sees(&Securable::table(&relation.name)))
                && !temporary.contains(&relation.name)
        });
        relations.extend(temporary.list(namespace));
        Ok(relations)
    }

    pub(crate) async fn models_for(&self, rights: Option<&Rights>) -> Result<Vec<ModelEntry>> {
        let mut models = self.lake().models(None).await?;
        models.retain(|model| rights.is_none_or(|rights| rights.sees(&Securable::model(&model.version.name))));
        Ok(models)
    }

    /// Whether the session's user may apply a model.
    ///
    /// # Errors
    /// Denied, or NotFound where there is none.
    pub(crate) async fn may_predict(&self, name: &ModelName) -> Result<()> {
        let Some(rights) = self.rights().await? else { return Ok(()) };
        self.check(&rights, Need::Privilege(Privilege::Predict), &Securable::model(name)).await
    }

    /// Whether `rights` meet a need.
    ///
    /// # Errors
    /// Denied; NotFound where there is no such object, without a word on what there is instead.
    async fn check(&self, rights: &Rights, need: Need, object: &Securable) -> Result<()> {
        if need.is_met(rights, object) {
            return Ok(());
        }
        if !self.exists(object).await? {
            return Err(Error::not_found(format!("there is no {object}")));
        }
        let user = self.principal()?.map(|principal| principal.user.as_str()).unwrap_or_default();
        Err(Error::denied(match need {
            Need::Privilege(privilege) => {
                format!("permission denied for {object}: user '{user}' needs {} on it", privilege.as_str())
            }
            Need::Ownership => format!("permission denied for {object}: user '{user}' does not own it"),
        }))
    }

    /// Whether there is such an object. One that is no single one is taken to be there.
    pub(crate) async fn exists(&self, object: &Securable) -> Result<bool> {
        let Securable { kind, namespace, object: name } = object;
        Ok(match kind {
            SecurableKind::Namespace => true,
            _ if name.is_empty() => true,
            SecurableKind::Table => self.lake().has_relation(&TableName::new(namespace, name)).await?,
            SecurableKind::Model => match self.lake().model(&ModelName::new(namespace, name), None).await {
                Ok(_) => true,
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => return Err(error.into()),
            },
        })
    }

    /// A line of the audit log about this session's user.
    pub(crate) fn audit_entry(&self, action: &str, object: String, outcome: &str) -> AuditEntry {
        let principal = self.principal().ok().flatten();
        let of = |part: fn(&super::Principal) -> &String| principal.map(part).cloned().unwrap_or_default();
        AuditEntry {
            at_ms: self.clock().now_ms(),
            user: of(|principal| &principal.user),
            address: of(|principal| &principal.address),
            protocol: principal.map_or_else(|| "local".to_owned(), |principal| principal.protocol.clone()),
            action: action.to_owned(),
            object,
            outcome: outcome.to_owned(),
        }
    }
}

impl StatementScope {
    /// What the statement's user may do; `None`: everything.
    ///
    /// # Errors
    /// As [`Session::rights`].
    pub(crate) async fn rights(&self) -> Result<Option<&Rights>> {
        let rights = self.rights.get_or_try_init(|| self.session().rights()).await?;
        Ok(rights.as_ref())
    }

    /// Whether the user may do this to an object.
    ///
    /// # Errors
    /// Denied; NotFound where there is no such object.
    pub(crate) async fn permit(&self, need: Need, object: &Securable, position: Option<Position>) -> Result<()> {
        let Some(rights) = self.rights().await? else { return Ok(()) };
        let checked = self.session().check(rights, need, object).await;
        checked.map_err(|error| self.refuse(error, need.as_str(), object.to_string(), position))
    }

    /// Whether the user may read a relation of the lake.
    ///
    /// # Errors
    /// As [`StatementScope::permit`].
    pub(super) async fn may_read(&self, name: &TableName, position: Option<Position>) -> Result<()> {
        self.permit(Need::Privilege(Privilege::Select), &Securable::table(name), position).await
    }

    /// Whether the user may apply a model.
    ///
    /// # Errors
    /// As [`StatementScope::permit`].
    pub(crate) async fn may_predict(&self, name: &ModelName) -> Result<()> {
        self.permit(Need::Privilege(Privilege::Predict), &Securable::model(name), None).await
    }

    /// Whether the user is an administrator; `what` is what only they may do.
    ///
    /// # Errors
    /// Denied.
    pub(crate) async fn permit_admin(&self, what: &str) -> Result<()> {
        match self.rights().await? {
            Some(rights) if !rights.is_admin() => {
                let message = format!("permission denied: to {what} is for users with the role admin");
                Err(self.refuse(Error::denied(message), what, String::new(), None))
            }
            _ => Ok(()),
        }
    }

    /// Whether the statement may read or write files here: within the session's confinement, and with users only for
    /// administrators, since files know no grants.
    ///
    /// # Errors
    /// Invalid, naming what may be reached; Denied.
    pub(crate) async fn check_location(&self, location: &str) -> Result<()> {
        self.permit_admin("read and write files of the server").await?;
        self.session().options().check_location(location)
    }

    /// Makes the user the owner of what the statement has made.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer; the object has no owner then, and is the administrators' alone.
    pub(crate) async fn made(&self, object: &Securable) -> Result<()> {
        match self.session().principal()? {
            Some(principal) => Ok(self.lake().set_owner(object, &principal.user).await?),
            None => Ok(()),
        }
    }

    fn refuse(&self, error: Error, action: &str, object: String, position: Option<Position>) -> Error {
        if error.kind() == ErrorKind::Denied {
            *self.refused.lock() = Some((action.to_lowercase(), object));
        }
        self.locate(error, position)
    }

    /// Tells the audit log of a statement that was refused.
    pub(crate) fn audit<T>(&self, done: Result<T>) -> Result<T> {
        if let Err(error) = &done
            && error.kind() == ErrorKind::Denied
            && let Ok(Some(principal)) = self.session().principal()
        {
            let (action, object) = self.refused.lock().clone().unwrap_or_default();
            principal.auditor.record(self.session().audit_entry(&action, object, "denied"));
        }
        done
    }
}
