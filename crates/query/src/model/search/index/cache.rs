//! The segments that are loaded, within a share of the memory limit; the one used longest ago goes first.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use lakemill_base::ErrorKind;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::segment::Segment;
use crate::{Error, Result};

/// Segments that nobody uses are kept in this share of the memory limit, as a divisor.
const KEPT_SHARE: usize = 2;

/// The segments of a process that are loaded. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Segments(Arc<Inner>);

#[derive(Default)]
struct Inner {
    slots: Mutex<Vec<Slot>>,
    uses: AtomicU64,
}

/// A segment that is loaded or being loaded.
struct Slot {
    place: String,
    cell: Arc<OnceCell<Arc<Loaded>>>,
    used: u64,
}

/// A segment with the memory that it takes.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) segment: Segment,
    memory: MemoryReservation,
}

/// Where a segment is, and who loads it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The store's URL.
    pub(super) url: String,
    pub(super) path: String,
    pub(super) memory: Arc<dyn MemoryPool>,
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments").field("loaded", &self.0.slots.lock().len()).finish()
    }
}

impl Segments {
    /// A segment, loaded if it is not.
    ///
    /// # Errors
    /// Data: it is damaged. Exhausted: it does not fit into the memory limit beside what is in use. NotFound: it is gone.
    pub(super) async fn get(&self, place: &Place) -> Result<Arc<Loaded>> {
        let (key, cell) = self.slot(place);
        match cell.get_or_try_init(|| self.load(place)).await.cloned() {
            Ok(loaded) => Ok(loaded),
            Err(error) => {
                self.0.slots.lock().retain(|slot| slot.place != key || slot.cell.initialized());
                Err(error)
            }
        }
    }

    fn slot(&self, place: &Place) -> (String, Arc<OnceCell<Arc<Loaded>>>) {
        let key = format!("{}{}", place.url, place.path);
        let used = self.0.uses.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.0.slots.lock();
        if let Some(slot) = slots.iter_mut().find(|slot| slot.place == key) {
            slot.used = used;
            return (key, Arc::clone(&slot.cell));
        }
        let cell = Arc::new(OnceCell::new());
        slots.push(Slot { place: key.clone(), cell: Arc::clone(&cell), used });
        (key, cell)
    }

    async fn load(&self, place: &Place) -> Result<Arc<Loaded>> {
        let path = Path::parse(&place.path).map_err(|error| damaged(place, &error.to_string()))?;
        let found = place.store.get(&path).await.map_err(|error| unreadable(place, error))?;
        let size = usize::try_from(found.meta.size).unwrap_or(usize::MAX);
        // The bytes and the graph that is made of them are there together for a moment.
        let memory = self.make_room(place, size.saturating_mul(2))?;
        let bytes = found.bytes().await.map_err(|error| unreadable(place, error))?;
        let segment = tokio::task::spawn_blocking(move || Segment::decode(&bytes)).await;
        let segment = segment.map_err(|error| Error::internal(format!("loading a segment failed: {error}")))?;
        let segment = segment.map_err(|what| damaged(place, &what))?;
        memory.try_resize(segment.memory_bytes())?;
        Ok(Arc::new(Loaded { segment, memory }))
    }

    /// Memory for a segment, idle ones let go where it needs that.
    fn make_room(&self, place: &Place, bytes: usize) -> Result<MemoryReservation> {
        let most = match place.memory.memory_limit() {
            MemoryLimit::Finite(limit) => limit / KEPT_SHARE,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        while self.bytes().saturating_add(bytes) > most && self.unload_idle() {}
        let memory = MemoryConsumer::new("segments of vector indexes").register(&place.memory);
        loop {
            match memory.try_grow(bytes) {
                Ok(()) => return Ok(memory),
                Err(_) if self.unload_idle() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Bytes that all loaded segments take.
    fn bytes(&self) -> usize {
        let bytes = |slot: &Slot| slot.cell.get().map_or(0, |loaded| loaded.memory.size());
        self.0.slots.lock().iter().map(bytes).sum()
    }

    /// Lets go of the segment that was idle longest; false: all are in use.
    fn unload_idle(&self) -> bool {
        let mut slots = self.0.slots.lock();
        let is_idle = |slot: &Slot| slot.cell.get().is_some_and(|loaded| Arc::strong_count(loaded) == 1);
        let idle = slots.iter().enumerate().filter(|(_, slot)| is_idle(slot)).min_by_key(|(_, slot)| slot.used);
        let Some((place, _)) = idle else { return false };
        slots.remove(place);
        true
    }
}

fn damaged(place: &Place, what: &str) -> Error {
    let message = format!(
        "segment '{}' of a vector index is damaged: {what}; ALTER VECTOR INDEX .. REBUILD makes it anew",
        place.path
    );
    Error::new(ErrorKind::Data, message)
}

fn unreadable(place: &Place, error: object_store::Error) -> Error {
    let kind = match error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("segment '{}' of a vector index cannot be read: {error}", place.path)).with_source(error)
}
