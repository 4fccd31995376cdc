//! Where things lie: the local folder and `s3://`, as one kind of root.
//!
//! A [`Root`] is the lake's place; [`Stores`] hands out one object store for each place that is named, the lake's or
//! not, so that tables, raw files and query plans share connections.
//!
//! **Architecture invariant:** paths below the root are built here from parts that were checked; nothing else joins
//! user text to a path.

mod marker;
mod s3;
mod stores;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path as StorePath;
use object_store::prefix::PrefixStore;
use url::Url;

pub(crate) use marker::{READ_ONLY, open_root};
pub(crate) use stores::Stores;

use crate::error::{Error, Result};

/// The lake's place.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// Ends in a slash.
    pub(crate) url: Url,
    /// The folder, when it is on this machine.
    pub(crate) folder: Option<PathBuf>,
    /// The store of the whole disk or bucket.
    store: Arc<dyn ObjectStore>,
}

impl Root {
    /// The place that a location names; nothing is touched yet.
    pub(crate) fn parse(location: &str, stores: &Stores) -> Result<Self> {
        let url = folder_url(location)?;
        let store = stores.store(&url)?;
        // Without the final slash, so that a file in its place is seen as one.
        let folder = url.to_file_path().ok().filter(|_| url.scheme() == "file");
        let folder = folder.map(|folder| folder.components().collect());
        Ok(Self { url, folder, store })
    }

    /// A store whose root is the lake's place.
    pub(crate) fn scoped(&self) -> Result<Arc<dyn ObjectStore>> {
        Ok(Arc::new(PrefixStore::new(Arc::clone(&self.store), store_path(&self.url)?)))
    }

    /// The folder `relative` below the root, as a URL that ends in a slash. The parts have been checked.
    pub(crate) fn child(&self, relative: &str) -> Result<Url> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| Error::internal(format!("lake url {} has no path", self.url)))?
            .pop_if_empty()
            .extend(relative.split('/'))
            .push("");
        Ok(url)
    }
}

/// The path of a URL inside its store.
pub(crate) fn store_path(url: &Url) -> Result<StorePath> {
    StorePath::from_url_path(url.path()).map_err(|error| Error::invalid(format!("unusable url {url}: {error}")))
}

/// A folder's location as a URL that ends in a slash.
pub(crate) fn folder_url(location: &str) -> Result<Url> {
    let mut url = location_url(location)?;
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// A location as a URL: `s3://..`, `file://..` or a path, which is taken from the working folder.
pub(crate) fn location_url(location: &str) -> Result<Url> {
    if location.trim().is_empty() {
        return Err(Error::invalid("a location must not be empty"));
    }
    if let Some((scheme, _)) = location.split_once("://") {
        return match scheme {
            "s3" | "s3a" => s3::parse_url(location),
            "file" => {
                let url = Url::parse(location)
                    .map_err(|error| Error::invalid(format!("unusable location '{location}': {error}")))?;
                let path = url
                    .to_file_path()
                    .map_err(|()| Error::invalid(format!("location '{location}' is no path of this machine")))?;
                path_url(&path)
            }
            _ => Err(Error::invalid(format!(
                "location '{location}' has the scheme '{scheme}'; use a path, file:// or s3://bucket/prefix"
            ))),
        };
    }
    path_url(Path::new(location))
}

fn path_url(path: &Path) -> Result<Url> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Error::from(error).context(format_args!("cannot use path '{}'", path.display())))?;
    let clean = absolute.components().fold(PathBuf::new(), |mut clean, part| {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
        clean
    });
    Url::from_file_path(&clean).map_err(|()| Error::invalid(format!("unusable path '{}'", path.display())))
}

/// How a location is shown to people: a path for local files, otherwise the URL.
pub(crate) fn shown(url: &Url) -> String {
    match url.to_file_path() {
        Ok(path) if url.scheme() == "file" => path.display().to_string(),
        _ => url.to_string(),
    }
}
