//! Models: versions in the catalog, files beside the lake.
//!
//! A version's files are written into a folder of their own first; the catalog row comes last and makes it visible. What a
//! file means is the caller's affair.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use lakemill_base::did_you_mean;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Lake, folder_name};
use crate::catalog::{ModelEntry, ModelRow, ModelVersion};
use crate::error::{Error, Result};
use crate::name::ModelName;

/// Where models lie below the root.
pub(super) const MODELS: &str = "models";

/// Attempts at a version number that other processes keep taking.
const VERSION_ATTEMPTS: u64 = 32;

/// What to do when the name of a model is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveMode {
    /// Fail.
    Create,
    /// Keep what is there.
    IfNotExists,
    /// Add a new version.
    Replace,
}

/// A model about to be saved.
#[derive(Clone, Debug)]
pub struct ModelDraft {
    /// For listings, such as `LOGISTIC_REG`.
    pub model_type: String,
    /// The artifact: file name to contents.
    pub files: BTreeMap<String, Bytes>,
    /// What the model was made from.
    pub lineage: serde_json::Value,
    /// Metrics and options for listings.
    pub summary: serde_json::Value,
}

impl Lake {
    /// Saves a model as a new version. `None`: it was there, and the mode was `IfNotExists`.
    ///
    /// # Errors
    /// Invalid: the name is taken, or a file name is not plain.
    pub async fn save_model(
        &self,
        name: &ModelName,
        draft: ModelDraft,
        mode: SaveMode,
    ) -> Result<Option<ModelVersion>> {
        name.check()?;
        self.check_writable()?;
        let newest = self.catalog().model(name, None).await?;
        match mode {
            SaveMode::IfNotExists if newest.is_some() => return Ok(None),
            SaveMode::Create if newest.is_some() => {
                return Err(Error::invalid(format!(
                    "model {name} already exists; use CREATE OR REPLACE MODEL or IF NOT EXISTS"
                )));
            }
            _ => {}
        }
        let location = format!("{MODELS}/{}", folder_name(&name.namespace, &name.model));
        for (file, contents) in draft.files {
            lakemill_base::check_identifier("artifact file", &file).map_err(Error::invalid)?;
            let path = StorePath::from(format!("{location}/{file}"));
            self.object_store().put(&path, contents.into()).await?;
        }
        let row = ModelRow {
            name: name.clone(),
            model_type: draft.model_type,
            location: location.clone(),
            lineage: draft.lineage.to_string(),
            summary: draft.summary.to_string(),
            created_ms: self.now_ms(),
        };
        let first = newest.map_or(1, |newest| newest.version.version + 1);
        for version in first..first + VERSION_ATTEMPTS {
            if self.catalog().insert_model(&row, version).await? {
                return Ok(Some(ModelVersion {
                    name: name.clone(),
                    version,
                    path: location,
                    created_ms: row.created_ms,
                }));
            }
        }
        Err(Error::conflict(format!("other sessions keep saving versions of model {name}; try again")))
    }

    /// A model's entry, the latest version by default.
    ///
    /// # Errors
    /// Not found: with a suggestion, or with the versions that there are.
    pub async fn model(&self, name: &ModelName, version: Option<u64>) -> Result<ModelEntry> {
        if let Some(entry) = self.catalog().model(name, version).await? {
            return Ok(entry);
        }
        if let (Some(version), Some(newest)) = (version, self.catalog().model(name, None).await?) {
            return Err(Error::not_found(format!(
                "model {name} has no version {version}; versions 1 to {} are available",
                newest.version.version
            )));
        }
        let known = self.models(Some(&name.namespace)).await.unwrap_or_default();
        let near = did_you_mean(&name.model, known.iter().map(|entry| entry.version.name.model.as_str()));
        Err(Error::not_found(match near {
            Some(near) => {
                format!("there is no model {name}; did you mean {}?", ModelName::new(name.namespace.clone(), near))
            }
            None => format!("there is no model {name}"),
        }))
    }

    /// A model's entry and artifact.
    ///
    /// # Errors
    /// Not found: there is no such model. Data: its files are gone.
    pub async fn load_model(
        &self,
        name: &ModelName,
        version: Option<u64>,
    ) -> Result<(ModelEntry, BTreeMap<String, Bytes>)> {
        let entry = self.model(name, version).await?;
        let store = self.object_store();
        let folder = StorePath::from(entry.version.path.as_str());
        let found: Vec<_> = store.list(Some(&folder)).try_collect().await?;
        let mut files = BTreeMap::new();
        for file in found {
            let contents = store.get(&file.location).await?.bytes().await?;
            files.insert(file.location.filename().unwrap_or_default().to_owned(), contents);
        }
        if files.is_empty() {
            return Err(Error::data(format!("the files of model {name} are gone from '{}'", entry.version.path)));
        }
        Ok((entry, files))
    }

    /// The latest version of every model, in alphabetical order.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn models(&self, namespace: Option<&str>) -> Result<Vec<ModelEntry>> {
        let mut entries = self.catalog().all_models().await?;
        entries.retain(|entry| namespace.is_none_or(|namespace| entry.version.name.namespace == namespace));
        entries.dedup_by(|next, kept| next.version.name == kept.version.name);
        Ok(entries)
    }

    /// All versions of a model, newest first.
    ///
    /// # Errors
    /// Not found: there is no such model.
    pub async fn model_versions(&self, name: &ModelName) -> Result<Vec<ModelVersion>> {
        let versions = self.catalog().model_versions(name).await?;
        if versions.is_empty() {
            self.model(name, None).await?;
        }
        Ok(versions.into_iter().map(|entry| entry.version).collect())
    }

    /// Drops a model with all its versions. False: there was none, and `if_exists` was given.
    ///
    /// # Errors
    /// Not found: there is no such model.
    pub async fn drop_model(&self, name: &ModelName, if_exists: bool) -> Result<bool> {
        self.check_writable()?;
        let versions = self.catalog().model_versions(name).await?;
        if versions.is_empty() {
            return if if_exists { Ok(false) } else { self.model(name, None).await.map(|_| false) };
        }
        self.catalog().delete_model(name).await?;
        for entry in versions {
            self.remove_location(&entry.version.path).await?;
        }
        Ok(true)
    }
}
