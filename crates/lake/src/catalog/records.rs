//! Lineage, pipeline step states and runs.

use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::Catalog;
use super::entries::LineageRecord;
use crate::error::Result;
use crate::run::{RunDetail, RunRecord};

impl Catalog {
    pub(crate) async fn insert_lineage(&self, id: &str, record: &LineageRecord) -> Result<()> {
        sqlx::query(
            "INSERT INTO lineage (id, kind, namespace, name, version, statement, inputs, options, seed, at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(id)
        .bind(&record.kind)
        .bind(&record.namespace)
        .bind(&record.name)
        .bind(i64::try_from(record.version).unwrap_or(i64::MAX))
        .bind(&record.statement)
        .bind(serde_json::to_string(&record.inputs)?)
        .bind(record.options.to_string())
        .bind(record.seed.map(|seed| seed.to_string()).unwrap_or_default())
        .bind(record.at_ms)
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    /// Newest first.
    pub(crate) async fn lineage(&self, kind: &str, namespace: &str, name: &str) -> Result<Vec<LineageRecord>> {
        let rows = sqlx::query(
            "SELECT kind, namespace, name, version, statement, inputs, options, seed, at_ms FROM lineage \
             WHERE kind = $1 AND namespace = $2 AND name = $3 ORDER BY at_ms DESC, id DESC",
        )
        .bind(kind)
        .bind(namespace)
        .bind(name)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(read_lineage).collect()
    }

    pub(crate) async fn step_state(&self, pipeline: &str, step: &str) -> Result<Option<Value>> {
        let row = sqlx::query("SELECT state FROM step_states WHERE pipeline = $1 AND step = $2")
            .bind(pipeline)
            .bind(step)
            .fetch_optional(self.reader())
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(serde_json::from_str(&row.try_get::<String, _>(0)?)?))
    }

    pub(crate) async fn save_step_state(&self, pipeline: &str, step: &str, state: &Value, now_ms: i64) -> Result<()> {
        sqlx::query(
            "INSERT INTO step_states (pipeline, step, state, updated_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (pipeline, step) DO UPDATE SET state = excluded.state, updated_ms = excluded.updated_ms",
        )
        .bind(pipeline)
        .bind(step)
        .bind(state.to_string())
        .bind(now_ms)
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    pub(crate) async fn delete_step_state(&self, pipeline: &str, step: &str) -> Result<()> {
        sqlx::query("DELETE FROM step_states WHERE pipeline = $1 AND step = $2")
            .bind(pipeline)
            .bind(step)
            .execute(self.writer()?)
            .await?;
        Ok(())
    }

    pub(crate) async fn insert_run(&self, id: &str, pipeline: &str, detail: &RunDetail, now_ms: i64) -> Result<()> {
        sqlx::query(
            "INSERT INTO runs (id, pipeline, started_ms, finished_ms, status, detail) \
             VALUES ($1, $2, $3, 0, 'running', $4)",
        )
        .bind(id)
        .bind(pipeline)
        .bind(now_ms)
        .bind(serde_json::to_string(detail)?)
        .execute(self.writer()?)
        .await?;
        Ok(())
    }

    /// A run that has ended stays as it is.
    pub(crate) async fn report_run(&self, id: &str, detail: &RunDetail) -> Result<()> {
        sqlx::query("UPDATE runs SET detail = $1 WHERE id = $2 AND finished_ms = 0")
            .bind(serde_json::to_string(detail)?)
            .bind(id)
            .execute(self.writer()?)
            .await?;
        Ok(())
    }

    /// False when there is no such run.
    pub(crate) async fn finish_run(&self, id: &str, status: &str, detail: &RunDetail, now_ms: i64) -> Result<bool> {
        let done = sqlx::query("UPDATE runs SET finished_ms = $1, status = $2, detail = $3 WHERE id = $4")
            .bind(now_ms)
            .bind(status)
            .bind(serde_json::to_string(detail)?)
            .bind(id)
            .execute(self.writer()?)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends the runs of a pipeline that never did.
    pub(crate) async fn close_dead_runs(&self, pipeline: &str, now_ms: i64) -> Result<()> {
        sqlx::query("UPDATE runs SET finished_ms = $1, status = 'interrupted' WHERE pipeline = $2 AND finished_ms = 0")
            .bind(now_ms)
            .bind(pipeline)
            .execute(self.writer()?)
            .await?;
        Ok(())
    }

    /// Newest first; those of all pipelines without a name.
    pub(crate) async fn runs(&self, pipeline: Option<&str>, limit: usize) -> Result<Vec<RunRecord>> {
        let rows = sqlx::query(
            "SELECT id, pipeline, started_ms, finished_ms, status, detail FROM runs \
             WHERE pipeline = $1 OR $1 = '' ORDER BY started_ms DESC, id DESC LIMIT $2",
        )
        .bind(pipeline.unwrap_or_default())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(read_run).collect()
    }

    pub(crate) async fn run(&self, id: &str) -> Result<Option<RunRecord>> {
        let row = sqlx::query("SELECT id, pipeline, started_ms, finished_ms, status, detail FROM runs WHERE id = $1")
            .bind(id)
            .fetch_optional(self.reader())
            .await?;
        row.as_ref().map(read_run).transpose()
    }
}

fn read_lineage(row: &AnyRow) -> Result<LineageRecord> {
    let inputs: String = row.try_get(5)?;
    let options: String = row.try_get(6)?;
    let seed: String = row.try_get(7)?;
    Ok(LineageRecord {
        kind: row.try_get(0)?,
        namespace: row.try_get(1)?,
        name: row.try_get(2)?,
        version: u64::try_from(row.try_get::<i64, _>(3)?).unwrap_or_default(),
        statement: row.try_get(4)?,
        inputs: serde_json::from_str(&inputs)?,
        options: serde_json::from_str(&options)?,
        seed: seed.parse().ok(),
        at_ms: row.try_get(8)?,
    })
}

fn read_run(row: &AnyRow) -> Result<RunRecord> {
    let finished_ms: i64 = row.try_get(3)?;
    let detail: String = row.try_get(5)?;
    Ok(RunRecord {
        id: row.try_get(0)?,
        pipeline: row.try_get(1)?,
        started_ms: row.try_get(2)?,
        finished_ms: (finished_ms != 0).then_some(finished_ms),
        status: row.try_get(4)?,
        detail: serde_json::from_str(&detail)?,
    })
}
