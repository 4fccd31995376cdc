//! The one commit of CREATE MODEL: a new version in the catalog, and what it was made from.

use std::collections::BTreeMap;

use bytes::Bytes;
use lakemill_lake::{LineageInput, LineageRecord, ModelDraft, ModelName, SaveMode, Securable};
use serde_json::{Value, json};

use crate::Result;
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::model::parse::CreateModel;
use crate::outcome::{Outcome, Summary};
use crate::session::StatementScope;

/// A model that is ready to be kept.
pub(in crate::model) struct Made {
    pub(in crate::model) model_type: String,
    /// The artifact: file name to contents.
    pub(in crate::model) files: BTreeMap<String, Bytes>,
    /// What listings need without loading the model.
    pub(in crate::model) summary: Value,
    pub(in crate::model) options: Value,
    pub(in crate::model) seed: Option<u64>,
}

/// Keeps a model under `name`, with what the statement has read; `said` tells of the version that it became.
pub(in crate::model) async fn save(
    scope: &StatementScope,
    create: &CreateModel,
    name: &ModelName,
    made: Made,
    said: impl FnOnce(u64) -> Summary,
) -> Result<Outcome> {
    let Made { model_type, files, summary, options, seed } = made;
    let draft = ModelDraft { model_type, files, lineage: lineage(scope, create), summary };
    let mode = match (create.or_replace, create.if_not_exists) {
        (true, _) => SaveMode::Replace,
        (_, true) => SaveMode::IfNotExists,
        _ => SaveMode::Create,
    };
    let Some(version) = scope.lake().save_model(name, draft, mode).await? else {
        return Ok(Outcome::Done(Summary::new(format!("model {name} exists already; nothing to do"))));
    };
    let version = version.version;
    scope.made(&Securable::model(name)).await?;
    let inputs = scope.reads().into_iter().map(|(object, version)| LineageInput {
        kind: object.kind.as_str().to_owned(),
        name: object.name,
        version: version.to_string(),
    });
    let record = LineageRecord {
        kind: "model".to_owned(),
        namespace: name.namespace.clone(),
        name: name.model.clone(),
        version,
        statement: scope.statement().text.clone(),
        inputs: inputs.collect(),
        options,
        seed,
        at_ms: scope.session().clock().now_ms(),
    };
    scope.lake().record_lineage(&record).await?;
    let written = ObjectRef::model(format!("{}.{}", name.namespace, name.model));
    scope.record_write(written, ObjectVersion::Version(version));
    Ok(Outcome::Done(said(version)))
}

/// What the model is made from, as the artifact and the catalog keep it.
pub(super) fn lineage(scope: &StatementScope, create: &CreateModel) -> Value {
    let reads = scope.reads();
    let inputs = reads.iter().map(|(object, version)| {
        json!({ "kind": object.kind.as_str(), "name": object.name, "version": version.to_string() })
    });
    json!({
        "statement": scope.statement().text,
        "query": create.query_text,
        "transform": create.transform.as_ref().map(|transform| transform.text.clone()),
        "inputs": inputs.collect::<Vec<_>>(),
        "lakemill_version": env!("CARGO_PKG_VERSION"),
    })
}
