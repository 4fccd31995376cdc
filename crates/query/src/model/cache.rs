//! Loading models: once per statement by name, once per session by version.

use std::sync::Arc;

use datafusion::execution::SessionState;
use lakemill_base::ErrorKind;
use lakemill_lake::{Lake, ModelEntry, ModelName};
use lakemill_learn::{Artifact, Model};
use parking_lot::Mutex;

use super::loaded::{LoadedModel, ModelHandle};
use super::transform::Transform;
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::session::{Session, StatementScope};
use crate::{Error, Result};

/// Models that a session keeps in memory; the one used longest ago goes first.
const SESSION_MODELS_MAX: usize = 16;

/// The models that a session has loaded, by where their files lie: a version never changes, but a model that is
/// dropped and made anew counts its versions from 1 again.
#[derive(Debug, Default)]
pub(crate) struct SessionModels(Mutex<Vec<(String, Arc<LoadedModel>)>>);

/// The models that a statement uses, so that it sees one version of each.
#[derive(Debug, Default)]
pub(crate) struct ScopeModels(Mutex<Vec<ScopeModel>>);

/// The name and version that the statement wrote, and what they stand for.
type ScopeModel = (ModelName, Option<u64>, Arc<LoadedModel>);

impl SessionModels {
    fn get(&self, key: &str) -> Option<Arc<LoadedModel>> {
        let mut models = self.0.lock();
        let index = models.iter().position(|(known, _)| known == key)?;
        let found = models.remove(index);
        let model = Arc::clone(&found.1);
        models.push(found);
        Some(model)
    }

    fn put(&self, key: String, model: Arc<LoadedModel>) {
        let mut models = self.0.lock();
        if models.len() >= SESSION_MODELS_MAX {
            models.remove(0);
        }
        models.push((key, model));
    }
}

/// The model of a name at a version, the newest unless told otherwise; recorded as read.
///
/// # Errors
/// Not found, with a suggestion; Data if its files are damaged.
pub(crate) async fn load(scope: &StatementScope, name: &ModelName, version: Option<u64>) -> Result<Arc<LoadedModel>> {
    scope.may_predict(name).await?;
    let known = scope
        .models
        .0
        .lock()
        .iter()
        .find(|(known, at, _)| known == name && *at == version)
        .map(|(_, _, model)| Arc::clone(model));
    if let Some(model) = known {
        return Ok(model);
    }
    let model = fetch(scope.session(), scope.state(), name, version).await?;
    let handle = &model.handle;
    let object = ObjectRef::model(format!("{}.{}", handle.name.namespace, handle.name.model));
    scope.record_read(object, ObjectVersion::Version(handle.version));
    scope.models.0.lock().push((name.clone(), version, Arc::clone(&model)));
    Ok(model)
}

/// The model of a name at a version, from memory where the session has it.
///
/// # Errors
/// As [`load`].
pub(super) async fn fetch(
    session: &Session,
    state: &SessionState,
    name: &ModelName,
    version: Option<u64>,
) -> Result<Arc<LoadedModel>> {
    let entry = session.lake().model(name, version).await?;
    let key = format!("{} {}", entry.version.path, entry.version.created_ms);
    if let Some(model) = session.models().get(&key) {
        return Ok(model);
    }
    let model = Arc::new(read(session.lake(), state, entry).await?);
    session.models().put(key, Arc::clone(&model));
    Ok(model)
}

async fn read(lake: &Lake, state: &SessionState, entry: ModelEntry) -> Result<LoadedModel> {
    let (name, version) = (entry.version.name.clone(), entry.version.version);
    let (_, files) = lake.load_model(&name, Some(version)).await?;
    let state = state.clone();
    let loaded = tokio::task::spawn_blocking(move || from_files(entry, files, &state));
    loaded.await.map_err(|error| Error::internal(format!("loading a model failed: {error}")))?
}

fn from_files(
    entry: ModelEntry,
    files: std::collections::BTreeMap<String, bytes::Bytes>,
    state: &SessionState,
) -> Result<LoadedModel> {
    let name = entry.version.name.clone();
    let damaged = |error: Error| match error.kind() {
        ErrorKind::Data => Error::new(
            ErrorKind::Data,
            format!("model {name} version {} cannot be read: {}", entry.version.version, error.message()),
        ),
        _ => error,
    };
    let artifact = Artifact::verify(files).map_err(|error| damaged(error.into()))?;
    let model = Model::from_artifact(&artifact).map_err(|error| damaged(error.into()))?;
    let transform = Transform::load(&artifact, state).map_err(damaged)?;
    let handle = ModelHandle { name: name.clone(), version: entry.version.version, model, files: artifact.files };
    Ok(LoadedModel { handle: Arc::new(handle), transform, entry })
}
