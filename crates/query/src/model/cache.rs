//! Loading models: once per statement by name, once per session by version. Of language models only the entry is read here;
//! `crate::language` loads them when they are used.

use std::sync::Arc;

use datafusion::execution::SessionState;
use lakemill_base::ErrorKind;
use lakemill_lake::{Lake, ModelEntry, ModelName};
use lakemill_learn::{Artifact, Model};
use parking_lot::Mutex;

use super::language::LanguageHandle;
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
type ScopeModel = (ModelName, Option<u64>, AnyModel);

/// A model of either half.
#[derive(Clone, Debug)]
pub(super) enum AnyModel {
    /// One that was trained on rows.
    Predictive(Arc<LoadedModel>),
    /// A language model or an encoder.
    Language(Arc<LanguageHandle>),
}

impl AnyModel {
    fn name_and_version(&self) -> (ModelName, u64) {
        match self {
            Self::Predictive(model) => (model.handle.name.clone(), model.handle.version),
            Self::Language(handle) => (handle.model_name(), handle.version()),
        }
    }
}

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
pub(super) async fn load(scope: &StatementScope, name: &ModelName, version: Option<u64>) -> Result<AnyModel> {
    scope.may_predict(name).await?;
    let known = scope
        .models
        .0
        .lock()
        .iter()
        .find(|(known, at, _)| known == name && *at == version)
        .map(|(_, _, model)| model.clone());
    if let Some(model) = known {
        return Ok(model);
    }
    let model = fetch_any(scope.session(), scope.state(), name, version).await?;
    let (full, at) = model.name_and_version();
    let object = ObjectRef::model(format!("{}.{}", full.namespace, full.model));
    scope.record_read(object, ObjectVersion::Version(at));
    scope.models.0.lock().push((name.clone(), version, model.clone()));
    Ok(model)
}

/// The predictive model of a name at a version, from memory where the session has it.
///
/// # Errors
/// As [`load`]; Invalid: it is a language model.
pub(super) async fn fetch(
    session: &Session,
    state: &SessionState,
    name: &ModelName,
    version: Option<u64>,
) -> Result<Arc<LoadedModel>> {
    match fetch_any(session, state, name, version).await? {
        AnyModel::Predictive(model) => Ok(model),
        AnyModel::Language(handle) => Err(handle.no_prediction()),
    }
}

async fn fetch_any(
    session: &Session,
    state: &SessionState,
    name: &ModelName,
    version: Option<u64>,
) -> Result<AnyModel> {
    let entry = session.lake().model(name, version).await?;
    if let Some(handle) = LanguageHandle::of_entry(&entry, session.language())? {
        return Ok(AnyModel::Language(Arc::new(handle)));
    }
    let key = format!("{} {}", entry.version.path, entry.version.created_ms);
    if let Some(model) = session.models().get(&key) {
        return Ok(AnyModel::Predictive(model));
    }
    let model = Arc::new(read(session.lake(), state, entry).await?);
    session.models().put(key, Arc::clone(&model));
    Ok(AnyModel::Predictive(model))
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
