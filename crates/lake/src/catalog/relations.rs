//! Namespaces, and the names of tables, views and external tables.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::Catalog;
use super::entries::RelationKind;
use super::rights::Securable;
use super::security;
use crate::error::{Error, Result};
use crate::name::TableName;

/// A row of `relations`.
#[derive(Clone, Debug)]
pub(crate) struct RelationRow {
    pub(crate) name: TableName,
    pub(crate) kind: RelationKind,
    pub(crate) location: String,
    pub(crate) definition: String,
    pub(crate) created_ms: i64,
}

impl RelationRow {
    fn read(row: &AnyRow) -> Result<Self> {
        let kind: String = row.try_get(2)?;
        Ok(Self {
            name: TableName::new(row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?),
            kind: RelationKind::parse(&kind)?,
            location: row.try_get(3)?,
            definition: row.try_get(4)?,
            created_ms: row.try_get(5)?,
        })
    }
}

impl Catalog {
    /// True when the namespace is new.
    pub(crate) async fn insert_namespace(&self, name: &str, now_ms: i64) -> Result<bool> {
        let done = sqlx::query("INSERT INTO namespaces (name, created_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(now_ms)
            .execute(self.writer()?)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Makes sure that a namespace is there; one read when it is.
    pub(crate) async fn ensure_namespace(&self, name: &str, now_ms: i64) -> Result<()> {
        let found =
            sqlx::query("SELECT name FROM namespaces WHERE name = $1").bind(name).fetch_optional(self.reader()).await?;
        if found.is_none() {
            self.insert_namespace(name, now_ms).await?;
        }
        Ok(())
    }

    /// False when it is not there or not empty. What was granted on it goes with it.
    pub(crate) async fn delete_namespace(&self, name: &str) -> Result<bool> {
        let mut transaction = self.writer()?.begin().await?;
        let done = sqlx::query(
            "DELETE FROM namespaces WHERE name = $1 \
             AND NOT EXISTS (SELECT 1 FROM relations WHERE namespace = $1) \
             AND NOT EXISTS (SELECT 1 FROM models WHERE namespace = $1)",
        )
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() > 0 {
            security::forget_namespace(&mut transaction, name).await?;
        }
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    pub(crate) async fn namespaces(&self) -> Result<Vec<String>> {
        let rows = sqlx::query("SELECT name FROM namespaces ORDER BY name").fetch_all(self.reader()).await?;
        rows.iter().map(|row| row.try_get(0).map_err(Error::from)).collect()
    }

    pub(crate) async fn relation(&self, name: &TableName) -> Result<Option<RelationRow>> {
        let row = sqlx::query(
            "SELECT namespace, name, kind, location, definition, created_ms FROM relations \
             WHERE namespace = $1 AND name = $2",
        )
        .bind(&name.namespace)
        .bind(&name.table)
        .fetch_optional(self.reader())
        .await?;
        row.as_ref().map(RelationRow::read).transpose()
    }

    pub(crate) async fn relations(&self, namespace: &str) -> Result<Vec<RelationRow>> {
        let rows = sqlx::query(
            "SELECT namespace, name, kind, location, definition, created_ms FROM relations \
             WHERE namespace = $1 ORDER BY name",
        )
        .bind(namespace)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(RelationRow::read).collect()
    }

    /// The folders of all lake tables, in all namespaces.
    pub(crate) async fn table_locations(&self) -> Result<Vec<String>> {
        let rows = sqlx::query("SELECT location FROM relations WHERE kind = 'table'").fetch_all(self.reader()).await?;
        rows.iter().map(|row| row.try_get(0).map_err(Error::from)).collect()
    }

    /// False when the name is taken.
    pub(crate) async fn insert_relation(&self, row: &RelationRow) -> Result<bool> {
        let done = sqlx::query(
            "INSERT INTO relations (namespace, name, kind, location, definition, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(&row.name.namespace)
        .bind(&row.name.table)
        .bind(row.kind.as_str())
        .bind(&row.location)
        .bind(&row.definition)
        .bind(row.created_ms)
        .execute(self.writer()?)
        .await
        .map_err(|error| missing_namespace(error, &row.name.namespace))?;
        Ok(done.rows_affected() > 0)
    }

    /// Replaces the definition of a relation of the same kind; false when there is none.
    pub(crate) async fn update_relation(&self, row: &RelationRow) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE relations SET location = $1, definition = $2, created_ms = $3 \
             WHERE namespace = $4 AND name = $5 AND kind = $6",
        )
        .bind(&row.location)
        .bind(&row.definition)
        .bind(row.created_ms)
        .bind(&row.name.namespace)
        .bind(&row.name.table)
        .bind(row.kind.as_str())
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Removes exactly the row that was read: another process may have replaced it since. What was granted on it goes
    /// with it, so that a later table of the same name is nobody's; so do its indexes.
    pub(crate) async fn delete_relation(&self, row: &RelationRow) -> Result<bool> {
        let mut transaction = self.writer()?.begin().await?;
        let done =
            sqlx::query("DELETE FROM relations WHERE namespace = $1 AND name = $2 AND kind = $3 AND location = $4")
                .bind(&row.name.namespace)
                .bind(&row.name.table)
                .bind(row.kind.as_str())
                .bind(&row.location)
                .execute(&mut *transaction)
                .await?;
        if done.rows_affected() > 0 {
            security::forget(&mut transaction, &Securable::table(&row.name)).await?;
            if row.kind == RelationKind::Table {
                sqlx::query("DELETE FROM vector_indexes WHERE relation = $1")
                    .bind(&row.location)
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// False when the new name is taken or the old one is gone. Its owner and what was granted on it stay with it.
    pub(crate) async fn rename_relation(&self, from: &TableName, to: &TableName) -> Result<bool> {
        let mut transaction = self.writer()?.begin().await?;
        let done = sqlx::query(
            "UPDATE relations SET namespace = $1, name = $2 WHERE namespace = $3 AND name = $4 \
             AND NOT EXISTS (SELECT 1 FROM relations WHERE namespace = $1 AND name = $2)",
        )
        .bind(&to.namespace)
        .bind(&to.table)
        .bind(&from.namespace)
        .bind(&from.table)
        .execute(&mut *transaction)
        .await
        .map_err(|error| missing_namespace(error, &to.namespace))?;
        if done.rows_affected() > 0 {
            security::rename(&mut transaction, &Securable::table(from), &Securable::table(to)).await?;
        }
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}

/// A foreign key that fails can only be the namespace's.
pub(super) fn missing_namespace(error: sqlx::Error, namespace: &str) -> Error {
    match error.as_database_error() {
        Some(inner) if inner.is_foreign_key_violation() => {
            Error::not_found(format!("there is no namespace '{namespace}'; make it with CREATE SCHEMA"))
        }
        _ => Error::from(error),
    }
}
