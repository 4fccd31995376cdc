//! Errors of the libraries below, in this crate's words.

use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use lakemill_query::Error;

#[test]
fn nested_prefixes_are_stripped() {
    let inner = DataFusionError::Execution("Something failed.".into());
    let nested = DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(inner))), None);
    assert_eq!(Error::from(nested).message(), "something failed");
    let text = "Arrow error: External error: Execution error: Something failed.";
    assert_eq!(Error::from(DataFusionError::Execution(text.into())).message(), "something failed");
    let shared = DataFusionError::Shared(Arc::new(DataFusionError::Execution("UPDATE is odd".into())));
    assert_eq!(Error::from(shared).message(), "UPDATE is odd");
}

#[test]
fn an_exhausted_pool_names_the_operator_and_what_to_do() {
    let text = "Additional allocation failed for HashJoinInput[0] with top memory consumers ..\nError: Failed to allocate \
                additional 1.2 MB for HashJoinInput[0] with 0.0 B already allocated for this reservation - 3.0 KB remain \
                available for the total memory pool: fair(pool_size: 10.0 MB)";
    let error = Error::from(DataFusionError::ResourcesExhausted(text.into()));
    assert_eq!(error.kind().as_str(), "exhausted");
    assert_eq!(
        error.message(),
        "the memory limit of 10.0 MB is too low for the build side of a hash join, which cannot spill; raise the limit with \
         --memory or SET memory_limit, or lower threads, or read fewer columns or rows"
    );
}
