//! The marker file that makes a folder a lake.
//!
//! `lakemill.json` is the first file of a new lake and holds the format version. It is created if absent, so two
//! processes that open the same new lake agree. A folder that holds something else is never touched.

use std::io::ErrorKind;

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};

use super::{Root, shown};
use crate::error::{Error, Result};

/// The marker's file name.
const MARKER_NAME: &str = "lakemill.json";

/// What this build writes, and the newest that it reads.
const FORMAT_VERSION: u32 = 1;

/// Created and removed to learn whether the folder can be written.
const PROBE_NAME: &str = ".lakemill-probe";

/// Why a change is refused.
pub(crate) const READ_ONLY: &str =
    "the lake is read-only: it was opened so, or its folder cannot be written; give write permission to change it";

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: String,
    format_version: u32,
}

/// Makes sure that the root is a lake that this build may open, and makes it one if it is empty. Gives whether it can
/// only be read: as asked, or because the folder of a lake that is there refuses writes.
pub(crate) async fn open_root(root: &Root, read_only: bool) -> Result<bool> {
    if let Some(folder) = &root.folder {
        match std::fs::metadata(folder) {
            Ok(found) if !found.is_dir() => {
                return Err(Error::invalid(format!("lake path '{}' is a file, not a folder", folder.display())));
            }
            Ok(_) => {}
            Err(_) if read_only => {
                return Err(Error::not_found(format!("there is no lake at '{}'", folder.display())));
            }
            Err(_) => std::fs::create_dir_all(folder).map_err(|error| {
                Error::from(error).context(format_args!("cannot make the lake folder '{}'", folder.display()))
            })?,
        }
    }
    let store = root.scoped()?;
    let place = shown(&root.url);
    let marker = StorePath::from(MARKER_NAME);
    let found = match store.get(&marker).await {
        Ok(found) => Some(found.bytes().await?),
        Err(object_store::Error::NotFound { .. }) => None,
        Err(error) => return Err(Error::from(error).context(format_args!("cannot open the lake at '{place}'"))),
    };
    match found {
        Some(found) => {
            check(&found, &place)?;
            Ok(read_only || !writable(root)?)
        }
        None if read_only => Err(Error::not_found(format!("there is no lake at '{place}'"))),
        None => create(store.as_ref(), &marker, &place).await.map(|()| false),
    }
}

fn check(found: &Bytes, place: &str) -> Result<()> {
    let marker: Marker = serde_json::from_slice(found)
        .map_err(|error| Error::data(format!("'{MARKER_NAME}' in '{place}' is not a lake's marker: {error}")))?;
    if marker.format != "lakemill" {
        return Err(Error::invalid(format!("'{place}' holds a '{}', not a lake", marker.format)));
    }
    if marker.format_version > FORMAT_VERSION {
        return Err(Error::invalid(format!(
            "the lake at '{place}' has format version {}, and this lakemill reads up to {FORMAT_VERSION}; use a newer \
             lakemill",
            marker.format_version
        )));
    }
    Ok(())
}

async fn create(store: &dyn ObjectStore, marker: &StorePath, place: &str) -> Result<()> {
    let mut listing = store.list(None);
    while let Some(found) = listing.next().await {
        let found = found.map_err(|error| Error::from(error).context(format_args!("cannot list '{place}'")))?;
        let name = found.location.parts().next().map(|part| part.as_ref().to_owned()).unwrap_or_default();
        // Another process may be creating the same lake at this moment.
        if !name.starts_with(MARKER_NAME) && name != PROBE_NAME && !name.starts_with("catalog.db") {
            return Err(Error::invalid(format!(
                "'{place}' is not empty and is no lake (it holds '{name}' and no {MARKER_NAME}); give an empty or new \
                 folder"
            )));
        }
    }
    let marker_file = Marker { format: "lakemill".into(), format_version: FORMAT_VERSION };
    let contents = serde_json::to_vec_pretty(&marker_file)?;
    let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match store.put_opts(marker, contents.into(), create).await {
        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(Error::from(error).context(format_args!("cannot make a lake at '{place}'"))),
    }
}

/// Learns early whether the folder can be written: one on a read-only disk, or of another user, may be read all the same.
fn writable(root: &Root) -> Result<bool> {
    let Some(folder) = &root.folder else { return Ok(true) };
    let probe = folder.join(PROBE_NAME);
    match std::fs::File::create(&probe) {
        Ok(_) => {
            // Another process may have removed it already.
            let _ = std::fs::remove_file(&probe);
            Ok(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => Ok(false),
        Err(error) => {
            Err(Error::from(error).context(format_args!("the lake folder '{}' cannot be written", folder.display())))
        }
    }
}
