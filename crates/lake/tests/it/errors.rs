//! Errors of the libraries below, in this crate's words.

use std::io;

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;
use lakemill_base::ErrorKind;
use lakemill_lake::{Error, TableName};

use crate::support::TestLake;

#[test]
fn a_full_disk_is_found_below_wrappers() {
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let store = object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(full) };
    let error = Error::from(DeltaTableError::ObjectStore { source: store });
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(error.to_string().starts_with("the disk is full"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn own_errors_come_through_datafusion_as_they_were() {
    let lake = TestLake::new().await;
    let own = lake.lake.create_view(&TableName::new("main", "a/b"), "SELECT 1", false, false).await.unwrap_err();
    let (kind, text) = (own.kind(), own.to_string());
    let back = Error::from(DataFusionError::Context("scan".into(), Box::new(DataFusionError::from(own))));
    assert_eq!((back.kind(), back.to_string()), (kind, text));
}

#[test]
fn headings_and_full_stops_are_taken_off() {
    let error = Error::from(DataFusionError::Plan("No field named x.".into()));
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Invalid, "no field named x"));
}
