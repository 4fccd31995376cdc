//! DESCRIBE HISTORY: the commits of a table.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder, TimestampMillisecondBuilder, UInt64Builder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use deltalake::kernel::{Action, CommitInfo};
use deltalake::logstore::{LogStore, get_actions};
use serde_json::Value;

use crate::error::Result;
use crate::lake::Lake;
use crate::name::TableName;
use crate::table::{Pinned, commits};

impl Lake {
    /// The commits of a table that the log still has, newest first.
    ///
    /// Columns: `version`, `timestamp`, `operation`, `parameters` and `metrics` (JSON), `engine`.
    ///
    /// # Errors
    /// Not found: there is no such table.
    pub async fn history(&self, name: &TableName, limit: Option<usize>) -> Result<RecordBatch> {
        let (_, pinned) = self.table_to_read(name).await?;
        let mut rows = HistoryBuilder::default();
        for (version, time_ms) in commits(&pinned).await?.into_iter().rev().take(limit.unwrap_or(usize::MAX)) {
            rows.push(version, time_ms, commit_info(&pinned, version).await?);
        }
        rows.finish()
    }

    /// The columns of [`Lake::history`].
    pub fn history_schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("version", DataType::UInt64, false),
            Field::new("timestamp", DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC"))), false),
            Field::new("operation", DataType::Utf8, true),
            Field::new("parameters", DataType::Utf8, true),
            Field::new("metrics", DataType::Utf8, true),
            Field::new("engine", DataType::Utf8, true),
        ]))
    }
}

#[derive(Debug, Default)]
struct HistoryBuilder {
    versions: UInt64Builder,
    times: TimestampMillisecondBuilder,
    operations: StringBuilder,
    parameters: StringBuilder,
    metrics: StringBuilder,
    engines: StringBuilder,
}

impl HistoryBuilder {
    fn push(&mut self, version: u64, time_ms: i64, info: Option<CommitInfo>) {
        self.versions.append_value(version);
        self.times.append_value(time_ms);
        let info = info.unwrap_or_default();
        let parameters = info.operation_parameters.map(|parameters| {
            let sorted: std::collections::BTreeMap<_, _> =
                parameters.into_iter().filter(|(name, _)| !matches!(name.as_str(), "metadata" | "protocol")).collect();
            serde_json::json!(sorted).to_string()
        });
        self.operations.append_option(info.operation);
        self.parameters.append_option(parameters);
        self.metrics.append_option(info.info.get("operationMetrics").map(Value::to_string));
        let lakemill = info.info.get("lakemill").and_then(Value::as_str).map(|version| format!("lakemill {version}"));
        self.engines.append_option(lakemill.or(info.engine_info));
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.versions.finish()),
            Arc::new(self.times.finish().with_timezone("UTC")),
            Arc::new(self.operations.finish()),
            Arc::new(self.parameters.finish()),
            Arc::new(self.metrics.finish()),
            Arc::new(self.engines.finish()),
        ];
        Ok(RecordBatch::try_new(Lake::history_schema(), columns)?)
    }
}

async fn commit_info(pinned: &Pinned, version: u64) -> Result<Option<CommitInfo>> {
    let Some(entry) = pinned.table().log_store().read_commit_entry(version).await? else { return Ok(None) };
    Ok(get_actions(version, &entry)?.into_iter().find_map(|action| match action {
        Action::CommitInfo(info) => Some(info),
        _ => None,
    }))
}

/// The rows that a commit's own metrics say it added.
pub(super) async fn added_rows(pinned: &Pinned, version: u64) -> Result<u64> {
    let info = commit_info(pinned, version).await?;
    let metrics = info.as_ref().and_then(|info| info.info.get("operationMetrics"));
    Ok(metrics.and_then(|metrics| metrics.get("num_added_rows")).and_then(Value::as_u64).unwrap_or_default())
}
