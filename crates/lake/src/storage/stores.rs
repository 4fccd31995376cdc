//! One object store for each disk or bucket that is named.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::error::Result as DataFusionResult;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use parking_lot::RwLock;
use url::{Position, Url};

use super::s3;
use crate::error::{Error, Result};

/// Object stores by scheme and host, made when first named.
#[derive(Debug)]
pub(crate) struct Stores {
    options: BTreeMap<String, String>,
    by_place: RwLock<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Stores {
    /// A registry that opens buckets with these storage options.
    pub(crate) fn new(options: BTreeMap<String, String>) -> Self {
        Self { options, by_place: RwLock::default() }
    }

    /// The store of a URL's disk or bucket.
    pub(crate) fn store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let place = place_of(url);
        if let Some(store) = self.by_place.read().get(&place) {
            return Ok(Arc::clone(store));
        }
        let store: Arc<dyn ObjectStore> = match (url.scheme(), url.host_str()) {
            ("file", _) => Arc::new(LocalFileSystem::new()),
            ("s3", Some(bucket)) => s3::bucket_store(bucket, &self.options)?,
            _ => return Err(Error::invalid(format!("no store knows {url}; use a path or s3://bucket/prefix"))),
        };
        Ok(Arc::clone(self.by_place.write().entry(place).or_insert(store)))
    }
}

fn place_of(url: &Url) -> String {
    url[..Position::AfterPort].to_owned()
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.by_place.write().insert(place_of(url), store)
    }

    fn get_store(&self, url: &Url) -> DataFusionResult<Arc<dyn ObjectStore>> {
        self.store(url).map_err(Into::into)
    }
}
