//! What lives as long as its session: tables in memory, and views.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use lakemill_base::ErrorKind;
use lakemill_lake::{RelationKind, RelationSummary, TableName, ViewEntry};
use parking_lot::RwLock;

use crate::error::{Error, Result};

/// A relation that hides a lake's of the same name.
#[derive(Clone, Debug)]
pub(crate) enum Temporary {
    /// Rows in memory.
    Table(Arc<dyn TableProvider>),
    /// A query, planned whenever it is read.
    View(ViewEntry),
}

impl Temporary {
    pub(crate) const fn kind(&self) -> RelationKind {
        match self {
            Self::Table(_) => RelationKind::Table,
            Self::View(_) => RelationKind::View,
        }
    }
}

/// The temporary relations of a session. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Temporaries(Arc<RwLock<BTreeMap<TableName, Temporary>>>);

impl Temporaries {
    pub(crate) fn get(&self, name: &TableName) -> Option<Temporary> {
        self.0.read().get(name).cloned()
    }

    pub(crate) fn table(&self, name: &TableName) -> Option<Arc<dyn TableProvider>> {
        match self.get(name)? {
            Temporary::Table(table) => Some(table),
            Temporary::View(_) => None,
        }
    }

    pub(crate) fn contains(&self, name: &TableName) -> bool {
        self.0.read().contains_key(name)
    }

    /// Whether a statement makes the relation that it names: not if there is one and it says `IF NOT EXISTS`.
    ///
    /// # Errors
    /// Conflict: there is one, and the statement does not say `OR REPLACE`.
    pub(crate) fn makes(&self, name: &TableName, if_not_exists: bool, or_replace: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(true),
            Some(_) if if_not_exists => Ok(false),
            Some(_) if or_replace => Ok(true),
            Some(known) => {
                let kind = known.kind().as_str();
                Err(Error::new(ErrorKind::Conflict, format!("temporary {kind} '{name}' exists already")))
            }
        }
    }

    pub(crate) fn insert(&self, name: TableName, relation: Temporary) {
        self.0.write().insert(name, relation);
    }

    pub(crate) fn remove(&self, name: &TableName) -> Option<Temporary> {
        self.0.write().remove(name)
    }

    /// Those of a namespace.
    pub(crate) fn list(&self, namespace: &str) -> Vec<RelationSummary> {
        let relations = self.0.read();
        let here = relations.iter().filter(|(name, _)| name.namespace == namespace);
        // No listing says when they were made.
        here.map(|(name, relation)| RelationSummary { name: name.clone(), kind: relation.kind(), created_ms: 0 })
            .collect()
    }
}
