//! Lineage, pipeline step states and runs, as the catalog keeps them.

use serde_json::Value;
use uuid::Uuid;

use super::Lake;
use crate::catalog::{LineageRecord, RunLock};
use crate::error::{Error, Result};
use crate::run::{RunDetail, RunRecord};

impl Lake {
    /// Records what a table, view or model was made from.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn record_lineage(&self, record: &LineageRecord) -> Result<()> {
        self.catalog().insert_lineage(&Uuid::now_v7().to_string(), record).await
    }

    /// The lineage of an object, newest first. `kind` is as in [`LineageRecord::kind`].
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn lineage_of(&self, kind: &str, namespace: &str, name: &str) -> Result<Vec<LineageRecord>> {
        self.catalog().lineage(kind, namespace, name).await
    }

    /// The state that a pipeline step left.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn step_state(&self, pipeline: &str, step: &str) -> Result<Option<Value>> {
        self.catalog().step_state(pipeline, step).await
    }

    /// Keeps the state of a pipeline step.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn save_step_state(&self, pipeline: &str, step: &str, state: &Value) -> Result<()> {
        self.catalog().save_step_state(pipeline, step, state, self.now_ms()).await
    }

    /// Forgets the state of a pipeline step.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn clear_step_state(&self, pipeline: &str, step: &str) -> Result<()> {
        self.catalog().delete_step_state(pipeline, step).await
    }

    /// Takes the lock of a pipeline's runs; `None` if somebody else is running it. It is free again when it is released
    /// or dropped, and when its process ends, however it ends. Runs that never ended are closed as `interrupted`: with
    /// the lock taken, nobody can be running them.
    ///
    /// # Errors
    /// Invalid: the lake is read-only. Unavailable: the catalog does not answer.
    pub async fn lock_run(&self, pipeline: &str) -> Result<Option<RunLock>> {
        let lock = self.catalog().lock_run(pipeline).await?;
        if lock.is_some() {
            self.catalog().close_dead_runs(pipeline, self.now_ms()).await?;
        }
        Ok(lock)
    }

    /// Records that a run began; gives its id.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn start_run(&self, pipeline: &str, detail: &RunDetail) -> Result<String> {
        let id = Uuid::now_v7().to_string();
        self.catalog().insert_run(&id, pipeline, detail, self.now_ms()).await?;
        Ok(id)
    }

    /// Records how far a run is. A run that has ended stays as it is.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn report_run(&self, id: &str, detail: &RunDetail) -> Result<()> {
        self.catalog().report_run(id, detail).await
    }

    /// Records how a run ended.
    ///
    /// # Errors
    /// Not found: there is no such run.
    pub async fn finish_run(&self, id: &str, status: &str, detail: &RunDetail) -> Result<()> {
        if self.catalog().finish_run(id, status, detail, self.now_ms()).await? {
            return Ok(());
        }
        Err(Error::not_found(format!("there is no run '{id}'")))
    }

    /// The runs of a pipeline, or of all, newest first.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn runs(&self, pipeline: Option<&str>, limit: usize) -> Result<Vec<RunRecord>> {
        self.catalog().runs(pipeline, limit).await
    }

    /// A run by its id.
    ///
    /// # Errors
    /// Not found: there is no such run.
    pub async fn run(&self, id: &str) -> Result<RunRecord> {
        let found = self.catalog().run(id).await?;
        found.ok_or_else(|| Error::not_found(format!("there is no run '{id}'; SHOW RUNS lists those that there are")))
    }
}
