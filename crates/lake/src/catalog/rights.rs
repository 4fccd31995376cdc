//! What a user may do: privileges on tables, models and namespaces, as one statement sees them.

use std::collections::BTreeSet;
use std::fmt;

use lakemill_base::identifier;

use crate::error::{Error, Result};
use crate::name::{DEFAULT_NAMESPACE, ModelName, TableName};

/// Something that can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Privilege {
    /// To read a table's rows.
    Select,
    /// To add rows to a table.
    Insert,
    /// To change a table's rows.
    Update,
    /// To take rows out of a table.
    Delete,
    /// To apply a model.
    Predict,
    /// To make tables, views and models in a namespace.
    Create,
}

impl Privilege {
    /// What ALL means for a kind of object.
    pub const fn all_of(kind: SecurableKind) -> &'static [Self] {
        match kind {
            SecurableKind::Table => &[Self::Select, Self::Insert, Self::Update, Self::Delete],
            SecurableKind::Model => &[Self::Predict],
            SecurableKind::Namespace => &[Self::Create],
        }
    }

    /// The kind of object that it is about.
    pub const fn kind(self) -> SecurableKind {
        match self {
            Self::Select | Self::Insert | Self::Update | Self::Delete => SecurableKind::Table,
            Self::Predict => SecurableKind::Model,
            Self::Create => SecurableKind::Namespace,
        }
    }

    /// As SQL and the catalog write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Predict => "PREDICT",
            Self::Create => "CREATE",
        }
    }

    /// The privilege of this name, in capitals.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Select, Self::Insert, Self::Update, Self::Delete, Self::Predict, Self::Create];
        all.into_iter().find(|privilege| privilege.as_str() == text)
    }
}

/// What a privilege can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecurableKind {
    /// A table, view or external table.
    Table,
    /// A model.
    Model,
    /// A namespace.
    Namespace,
}

impl SecurableKind {
    /// As the catalog and messages write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Model => "model",
            Self::Namespace => "namespace",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "table" => Ok(Self::Table),
            "model" => Ok(Self::Model),
            "namespace" => Ok(Self::Namespace),
            _ => Err(Error::data(format!("the catalog holds a grant on the unknown kind '{text}'"))),
        }
    }
}

/// Something that privileges are granted on and that has an owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Securable {
    /// What it is.
    pub kind: SecurableKind,
    /// Its namespace, or its name if it is one.
    pub namespace: String,
    /// Its name within the namespace; empty: all of this kind in the namespace, those to come included. Of a namespace
    /// always empty.
    pub object: String,
}

impl Securable {
    /// A table, view or external table.
    pub fn table(name: &TableName) -> Self {
        Self { kind: SecurableKind::Table, namespace: name.namespace.clone(), object: name.table.clone() }
    }

    /// A model.
    pub fn model(name: &ModelName) -> Self {
        Self { kind: SecurableKind::Model, namespace: name.namespace.clone(), object: name.model.clone() }
    }

    /// A namespace.
    pub fn namespace(name: &str) -> Self {
        Self { kind: SecurableKind::Namespace, namespace: name.to_owned(), object: String::new() }
    }

    /// All objects of a kind in a namespace.
    pub fn all_in(kind: SecurableKind, namespace: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), object: String::new() }
    }
}

impl fmt::Display for Securable {
    /// `table raw.flights`, `all tables of namespace raw`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, object } = self;
        match kind {
            SecurableKind::Namespace => write!(f, "namespace {}", identifier(namespace)),
            kind if object.is_empty() => write!(f, "all {}s of namespace {}", kind.as_str(), identifier(namespace)),
            kind => write!(f, "{} {}", kind.as_str(), TableName::new(namespace, object)),
        }
    }
}

/// What one user may do, by its own grants and those of its roles.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    pub(crate) is_admin: bool,
    pub(crate) owned: BTreeSet<Securable>,
    pub(crate) granted: BTreeSet<(Securable, Privilege)>,
}

impl Rights {
    /// Whether the user has the role `admin`, which may do everything.
    pub fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// Whether the user may do with an object what only its owner may: drop, alter and replace it.
    pub fn owns(&self, object: &Securable) -> bool {
        self.is_admin || self.owned.contains(object)
    }

    /// Whether the user has a privilege on an object.
    pub fn allows(&self, privilege: Privilege, object: &Securable) -> bool {
        let all = Securable::all_in(object.kind, &object.namespace);
        self.owns(object)
            || self.granted.contains(&(object.clone(), privilege))
            || self.granted.contains(&(all, privilege))
    }

    /// Whether the user may know that an object is there: who may do anything with it may.
    pub fn sees(&self, object: &Securable) -> bool {
        Privilege::all_of(object.kind).iter().any(|privilege| self.allows(*privilege, object))
    }

    /// Whether the user may know that a namespace is there: who may do anything in it may, and all know the default one.
    pub fn sees_namespace(&self, namespace: &str) -> bool {
        self.is_admin
            || namespace == DEFAULT_NAMESPACE
            || self.owned.iter().any(|object| object.namespace == namespace)
            || self.granted.iter().any(|(object, _)| object.namespace == namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::{Privilege, Rights, Securable, SecurableKind};
    use crate::name::{ModelName, TableName};

    #[test]
    fn a_grant_opens_what_it_names_and_nothing_else() {
        let table = |name: &str| Securable::table(&TableName::new("raw", name));
        let mut rights = Rights::default();
        rights.granted.insert((table("flights"), Privilege::Select));
        assert!(rights.allows(Privilege::Select, &table("flights")) && rights.sees(&table("flights")));
        assert!(!rights.allows(Privilege::Insert, &table("flights")) && !rights.owns(&table("flights")));
        assert!(!rights.sees(&table("pay")) && !rights.sees(&Securable::model(&ModelName::new("raw", "flights"))));
        assert!(rights.sees_namespace("raw") && rights.sees_namespace("main") && !rights.sees_namespace("other"));
        rights.granted.insert((Securable::all_in(SecurableKind::Table, "raw"), Privilege::Insert));
        assert!(rights.allows(Privilege::Insert, &table("pay")) && !rights.allows(Privilege::Select, &table("pay")));
        assert!(!rights.allows(Privilege::Insert, &Securable::table(&TableName::new("other", "pay"))));
    }

    #[test]
    fn owners_and_admins_may_do_everything() {
        let table = Securable::table(&TableName::bare("t"));
        let owner = Rights { owned: [table.clone()].into(), ..Rights::default() };
        let admin = Rights { is_admin: true, ..Rights::default() };
        for rights in [&owner, &admin] {
            assert!(rights.owns(&table) && rights.allows(Privilege::Delete, &table) && rights.sees(&table));
        }
        assert!(!owner.sees(&Securable::table(&TableName::bare("u"))));
        assert!(!owner.allows(Privilege::Create, &Securable::namespace("main")));
    }
}
