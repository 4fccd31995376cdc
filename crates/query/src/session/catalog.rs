//! The statement's view of the lake as a DataFusion catalog: only what has been pinned, and the names of all.
//!
//! **Architecture invariant:** looking a table up here never reaches the lake; [`super::StatementScope`] has
//! resolved and pinned every relation before planning begins.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::TableType;
use lakemill_lake::{RelationKind, TableName};
use parking_lot::RwLock;

use super::config::CATALOG;
use super::information::{INFORMATION_SCHEMA, Information};
use super::rewrite::FILES;

/// The relations that a statement uses, each at one version.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    providers: RwLock<HashMap<TableName, Arc<dyn TableProvider>>>,
    listing: RwLock<BTreeMap<String, BTreeMap<String, RelationKind>>>,
}

impl Pins {
    /// The provider pinned under a name.
    pub(crate) fn get(&self, name: &TableName) -> Option<Arc<dyn TableProvider>> {
        self.providers.read().get(name).cloned()
    }

    /// Pins a provider; the first one stays.
    pub(crate) fn pin(&self, name: TableName, provider: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
        Arc::clone(self.providers.write().entry(name).or_insert(provider))
    }

    /// Makes the names of a namespace known to `information_schema`.
    pub(crate) fn list(&self, namespace: String, relations: BTreeMap<String, RelationKind>) {
        self.listing.write().insert(namespace, relations);
    }
}

/// One catalog, [`CATALOG`].
#[derive(Debug)]
pub(super) struct LakeCatalogs(pub(super) Arc<Pins>);

impl CatalogProviderList for LakeCatalogs {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(LakeCatalog(Arc::clone(&self.0))) as _)
    }
}

/// The catalogs of tables that live in memory, beside them the files that the statement names.
#[derive(Debug)]
pub(super) struct MemoryCatalogs {
    tables: Arc<dyn CatalogProviderList>,
    default: String,
    pins: Arc<Pins>,
}

impl MemoryCatalogs {
    pub(super) fn new(tables: Arc<dyn CatalogProviderList>, state: &SessionState, pins: Arc<Pins>) -> Self {
        Self { tables, default: state.config().options().catalog.default_catalog.clone(), pins }
    }
}

impl CatalogProviderList for MemoryCatalogs {
    fn register_catalog(&self, name: String, catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        self.tables.register_catalog(name, catalog)
    }

    fn catalog_names(&self) -> Vec<String> {
        self.tables.catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let tables = self.tables.catalog(name)?;
        Some(match name == self.default {
            true => Arc::new(MemoryCatalog { tables, pins: Arc::clone(&self.pins) }),
            false => tables,
        })
    }
}

#[derive(Debug)]
struct MemoryCatalog {
    tables: Arc<dyn CatalogProvider>,
    pins: Arc<Pins>,
}

impl CatalogProvider for MemoryCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.tables.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name == FILES {
            true => Some(Arc::new(LakeNamespace { pins: Arc::clone(&self.pins), namespace: name.to_owned() })),
            false => self.tables.schema(name),
        }
    }
}

#[derive(Debug)]
struct LakeCatalog(Arc<Pins>);

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.0.listing.read().keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == INFORMATION_SCHEMA {
            return Some(Arc::new(Information::new(Arc::new(LakeCatalogs(Arc::clone(&self.0))))));
        }
        Some(Arc::new(LakeNamespace { pins: Arc::clone(&self.0), namespace: name.to_owned() }))
    }
}

#[derive(Debug)]
struct LakeNamespace {
    pins: Arc<Pins>,
    namespace: String,
}

impl LakeNamespace {
    fn kind(&self, name: &str) -> Option<RelationKind> {
        self.pins.listing.read().get(&self.namespace).and_then(|relations| relations.get(name)).copied()
    }
}

#[async_trait]
impl SchemaProvider for LakeNamespace {
    fn table_names(&self) -> Vec<String> {
        let listing = self.pins.listing.read();
        listing.get(&self.namespace).map(|relations| relations.keys().cloned().collect()).unwrap_or_default()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.pins.get(&TableName::new(&self.namespace, name)))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let pinned = self.pins.get(&TableName::new(&self.namespace, name)).map(|provider| provider.table_type());
        Ok(pinned.or_else(|| {
            self.kind(name).map(|kind| match kind {
                RelationKind::Table | RelationKind::External => TableType::Base,
                RelationKind::View => TableType::View,
            })
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.kind(name).is_some() || self.pins.get(&TableName::new(&self.namespace, name)).is_some()
    }
}
