//! A version of a language model, as plans name it.

use std::fmt;
use std::hash::{Hash, Hasher};

use lakemill_lake::{DEFAULT_NAMESPACE, ModelEntry, ModelName};
use serde_json::Value;

use crate::language::{Kind, ModelInfo, Models};
use crate::{Error, Result};

/// The field of a catalog entry's summary that says where a language model comes from.
pub(super) const SUMMARY_FIELD: &str = "language";

/// A language model or an encoder of the catalog, and the registry that loads it.
#[derive(Clone, Debug)]
pub(crate) struct LanguageHandle {
    /// What it is.
    pub(crate) info: ModelInfo,
    /// Who loads it.
    pub(crate) models: Models,
}

impl LanguageHandle {
    /// The model of a catalog entry; `None` for a predictive one.
    ///
    /// # Errors
    /// Data: the entry does not say where the model comes from.
    pub(crate) fn of_entry(entry: &ModelEntry, models: &Models) -> Result<Option<Self>> {
        if Kind::of(&entry.model_type).is_none() {
            return Ok(None);
        }
        let info = info_of_entry(entry)?;
        Ok(Some(Self { info, models: models.clone() }))
    }

    /// Its name in the catalog, or the one that it was given.
    pub(crate) fn model_name(&self) -> ModelName {
        match &self.info.catalog {
            Some((name, _)) => name.clone(),
            None => ModelName::new("", &self.info.name),
        }
    }

    /// Its version in the catalog.
    pub(crate) fn version(&self) -> u64 {
        self.info.catalog.as_ref().map_or(0, |(_, version)| *version)
    }

    /// Said of it where a predictive model is needed.
    pub(crate) fn no_prediction(&self) -> Error {
        let (kind, function) = (self.info.kind.as_str(), self.function());
        Error::invalid(format!(
            "model {} is of type {kind}, which predicts no label; {function} takes it",
            self.info.name
        ))
    }

    /// The relation that takes it.
    fn function(&self) -> &'static str {
        match self.info.kind {
            Kind::Language => "ML.GENERATE_TEXT",
            Kind::Embedding => "ML.GENERATE_EMBEDDING",
        }
    }

    /// Whether it is of the kind that `function` needs.
    ///
    /// # Errors
    /// Invalid, with what would be right.
    pub(crate) fn expect(&self, kind: Kind, function: &str) -> Result<()> {
        if self.info.kind == kind {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{function} is for models of type {}, and model {} is of type {}; {} takes it",
            kind.as_str(),
            self.info.name,
            self.info.kind.as_str(),
            self.function()
        )))
    }
}

/// What a catalog entry says of a language model.
pub(crate) fn info_of_entry(entry: &ModelEntry) -> Result<ModelInfo> {
    let version = &entry.version;
    let wrong = |why: String| {
        Error::new(
            lakemill_base::ErrorKind::Data,
            format!("the entry of model {} version {} is damaged: {why}", version.name, version.version),
        )
    };
    let value = match &entry.summary[SUMMARY_FIELD] {
        Value::Null => return Err(wrong("it does not say where the model comes from".to_owned())),
        value => value.clone(),
    };
    let mut info: ModelInfo = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
    let ModelName { namespace, model } = &version.name;
    info.name = if namespace == DEFAULT_NAMESPACE { model.clone() } else { format!("{namespace}.{model}") };
    info.catalog = Some((version.name.clone(), version.version));
    info.created_ms = version.created_ms;
    Ok(info)
}

impl fmt::Display for LanguageHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.info.catalog {
            Some((name, version)) => write!(f, "{name}@{version}"),
            None => f.write_str(&self.info.name),
        }
    }
}

impl PartialEq for LanguageHandle {
    fn eq(&self, other: &Self) -> bool {
        self.info == other.info
    }
}

impl Eq for LanguageHandle {}

impl Hash for LanguageHandle {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.info.hash(hasher);
    }
}
