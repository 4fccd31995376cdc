//! Finished answers and vectors, kept beside the lake until their statement commits.
//!
//! A statement that writes rows (CREATE TABLE AS, INSERT, MERGE ..) may run for hours in a language model. Its answers are
//! put into `generated/<key>/` in files of some hundreds, and read from there when the same statement runs again: a run that
//! was killed pays for no finished row a second time. The key is a digest of the statement's text, the model's files, how it
//! is loaded, the task with its settings, and this program's version. The folder goes when the statement has committed; one
//! that nobody has written to for a week goes when another such statement commits.
//!
//! Not here: answers that are sampled freely; the caller does not ask.
//!
//! **Architecture invariant:** an answer is kept under the whole of its prompt's digest, and only once it is complete, so
//! that a resumed run gives the rows that an uninterrupted one gives.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::error::DataFusionError;
use futures::TryStreamExt;
use lakemill_base::{Clock, ErrorKind};
use lakemill_lake::{GENERATED, Lake};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::kept::Kept;
use super::{LanguageHandle, Task};
use crate::{Error, Result};

/// So long answers wait for their statement to be run again.
const KEPT_MS: i64 = 7 * 24 * 3600 * 1000;

/// The digest of a prompt.
type Digest = [u8; 32];

/// Where the answers of a statement are kept: part of the settings that its plans run with.
#[derive(Clone, Debug)]
pub(crate) struct Resume {
    store: Arc<dyn ObjectStore>,
    statement: String,
    clock: Arc<dyn Clock>,
    /// Folders that this run has used.
    used: Arc<Mutex<BTreeSet<String>>>,
}

impl ConfigExtension for Resume {
    const PREFIX: &'static str = "resume";
}

impl ExtensionOptions for Resume {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> datafusion::error::Result<()> {
        Err(DataFusionError::Configuration(format!("unknown setting '{}.{key}'", Self::PREFIX)))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

impl Resume {
    /// For a statement of a lake.
    pub(crate) fn new(lake: &Lake, statement: &str) -> Self {
        let clock = Arc::clone(&lake.options().clock);
        Self { store: lake.object_store(), statement: statement.to_owned(), clock, used: Arc::default() }
    }

    /// The answers that are there for a model and a task.
    ///
    /// # Errors
    /// Unavailable: the store does not answer.
    pub(super) async fn open<T: Kept>(&self, handle: &LanguageHandle, task: &Task) -> Result<Finished<T>> {
        let task = serde_json::to_string(task).map_err(|error| Error::internal(error.to_string()))?;
        let settings =
            serde_json::to_string(&handle.info.settings).map_err(|error| Error::internal(error.to_string()))?;
        let parts = [&self.statement, &handle.info.hash, &settings, &task, env!("CARGO_PKG_VERSION")];
        let folder = Path::from(format!("{GENERATED}/{}", &digest(&parts).to_hex()[..32]));
        self.used.lock().insert(folder.to_string());
        let known = read(self.store.as_ref(), &folder).await?;
        Ok(Finished { store: Arc::clone(&self.store), folder, known, waiting: Mutex::default() })
    }

    /// Forgets the answers, and those that nobody came back to: the statement has committed.
    pub(crate) async fn forget(&self) {
        let used = std::mem::take(&mut *self.used.lock());
        if used.is_empty() {
            return;
        }
        let oldest_ms = self.clock.now_ms().saturating_sub(KEPT_MS);
        if let Err(error) = remove(self.store.as_ref(), &used, oldest_ms).await {
            tracing::warn!(%error, "finished answers stay behind");
        }
    }
}

/// Removes these folders, and those whose newest file is older.
async fn remove(store: &dyn ObjectStore, used: &BTreeSet<String>, oldest_ms: i64) -> Result<()> {
    let files: Vec<_> = store.list(Some(&Path::from(GENERATED))).try_collect().await.map_err(unavailable)?;
    let folder = |file: &Path| file.parts().take(2).map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
    let mut newest_ms: HashMap<String, i64> = HashMap::new();
    for file in &files {
        let newest = newest_ms.entry(folder(&file.location)).or_insert(i64::MIN);
        *newest = (*newest).max(file.last_modified.timestamp_millis());
    }
    let goes = |folder: &String| used.contains(folder) || newest_ms.get(folder).is_some_and(|at| *at < oldest_ms);
    for file in files.iter().filter(|file| goes(&folder(&file.location))) {
        match store.delete(&file.location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
    Ok(())
}

/// Each part with its length before it, so that no two lists of parts run together.
fn digest(parts: &[&(impl AsRef<str> + ?Sized)]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        let part = part.as_ref();
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize()
}

/// Answers that are known, and those that are waiting to be kept.
#[derive(Debug)]
pub(super) struct Finished<T> {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    known: HashMap<Digest, Arc<T>>,
    waiting: Mutex<Vec<(Digest, Arc<T>)>>,
}

impl<T: Kept> Finished<T> {
    /// The answer to a prompt, where it is known.
    pub(super) fn get(&self, prompt: &str) -> Option<Arc<T>> {
        if self.known.is_empty() {
            return None;
        }
        self.known.get(blake3::hash(prompt.as_bytes()).as_bytes()).cloned()
    }

    /// Keeps an answer, soon. Blocks.
    pub(super) fn add(&self, prompt: &str, answer: &Arc<T>) -> Result<()> {
        let full = {
            let mut waiting = self.waiting.lock();
            waiting.push((*blake3::hash(prompt.as_bytes()).as_bytes(), Arc::clone(answer)));
            waiting.len() >= T::ROWS_PER_FILE
        };
        if full { self.flush() } else { Ok(()) }
    }

    /// Keeps what waits. Blocks, on a thread that the runtime gave for it.
    pub(super) fn flush(&self) -> Result<()> {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        if waiting.is_empty() {
            return Ok(());
        }
        let file = self.folder.clone().join(format!("{}.arrow", uuid::Uuid::now_v7().simple()));
        let payload = PutPayload::from(encode(&waiting)?);
        Handle::current().block_on(self.store.put(&file, payload)).map(|_| ()).map_err(unavailable)
    }
}

fn encode<T: Kept>(rows: &[(Digest, Arc<T>)]) -> Result<Vec<u8>> {
    let digests = FixedSizeBinaryArray::try_from_iter(rows.iter().map(|(digest, _)| digest))?;
    let kept: Vec<Arc<T>> = rows.iter().map(|(_, row)| Arc::clone(row)).collect();
    let columns = [("prompt", Arc::new(digests) as ArrayRef)].into_iter().chain(T::columns(&kept));
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut bytes = Vec::new();
    let mut writer = FileWriter::try_new(&mut bytes, &batch.schema())?;
    writer.write(&batch)?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}

async fn read<T: Kept>(store: &dyn ObjectStore, folder: &Path) -> Result<HashMap<Digest, Arc<T>>> {
    let files: Vec<_> = store.list(Some(folder)).try_collect().await.map_err(unavailable)?;
    let mut known = HashMap::new();
    for file in files {
        let bytes = match store.get(&file.location).await {
            Ok(found) => found.bytes().await.map_err(unavailable)?,
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(unavailable(error)),
        };
        // A file that a crash cut short tells nothing; its rows are asked again.
        if let Err(error) = decode(&bytes, &mut known) {
            tracing::warn!(%error, file = %file.location, "finished answers cannot be read; their rows are made again");
        }
    }
    Ok(known)
}

fn decode<T: Kept>(bytes: &[u8], known: &mut HashMap<Digest, Arc<T>>) -> Result<()> {
    for batch in FileReader::try_new(std::io::Cursor::new(bytes), None)? {
        let wrong = || Error::new(ErrorKind::Data, "the columns are not those of finished rows");
        add(&batch?, known).ok_or_else(wrong)?;
    }
    Ok(())
}

fn add<T: Kept>(batch: &RecordBatch, known: &mut HashMap<Digest, Arc<T>>) -> Option<()> {
    let digests = batch.column_by_name("prompt")?.as_fixed_size_binary_opt()?;
    for (digest, row) in digests.iter().zip(T::rows(batch)?) {
        known.insert(Digest::try_from(digest?).ok()?, Arc::new(row));
    }
    Some(())
}

fn unavailable(error: object_store::Error) -> Error {
    let message = format!("finished answers cannot be kept beside the lake: {error}");
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::super::task::Answer;
    use super::*;
    use crate::language::Embedding;

    #[test]
    fn answers_come_back_as_they_were_kept() {
        let answer = Arc::new(Answer {
            text: Some("yes ☃".to_owned()),
            status: String::new(),
            reason: "stop".to_owned(),
            prompt_tokens: 7,
            generated_tokens: 2,
        });
        let kept = vec![(*blake3::hash(b"p").as_bytes(), Arc::clone(&answer))];
        let mut known = HashMap::new();
        decode(&encode(&kept).unwrap(), &mut known).unwrap();
        assert_eq!(known.get(blake3::hash(b"p").as_bytes()), Some(&answer));
        assert!(decode(&encode(&kept).unwrap()[..40], &mut known).is_err());
    }

    #[test]
    fn vectors_come_back_as_they_were_kept() {
        let vector = Arc::new(Embedding { values: vec![0.5, -1.0], tokens: 3, truncated: true });
        let kept = vec![(*blake3::hash(b"p").as_bytes(), Arc::clone(&vector))];
        let mut known = HashMap::new();
        decode(&encode(&kept).unwrap(), &mut known).unwrap();
        assert_eq!(known.get(blake3::hash(b"p").as_bytes()), Some(&vector));
        // Those of answers are not taken for vectors.
        assert!(decode::<Answer>(&encode(&kept).unwrap(), &mut HashMap::new()).is_err());
    }
}
