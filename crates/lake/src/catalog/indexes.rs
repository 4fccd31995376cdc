//! Indexes over columns of vectors, by the folder of their table.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::Catalog;
use crate::error::Result;
use crate::name::TableName;

/// A row of `vector_indexes`.
#[derive(Clone, Debug)]
pub(crate) struct IndexRow {
    /// The folder of its table, relative to the lake.
    pub(crate) relation: String,
    pub(crate) name: String,
    pub(crate) column: String,
    /// The folder of its own, relative to the lake.
    pub(crate) location: String,
    pub(crate) definition: String,
    pub(crate) created_ms: i64,
}

impl IndexRow {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            relation: row.try_get(0)?,
            name: row.try_get(1)?,
            column: row.try_get(2)?,
            location: row.try_get(3)?,
            definition: row.try_get(4)?,
            created_ms: row.try_get(5)?,
        })
    }
}

impl Catalog {
    /// The indexes of a table, by name.
    pub(crate) async fn indexes_of(&self, relation: &str) -> Result<Vec<IndexRow>> {
        let rows = sqlx::query(
            "SELECT relation, name, column_name, location, definition, created_ms FROM vector_indexes \
             WHERE relation = $1 ORDER BY name",
        )
        .bind(relation)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(IndexRow::read).collect()
    }

    /// The indexes of all tables that have a name, by table and name.
    pub(crate) async fn indexes(&self) -> Result<Vec<(TableName, IndexRow)>> {
        let rows = sqlx::query(
            "SELECT i.relation, i.name, i.column_name, i.location, i.definition, i.created_ms, r.namespace, r.name \
             FROM vector_indexes i JOIN relations r ON r.location = i.relation AND r.kind = 'table' \
             ORDER BY r.namespace, r.name, i.name",
        )
        .fetch_all(self.reader())
        .await?;
        let named = |row: &AnyRow| {
            let table = TableName::new(row.try_get::<String, _>(6)?, row.try_get::<String, _>(7)?);
            Ok((table, IndexRow::read(row)?))
        };
        rows.iter().map(named).collect()
    }

    /// False when the table has an index of this name.
    pub(crate) async fn insert_index(&self, row: &IndexRow) -> Result<bool> {
        let done = sqlx::query(
            "INSERT INTO vector_indexes (relation, name, column_name, location, definition, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(&row.relation)
        .bind(&row.name)
        .bind(&row.column)
        .bind(&row.location)
        .bind(&row.definition)
        .bind(row.created_ms)
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Puts an index in the place of exactly the one that was read; false when another process was faster.
    pub(crate) async fn replace_index(&self, before: &IndexRow, row: &IndexRow) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE vector_indexes SET column_name = $1, location = $2, definition = $3, created_ms = $4 \
             WHERE relation = $5 AND name = $6 AND location = $7",
        )
        .bind(&row.column)
        .bind(&row.location)
        .bind(&row.definition)
        .bind(row.created_ms)
        .bind(&before.relation)
        .bind(&before.name)
        .bind(&before.location)
        .execute(self.writer()?)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Removes exactly the index that was read.
    pub(crate) async fn delete_index(&self, row: &IndexRow) -> Result<bool> {
        let done = sqlx::query("DELETE FROM vector_indexes WHERE relation = $1 AND name = $2 AND location = $3")
            .bind(&row.relation)
            .bind(&row.name)
            .bind(&row.location)
            .execute(self.writer()?)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}
