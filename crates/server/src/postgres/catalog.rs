//! pg_catalog: what clients read of tables and types before they ask anything else.
//!
//! The tables are those of `datafusion-pg-catalog`, filled with the lake's namespaces, tables and views as they are when
//! they are read.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::MemoryCatalogProvider;
use datafusion::common::DataFusionError;
use datafusion::datasource::TableType;
use datafusion_pg_catalog::pg_catalog::catalog_info::CatalogInfo;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::{PgCatalogSchemaProvider, PgCatalogStaticTables, setup_pg_catalog};
use lakemill_lake::{RelationKind, TableName};
use lakemill_query::{Extension, Session};

use super::{functions, relations};
use crate::error::Result;

/// The name of the one database.
const DATABASE: &str = "lake";

/// What the sessions of connections begin as.
pub(super) struct Template {
    /// Knows PostgreSQL's functions about pg_catalog.
    session: Session,
    /// Read once: there are many.
    tables: Arc<PgCatalogStaticTables>,
}

impl Template {
    /// # Errors
    /// Internal: the tables that the library carries cannot be read.
    pub(super) fn of(session: &Session) -> Result<Self> {
        let tables = Arc::new(PgCatalogStaticTables::try_new()?);
        let session = session.extended(Extension::default(), |context| {
            // The library wants a catalog to put its schema into; statements see the lake's and the schema of
            // `Template::connection` instead.
            context.register_catalog(DATABASE, Arc::new(MemoryCatalogProvider::new()));
            setup_pg_catalog(context, DATABASE, EmptyContextProvider).map_err(|error| *error)?;
            functions::register(context);
            Ok(())
        })?;
        Ok(Self { session, tables })
    }

    /// The session of a connection, whose pg_catalog has what the connection's user may know of.
    ///
    /// # Errors
    /// Internal: as [`Template::of`].
    pub(super) fn connection(&self) -> Result<Session> {
        let session = self.session.client();
        let info = LakeInfo { session: session.clone() };
        let schema = PgCatalogSchemaProvider::try_new(info, Arc::clone(&self.tables), EmptyContextProvider)?;
        let catalog = Arc::new(relations::Catalog::over(session.clone(), schema)?);
        let extended = session.extended(Extension::default().with_schema("pg_catalog", catalog), |context| {
            context.register_udf(functions::session_user(session.clone()));
            Ok(())
        });
        Ok(extended?)
    }
}

/// The lake as `datafusion-pg-catalog` asks for it.
#[derive(Clone, Debug)]
struct LakeInfo {
    session: Session,
}

impl LakeInfo {
    async fn kind(&self, namespace: &str, table: &str) -> Result<Option<RelationKind>> {
        let relations = self.session.relations(namespace).await?;
        Ok(relations.iter().find(|relation| relation.name.table == table).map(|relation| relation.kind))
    }

    /// The columns of a relation, `None` where it cannot be read: a view over a table that was dropped, an external
    /// table whose files are gone, one that the user may write alone.
    async fn columns(&self, namespace: &str, table: &str) -> Option<SchemaRef> {
        match self.session.columns(&TableName::new(namespace, table)).await {
            Ok(columns) => Some(columns),
            Err(error) => {
                tracing::debug!(%error, namespace, table, "a relation is listed without its columns");
                None
            }
        }
    }
}

fn external(error: impl Into<crate::error::Error>) -> DataFusionError {
    DataFusionError::External(Box::new(error.into()))
}

#[async_trait]
impl CatalogInfo for LakeInfo {
    async fn catalog_names(&self) -> Result<Vec<String>, DataFusionError> {
        Ok(vec![DATABASE.to_owned()])
    }

    async fn schema_names(&self, catalog: &str) -> Result<Option<Vec<String>>, DataFusionError> {
        if catalog != DATABASE {
            return Ok(None);
        }
        let mut names = self.session.namespaces().await.map_err(external)?;
        names.extend(["pg_catalog".to_owned(), "information_schema".to_owned()]);
        Ok(Some(names))
    }

    async fn table_names(&self, _: &str, schema: &str) -> Result<Option<Vec<String>>, DataFusionError> {
        if ["pg_catalog", "information_schema"].contains(&schema) {
            return Ok(Some(Vec::new()));
        }
        let relations = self.session.relations(schema).await.map_err(external)?;
        Ok(Some(relations.into_iter().map(|relation| relation.name.table).collect()))
    }

    async fn table_schema(&self, _: &str, schema: &str, table: &str) -> Result<Option<SchemaRef>, DataFusionError> {
        Ok(self.columns(schema, table).await)
    }

    async fn table_type(&self, _: &str, schema: &str, table: &str) -> Result<Option<TableType>, DataFusionError> {
        let kind = self.kind(schema, table).await.map_err(external)?;
        Ok(kind.map(|kind| match kind {
            RelationKind::View => TableType::View,
            RelationKind::Table | RelationKind::External => TableType::Base,
        }))
    }
}
