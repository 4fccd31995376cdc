//! What the statements of a client may reach beside the lake: nothing, or the places that the server's owner named.
//!
//! Relations of the catalog are not asked: an external table that the owner made reads the owner's files.

use std::path::{Component, Path, PathBuf};

use url::Url;

use crate::error::{Error, Result};

/// Keeps statements to the lake and to places that were named.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    Remote(Url),
}

impl Confinement {
    /// To the lake, to these folders and to what lies below these URLs.
    ///
    /// # Errors
    /// Invalid: a folder that does not exist, or no URL.
    pub fn to(places: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let places = places.into_iter().map(|place| Place::parse(place.as_ref())).collect::<Result<_>>()?;
        Ok(Self { places })
    }

    /// Whether a statement may read or write here.
    ///
    /// # Errors
    /// Invalid, naming what may be reached.
    pub(crate) fn check(&self, location: &str) -> Result<()> {
        if self.places.iter().any(|place| place.holds(location)) {
            return Ok(());
        }
        let allowed = match self.places.as_slice() {
            [] => "this server lets statements read and write the lake's tables alone".to_owned(),
            places => {
                let names: Vec<String> = places.iter().map(Place::shown).collect();
                format!("this server lets statements read and write the lake and {}", names.join(", "))
            }
        };
        Err(Error::invalid(format!("'{location}' is out of reach: {allowed}; see --allow-path of lakemill serve")))
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self> {
        if let Some(path) = local(text) {
            let folder = path.canonicalize().map_err(|error| {
                Error::invalid(format!("folder '{text}' cannot be allowed to statements: {error}")).with_source(error)
            })?;
            return Ok(Self::Folder(folder));
        }
        let url = Url::parse(text).map_err(|error| Error::invalid(format!("'{text}' is no URL: {error}")))?;
        Ok(Self::Remote(url))
    }

    fn holds(&self, location: &str) -> bool {
        match (self, local(location)) {
            (Self::Folder(folder), Some(path)) => real(&path).is_some_and(|path| path.starts_with(folder)),
            (Self::Remote(allowed), None) => Url::parse(location).is_ok_and(|url| {
                let below = url.path().strip_prefix(allowed.path().trim_end_matches('/'));
                allowed.scheme() == url.scheme()
                    && allowed.host_str() == url.host_str()
                    && allowed.port() == url.port()
                    && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    && !url.path().to_ascii_lowercase().contains("%2e")
            }),
            _ => false,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => format!("'{}'", folder.display()),
            Self::Remote(url) => format!("'{url}'"),
        }
    }
}

/// The path of a location on this machine.
fn local(location: &str) -> Option<PathBuf> {
    match location.split_once("://") {
        None => Some(PathBuf::from(location)),
        Some(("file", _)) => Url::parse(location).ok()?.to_file_path().ok(),
        Some(_) => None,
    }
}

/// The path with its symbolic links followed as far as it exists. What does not exist yet, patterns included, must not
/// go up again.
fn real(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    if absolute.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let mut missing = Vec::new();
    let mut known = absolute.as_path();
    loop {
        if let Ok(mut found) = known.canonicalize() {
            found.extend(missing.into_iter().rev());
            return Some(found);
        }
        missing.push(known.file_name()?.to_owned());
        known = known.parent()?;
    }
}

#[cfg(test)]
mod tests {
    use super::Confinement;

    #[test]
    fn holds_what_lies_below_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        std::fs::create_dir_all(open.join("in")).unwrap();
        std::fs::create_dir_all(root.path().join("openly")).unwrap();
        std::os::unix::fs::symlink("/etc", open.join("out")).unwrap();
        let confinement = Confinement::to([open.to_str().unwrap(), "s3://bucket/raw/"]).unwrap();
        let path = |rest: &str| format!("{}/{rest}", root.path().display());
        for inside in
            [path("open"), path("open/in/*.csv"), path("open/new/x.csv"), format!("file://{}", path("open/a"))]
        {
            confinement.check(&inside).unwrap();
        }
        confinement.check("s3://bucket/raw").unwrap();
        confinement.check("s3://bucket/raw/2026/*.parquet").unwrap();
        let outside =
            ["openly/a.csv", "open/../openly/a", "open/in/../../openly/a", "open/out/passwd", "", "open/*/../../x"];
        for outside in outside.map(path) {
            let error = confinement.check(&outside).unwrap_err().to_string();
            assert!(error.contains("is out of reach"), "{outside}: {error}");
        }
        for outside in [
            "s3://bucket/rawer/x",
            "s3://bucket/raw/../secret",
            "s3://bucket/raw/%2e%2e/secret",
            "s3://other/raw/x",
            "http://bucket/raw/x",
            "/etc/passwd",
        ] {
            assert!(confinement.check(outside).is_err(), "{outside}");
        }
        assert!(Confinement::default().check("x.csv").is_err());
    }
}
