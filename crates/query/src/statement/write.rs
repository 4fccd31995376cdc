//! What all statements that write rows share: the write itself, its lineage, its summary.

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use lakemill_lake::{Commit, LineageInput, LineageRecord, TableName, WriteMode};

use super::watch::{PlanProbe, watched};
use crate::error::Result;
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::model::Resume;
use crate::session::{StatementScope, full_name};

/// Writes the rows of `plan` in one commit. `None`: there was a table, and the mode keeps it.
pub(super) async fn write(
    scope: &StatementScope,
    name: &TableName,
    mode: WriteMode,
    plan: LogicalPlan,
) -> Result<Option<Commit>> {
    let commit =
        changing(scope, |state| async move { Ok(scope.lake().write(name, mode, plan, &state).await?) }).await?;
    if let Some(commit) = commit {
        record(scope, name, "table", commit.version).await?;
    }
    Ok(commit)
}

/// Runs a change of the lake that plans and runs queries itself, watched. What language models have answered is kept until the
/// change is there, for a run that comes after this one's death.
pub(super) async fn changing<T, F>(scope: &StatementScope, change: impl FnOnce(SessionState) -> F) -> Result<T>
where
    F: Future<Output = Result<T>> + Send,
{
    let (mut state, probe) = PlanProbe::attach(scope.state().clone());
    let resume = Resume::new(scope.lake(), &scope.statement().text);
    state.config_mut().options_mut().extensions.insert(resume.clone());
    let changed = watched(scope, &probe, "writing", change(state)).await?;
    resume.forget().await;
    Ok(changed)
}

/// Records what an output was made from: with the caller, and in the lake.
pub(super) async fn record(scope: &StatementScope, name: &TableName, kind: &str, version: u64) -> Result<()> {
    if kind == "table" {
        scope.record_write(ObjectRef::table(full_name(name)), ObjectVersion::Version(version));
    }
    let inputs = scope
        .reads()
        .into_iter()
        .map(|(object, version)| LineageInput {
            kind: object.kind.as_str().to_owned(),
            name: object.name,
            version: version.to_string(),
        })
        .collect();
    let record = LineageRecord {
        kind: kind.to_owned(),
        namespace: name.namespace.clone(),
        name: name.table.clone(),
        version,
        statement: scope.statement().text.clone(),
        inputs,
        options: serde_json::Value::Object(serde_json::Map::new()),
        seed: None,
        at_ms: scope.session().clock().now_ms(),
    };
    Ok(scope.lake().record_lineage(&record).await?)
}

/// `1 row`, `12 rows`.
pub(super) fn rows(count: u64) -> String {
    match count {
        1 => "1 row".to_owned(),
        count => format!("{count} rows"),
    }
}
