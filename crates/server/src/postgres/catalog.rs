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
use lakemill_lake::RelationKind;
use lakemill_query::{Extension, Session};

use super::{functions, relations};
use crate::error::Result;

/// The name of the one database.
const DATABASE: &str = "lake";

/// A session that knows pg_catalog and PostgreSQL's functions about it.
///
/// # Errors
/// Internal: the tables that the library carries cannot be read.
pub(super) fn extend(session: &Session) -> Result<Session> {
    let info = LakeInfo { session: session.clone() };
    let tables = Arc::new(PgCatalogStaticTables::try_new()?);
    let schema = PgCatalogSchemaProvider::try_new(info, tables, EmptyContextProvider)?;
    let extension = Extension::default().with_schema("pg_catalog", Arc::new(relations::Catalog::over(schema)?));
    let extended = session.extended(extension, |context| {
        // The library wants a catalog to put its schema into; statements see the lake's and the schema above instead.
        context.register_catalog(DATABASE, Arc::new(MemoryCatalogProvider::new()));
        setup_pg_catalog(context, DATABASE, EmptyContextProvider).map_err(|error| *error)?;
        functions::register(context);
        Ok(())
    });
    Ok(extended?)
}

/// The lake as `datafusion-pg-catalog` asks for it.
#[derive(Clone, Debug)]
struct LakeInfo {
    session: Session,
}

impl LakeInfo {
    async fn kind(&self, namespace: &str, table: &str) -> Result<Option<RelationKind>> {
        let relations = self.session.lake().list(namespace).await?;
        Ok(relations.iter().find(|relation| relation.name.table == table).map(|relation| relation.kind))
    }

    /// The columns of a relation, `None` where it cannot be read: a view over a table that was dropped, an external
    /// table whose files are gone.
    async fn columns(&self, namespace: &str, table: &str) -> Option<SchemaRef> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let query = format!("SELECT * FROM {}.{}", quoted(namespace), quoted(table));
        let parsed = self.session.parse(&query).ok()?.into_iter().next()?;
        match self.session.describe(&parsed).await {
            Ok(description) => description.columns,
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
        let mut names = self.session.lake().namespaces().await.map_err(external)?;
        names.extend(["pg_catalog".to_owned(), "information_schema".to_owned()]);
        Ok(Some(names))
    }

    async fn table_names(&self, _: &str, schema: &str) -> Result<Option<Vec<String>>, DataFusionError> {
        if ["pg_catalog", "information_schema"].contains(&schema) {
            return Ok(Some(Vec::new()));
        }
        let relations = self.session.lake().list(schema).await.map_err(external)?;
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
