//! The files of a change that is not committed yet: where it fails, none of them stays behind.
//!
//! Without this a full disk would stay full: what was written before the error would wait for VACUUM, and the next
//! small change would find no room either.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::logstore::ObjectStoreRef;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use parking_lot::Mutex;

/// A store that remembers what was written through it.
#[derive(Debug)]
pub(super) struct Draft {
    store: ObjectStoreRef,
    begun: Mutex<Vec<Begun>>,
}

/// An object that was begun, perhaps ended.
#[derive(Debug)]
struct Begun {
    location: Path,
    upload: Option<SharedUpload>,
}

/// An upload in parts, until it ends.
type SharedUpload = Arc<Mutex<Option<Box<dyn MultipartUpload>>>>;

impl Draft {
    pub(super) fn new(store: ObjectStoreRef) -> Self {
        Self { store, begun: Mutex::default() }
    }

    /// Removes everything that was written; whoever writes must have stopped.
    pub(super) async fn discard(&self) {
        let begun = std::mem::take(&mut *self.begun.lock());
        for Begun { location, upload } in begun {
            let open = upload.and_then(|upload| upload.lock().take());
            let gone = match open {
                Some(mut upload) => upload.abort().await,
                None => self.store.delete(&location).await,
            };
            match gone {
                Ok(()) | Err(Error::NotFound { .. }) => (),
                Err(error) => tracing::warn!(%location, %error, "a file of a failed change stays until VACUUM"),
            }
        }
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "draft on {}", self.store)
    }
}

#[async_trait]
impl ObjectStore for Draft {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.begun.lock().push(Begun { location: location.clone(), upload: None });
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.store.put_multipart_opts(location, options).await?;
        let upload: SharedUpload = Arc::new(Mutex::new(Some(upload)));
        self.begun.lock().push(Begun { location: location.clone(), upload: Some(Arc::clone(&upload)) });
        Ok(Box::new(DraftUpload(upload)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// An upload that the draft can end, too.
#[derive(Debug)]
struct DraftUpload(SharedUpload);

#[async_trait]
impl MultipartUpload for DraftUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match &mut *self.0.lock() {
            Some(upload) => upload.put_part(data),
            None => Box::pin(std::future::ready(Err(ended()))),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let taken = self.0.lock().take();
        let mut upload = taken.ok_or_else(ended)?;
        let completed = upload.complete().await;
        if completed.is_err() {
            *self.0.lock() = Some(upload);
        }
        completed
    }

    async fn abort(&mut self) -> Result<()> {
        let taken = self.0.lock().take();
        taken.ok_or_else(ended)?.abort().await
    }
}

fn ended() -> Error {
    Error::Generic { store: "draft", source: "the upload has ended".into() }
}
