//! Models and their versions.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::Catalog;
use super::entries::{ModelEntry, ModelVersion};
use super::relations::missing_namespace;
use super::rights::Securable;
use super::security;
use crate::error::{Error, Result};
use crate::name::ModelName;

/// A row of `models` before its version is known.
#[derive(Clone, Debug)]
pub(crate) struct ModelRow {
    pub(crate) name: ModelName,
    pub(crate) model_type: String,
    pub(crate) location: String,
    pub(crate) lineage: String,
    pub(crate) summary: String,
    pub(crate) created_ms: i64,
}

fn read(row: &AnyRow) -> Result<ModelEntry> {
    let version: i64 = row.try_get(2)?;
    let lineage: String = row.try_get(5)?;
    let summary: String = row.try_get(6)?;
    Ok(ModelEntry {
        version: ModelVersion {
            name: ModelName::new(row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?),
            version: u64::try_from(version).unwrap_or_default(),
            path: row.try_get(4)?,
            created_ms: row.try_get(7)?,
        },
        model_type: row.try_get(3)?,
        lineage: serde_json::from_str(&lineage)?,
        summary: serde_json::from_str(&summary)?,
    })
}

impl Catalog {
    /// One version, or the latest.
    pub(crate) async fn model(&self, name: &ModelName, version: Option<u64>) -> Result<Option<ModelEntry>> {
        let wanted = version.map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX));
        let row = sqlx::query(
            "SELECT namespace, name, version, model_type, location, lineage, summary, created_ms FROM models \
             WHERE namespace = $1 AND name = $2 AND ($3 < 0 OR version = $3) ORDER BY version DESC LIMIT 1",
        )
        .bind(&name.namespace)
        .bind(&name.model)
        .bind(wanted)
        .fetch_optional(self.reader())
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// All versions of a model, newest first.
    pub(crate) async fn model_versions(&self, name: &ModelName) -> Result<Vec<ModelEntry>> {
        let rows = sqlx::query(
            "SELECT namespace, name, version, model_type, location, lineage, summary, created_ms FROM models \
             WHERE namespace = $1 AND name = $2 ORDER BY version DESC",
        )
        .bind(&name.namespace)
        .bind(&name.model)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(read).collect()
    }

    /// All versions of all models, by name and then newest first.
    pub(crate) async fn all_models(&self) -> Result<Vec<ModelEntry>> {
        let rows = sqlx::query(
            "SELECT namespace, name, version, model_type, location, lineage, summary, created_ms FROM models \
             ORDER BY namespace, name, version DESC",
        )
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Adds exactly this version; false when another process has just taken it.
    pub(crate) async fn insert_model(&self, row: &ModelRow, version: u64) -> Result<bool> {
        let version = i64::try_from(version).map_err(|_| Error::internal("a model's version overflowed"))?;
        let done = sqlx::query(
            "INSERT INTO models (namespace, name, version, model_type, location, lineage, summary, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(&row.name.namespace)
        .bind(&row.name.model)
        .bind(version)
        .bind(&row.model_type)
        .bind(&row.location)
        .bind(&row.lineage)
        .bind(&row.summary)
        .bind(row.created_ms)
        .execute(self.writer()?)
        .await
        .map_err(|error| missing_namespace(error, &row.name.namespace))?;
        Ok(done.rows_affected() > 0)
    }

    /// Drops all versions; true when there was one. What was granted on the model goes with it.
    pub(crate) async fn delete_model(&self, name: &ModelName) -> Result<bool> {
        let mut transaction = self.writer()?.begin().await?;
        let done = sqlx::query("DELETE FROM models WHERE namespace = $1 AND name = $2")
            .bind(&name.namespace)
            .bind(&name.model)
            .execute(&mut *transaction)
            .await?;
        security::forget(&mut transaction, &Securable::model(name)).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}
