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

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_made_plain_and_urls_checked() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder.path().join("x/../a b")).await.unwrap();
    assert!(lake.root_url().as_str().ends_with("/a%20b/"), "{}", lake.root_url());
    assert!(!folder.path().join("x").exists());
    for bad in ["", "  ", "s3://", "http://host/x"] {
        let error = Lake::open(LakeOptions::new(bad)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{bad:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_storage_option_is_named() {
    for location in ["s3://bucket/lake", "s3a://bucket/lake"] {
        let mut options = LakeOptions::new(location);
        options.storage.insert("endpiont".to_owned(), "http://127.0.0.1".to_owned());
        let error = Lake::open(options).await.unwrap_err();
        assert_eq!(error.to_string(), "unknown storage option 'endpiont'; did you mean 'endpoint'?");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.unwrap();
    let refused = async |catalog: &str| {
        let mut options = LakeOptions::new(folder.path().to_str().unwrap());
        options.catalog = Some(catalog.to_owned());
        Lake::open(options).await.unwrap_err().to_string()
    };
    let error = refused("mysql://me:secret@db/lake").await;
    assert!(error.starts_with("a catalog cannot be 'mysql://'") && !error.contains("secret"), "{error}");
    let error = refused("postgres://me:secret@db:port/lake").await;
    assert!(error.starts_with("unusable catalog url: ") && !error.contains("secret"), "{error}");
}
