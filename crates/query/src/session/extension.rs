//! What a face adds to the SQL of its clients: schemas that stand beside the lake's namespaces.

use std::sync::Arc;

use datafusion::catalog::SchemaProvider;

/// Schemas beside the lake's own, such as PostgreSQL's `pg_catalog`.
#[derive(Clone, Debug, Default)]
pub struct Extension {
    schemas: Vec<(String, Arc<dyn SchemaProvider>)>,
}

impl Extension {
    /// With a schema of this name. Its relations need no prefix, and come before the lake's of the same name, as
    /// PostgreSQL has it.
    #[must_use]
    pub fn with_schema(mut self, name: impl Into<String>, schema: Arc<dyn SchemaProvider>) -> Self {
        self.schemas.push((name.into(), schema));
        self
    }

    pub(crate) fn schema(&self, name: &str) -> Option<&Arc<dyn SchemaProvider>> {
        self.schemas.iter().find(|(known, _)| known == name).map(|(_, schema)| schema)
    }

    /// The schema that has a relation of this name.
    pub(crate) fn schema_of(&self, relation: &str) -> Option<&str> {
        self.schemas.iter().find(|(_, schema)| schema.table_exist(relation)).map(|(name, _)| name.as_str())
    }
}
