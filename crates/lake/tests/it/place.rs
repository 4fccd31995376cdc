//! Opening a lake: what is refused, and how it is said.

use lakemill_base::ErrorKind;
use lakemill_lake::{Lake, LakeOptions};

async fn open(path: &std::path::Path) -> Result<Lake, lakemill_lake::Error> {
    Lake::open(LakeOptions::new(path.to_str().unwrap())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn makes_and_reopens() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder.path().join("new/lake")).await.unwrap();
    assert_eq!(lake.namespaces().await.unwrap(), ["main"]);
    drop(lake);
    open(&folder.path().join("new/lake")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_is_something_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), b"x").unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("is not empty and is no lake (it holds 'thesis.txt' and no lakemill.json)"),
        "{error}"
    );
    let error = open(&folder.path().join("thesis.txt")).await.unwrap_err();
    assert!(error.to_string().ends_with("is a file, not a folder"), "{error}");
    let error = Lake::open(LakeOptions::new("gs://bucket/x")).await.unwrap_err();
    assert!(error.to_string().contains("has the scheme 'gs'"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_newer_format() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lakemill.json"), br#"{"format":"lakemill","format_version":9}"#).unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("has format version 9, and this lakemill reads up to 1"), "{error}");
    std::fs::write(folder.path().join("lakemill.json"), b"{").unwrap();
    assert_eq!(open(folder.path()).await.unwrap_err().kind(), ErrorKind::Data);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_lake_refuses_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = LakeOptions::new(folder.path().to_str().unwrap());
    options.read_only = true;
    assert_eq!(Lake::open(options.clone()).await.unwrap_err().kind(), ErrorKind::NotFound);
    open(folder.path()).await.unwrap();
    let lake = Lake::open(options).await.unwrap();
    let error = lake.create_namespace("raw", false).await.unwrap_err();
    assert!(error.to_string().starts_with("the lake is read-only"), "{error}");
    assert_eq!(lake.namespaces().await.unwrap(), ["main"]);
}
