//! Short texts that say in which state an object is: equal texts, equal contents.
//!
//! - a lake table: its version and where it lies (a table that was dropped and made again starts at version 0
//!   elsewhere);
//! - a view: its query and the fingerprints of what it reads;
//! - an external table or a raw file: its definition, and for each file its name, size and contents. Contents
//!   are hashed once; afterwards a file whose size and time of change are the same is not opened;
//! - a model: its version and when it was made.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::UNIX_EPOCH;

use lakemill_lake::{At, ExternalEntry, Lake, ModelName, Relation, TableName, external};
use lakemill_query::{ObjectKind, ObjectRef, Session};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::state::ObjectRecord;

/// The fingerprint of an object that is not there.
pub(crate) const ABSENT: &str = "absent";

/// Larger files are told apart by size and time of change alone: reading them again would cost more than
/// what depends on them.
const HASHED_BYTES_MAX: u64 = 1 << 30;

/// Folders with more files are refused: they are more likely a wrong path than data.
const FILES_MAX: usize = 100_000;

/// Views that read views deeper than this are taken for a circle.
const VIEW_DEPTH_MAX: usize = 32;

/// One raw file as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileStamp {
    /// Its absolute path.
    pub(crate) path: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
    /// When it was changed, in nanoseconds since the epoch.
    pub(crate) changed_ns: u64,
    /// The BLAKE3 hash of its contents, if it is not too large.
    pub(crate) hash: Option<String>,
}

/// Finds the fingerprints of objects as they are now.
#[derive(Debug)]
pub(crate) struct Fingerprints<'a> {
    session: &'a Session,
    dir: &'a Path,
    /// Files as they were when their contents were last hashed.
    known: HashMap<PathBuf, FileStamp>,
    now: HashMap<ObjectRef, ObjectRecord>,
}

type Found<'f> = Pin<Box<dyn Future<Output = Result<ObjectRecord>> + Send + 'f>>;

impl<'a> Fingerprints<'a> {
    /// Relative paths start in `dir`.
    pub(crate) fn new(session: &'a Session, dir: &'a Path) -> Self {
        Self { session, dir, known: HashMap::new(), now: HashMap::new() }
    }

    /// Takes over the hashes of a record, so that unchanged files are not opened.
    pub(crate) fn remember(&mut self, record: &ObjectRecord) {
        for stamp in &record.files {
            self.known.insert(stamp.path.clone(), stamp.clone());
        }
    }

    /// Forgets the state of all objects: something was written.
    pub(crate) fn refresh(&mut self) {
        self.now.clear();
    }

    /// The state of an object now.
    pub(crate) async fn of(&mut self, object: &ObjectRef) -> Result<ObjectRecord> {
        self.find(object, 0).await
    }

    fn find<'f>(&'f mut self, object: &'f ObjectRef, depth: usize) -> Found<'f> {
        Box::pin(async move {
            if let Some(found) = self.now.get(object) {
                return Ok(found.clone());
            }
            let (fingerprint, files) = match object.kind {
                ObjectKind::Table => self.relation(&object.name, depth).await?,
                ObjectKind::Model => (model(self.session.lake(), &object.name).await?, Vec::new()),
                ObjectKind::File => self.raw(&object.name).await?,
            };
            let kind = object.kind.as_str().to_owned();
            let record = ObjectRecord { kind, name: object.name.clone(), fingerprint, files };
            self.remember(&record);
            self.now.insert(object.clone(), record.clone());
            Ok(record)
        })
    }

    async fn relation(&mut self, name: &str, depth: usize) -> Result<(String, Vec<FileStamp>)> {
        let (namespace, table) = split(name);
        let lake = self.session.lake().clone();
        match lake.find(&TableName::new(namespace, table), At::Latest).await? {
            None => Ok((ABSENT.to_owned(), Vec::new())),
            Some(Relation::Table(table)) => {
                let place = blake3::hash(table.location().as_str().as_bytes()).to_hex();
                Ok((format!("{}@{}", table.version(), &place[..12]), Vec::new()))
            }
            Some(Relation::View(view)) => self.view(&view.sql, depth).await,
            Some(Relation::External(entry)) => self.external(&entry).await,
        }
    }

    async fn view(&mut self, sql: &str, depth: usize) -> Result<(String, Vec<FileStamp>)> {
        if depth > VIEW_DEPTH_MAX {
            return Err(Error::invalid(format!("views read each other more than {VIEW_DEPTH_MAX} levels deep")));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(sql.as_bytes());
        let mut files = Vec::new();
        for parsed in self.session.parse(sql)? {
            for object in &parsed.reads {
                let found = self.find(object, depth + 1).await?;
                hasher.update(found.fingerprint.as_bytes());
                files.extend(found.files);
            }
        }
        Ok((format!("view:{}", short(&hasher)), files))
    }

    async fn external(&mut self, entry: &ExternalEntry) -> Result<(String, Vec<FileStamp>)> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(
            format!("{}\0{}\0{:?}\0{:?}", entry.format, entry.location, entry.options, entry.schema).as_bytes(),
        );
        let files = match local_path(self.dir, &entry.location) {
            Some(path) => self.stamps(path).await?,
            None => {
                hasher.update(external::fingerprint(self.session.lake(), entry).await?.as_bytes());
                Vec::new()
            }
        };
        hash_stamps(&mut hasher, &files);
        Ok((format!("files:{}", short(&hasher)), files))
    }

    async fn raw(&mut self, location: &str) -> Result<(String, Vec<FileStamp>)> {
        let Some(path) = local_path(self.dir, location) else {
            let lake = self.session.lake();
            let found = external::fingerprint(lake, &external::entry_for(lake, location).await?).await?;
            return Ok((format!("files:{found}"), Vec::new()));
        };
        let files = self.stamps(path).await?;
        if files.is_empty() {
            return Ok((ABSENT.to_owned(), files));
        }
        let mut hasher = blake3::Hasher::new();
        hash_stamps(&mut hasher, &files);
        Ok((format!("files:{}", short(&hasher)), files))
    }

    /// The stamps of a file, of all files in a folder, or of what a glob finds.
    async fn stamps(&self, path: PathBuf) -> Result<Vec<FileStamp>> {
        let known = self.known.clone();
        let task = tokio::task::spawn_blocking(move || {
            list(&path)?.into_iter().map(|file| stamp(file, &known)).collect::<Result<Vec<_>>>()
        });
        task.await.map_err(|error| Error::new(lakemill_base::ErrorKind::Internal, error.to_string()))?
    }
}

/// `namespace.name` in two; a name without a namespace is in the default one.
pub(crate) fn split(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap_or((lakemill_lake::DEFAULT_NAMESPACE, name))
}

async fn model(lake: &Lake, name: &str) -> Result<String> {
    let (namespace, model) = split(name);
    match lake.model(&ModelName::new(namespace, model), None).await {
        Ok(entry) => Ok(format!("{}@{}", entry.version.version, entry.version.created_ms)),
        Err(error) if error.kind() == lakemill_base::ErrorKind::NotFound => Ok(ABSENT.to_owned()),
        Err(error) => Err(error.into()),
    }
}

/// The path of a location on this machine; `None` for other URLs.
fn local_path(dir: &Path, location: &str) -> Option<PathBuf> {
    match location.split_once("://") {
        Some(("file", path)) => Some(PathBuf::from(path)),
        Some(_) => None,
        None => Some(dir.join(location)),
    }
}

fn list(path: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let text = path.to_string_lossy();
    if !path.exists() && text.contains(['*', '?', '[']) {
        let found = glob::glob(&text).map_err(|error| Error::invalid(format!("'{text}' is no glob: {error}")))?;
        for path in found {
            let path =
                path.map_err(|error| Error::io("read", error.path(), std::io::Error::other(error.to_string())))?;
            walk(&path, &mut files)?;
        }
    } else {
        walk(path, &mut files)?;
    }
    files.sort();
    Ok(files)
}

/// Adds a file, or the files below a folder. Hidden ones and those that begin with `_` are no data, as for
/// every reader of such folders.
fn walk(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    if !metadata.is_dir() {
        files.push(path.to_owned());
    } else {
        for entry in std::fs::read_dir(path).map_err(|error| Error::io("read", path, error))? {
            let entry = entry.map_err(|error| Error::io("read", path, error))?;
            if !entry.file_name().to_string_lossy().starts_with(['.', '_']) {
                walk(&entry.path(), files)?;
            }
        }
    }
    if files.len() > FILES_MAX {
        return Err(Error::invalid(format!("'{}' holds more than {FILES_MAX} files", path.display())));
    }
    Ok(())
}

fn stamp(path: PathBuf, known: &HashMap<PathBuf, FileStamp>) -> Result<FileStamp> {
    let metadata = std::fs::metadata(&path).map_err(|error| Error::io("read", &path, error))?;
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let changed_ns = changed.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default();
    let bytes = metadata.len();
    if let Some(before) = known.get(&path).filter(|before| before.bytes == bytes && before.changed_ns == changed_ns) {
        return Ok(before.clone());
    }
    let hash = if bytes > HASHED_BYTES_MAX { None } else { Some(hash_file(&path)?) };
    Ok(FileStamp { path, bytes, changed_ns, hash })
}

fn hash_file(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut file = std::fs::File::open(path).map_err(|error| Error::io("read", path, error))?;
    std::io::copy(&mut file, &mut hasher).map_err(|error| Error::io("read", path, error))?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn hash_stamps(hasher: &mut blake3::Hasher, files: &[FileStamp]) {
    for file in files {
        hasher.update(file.path.to_string_lossy().as_bytes());
        hasher.update(&file.bytes.to_le_bytes());
        match &file.hash {
            Some(hash) => hasher.update(hash.as_bytes()),
            None => hasher.update(&file.changed_ns.to_le_bytes()),
        };
    }
}

fn short(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..24].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{list, split, stamp};

    #[test]
    fn a_touched_file_keeps_its_hash_and_a_changed_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, "one").unwrap();
        let first = stamp(path.clone(), &HashMap::new()).unwrap();
        std::fs::write(&path, "one").unwrap();
        let touched = stamp(path.clone(), &HashMap::from([(path.clone(), first.clone())])).unwrap();
        assert_eq!(touched.hash, first.hash);
        std::fs::write(&path, "two").unwrap();
        assert_ne!(stamp(path, &HashMap::new()).unwrap().hash, first.hash);
    }

    #[test]
    fn lists_folders_and_globs_without_hidden_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("month=1")).unwrap();
        for name in ["month=1/a.parquet", "b.parquet", "_log", ".crc"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(list(dir.path()).unwrap().len(), 2);
        assert_eq!(list(&dir.path().join("*/*.parquet")).unwrap().len(), 1);
        assert!(list(&dir.path().join("absent")).unwrap().is_empty());
    }

    #[test]
    fn splits_names() {
        assert_eq!(split("raw.flights"), ("raw", "flights"));
        assert_eq!(split("flights"), ("main", "flights"));
    }
}
