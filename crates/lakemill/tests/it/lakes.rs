//! Lakes that are not there, are something else, or cannot be used.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Finished, Place};

#[test]
fn looking_makes_no_lake() {
    let place = Place::new();
    place.sql("SELECT 1", &[]).ok();
    assert!(!place.path("lake").exists(), "a query makes no lake");
    for command in ["tables", "models"] {
        Finished::of(&mut place.lakemill(&[command])).fails(3, "there is no lake at");
    }
    assert!(!place.path("lake").exists());
}

#[test]
fn the_first_change_makes_the_lake() {
    let place = Place::new();
    let script =
        "SELECT 1 AS a; SET datafusion.execution.batch_size = 512; CREATE TABLE t AS SELECT 2 AS b; SELECT b FROM t;";
    let out = place.sql(script, &["--format", "csv", "--quiet"]).ok();
    assert_eq!(out.stdout, "a\n1\nb\n2\n");
    assert_eq!(place.value("SELECT b FROM t"), "2");
}

#[test]
fn a_missing_table_in_a_missing_lake() {
    let place = Place::new();
    place.sql("SELECT * FROM t", &[]).fails(3, "t");
    assert!(!place.path("lake").exists());
}

#[test]
fn a_folder_that_holds_something_else_is_left_alone() {
    let place = Place::new();
    place.write("lake/thesis.txt", "years of work");
    place.sql("CREATE TABLE t AS SELECT 1 AS a", &[]).fails(2, "is no lake");
    assert_eq!(std::fs::read_dir(place.path("lake")).unwrap().count(), 1);
}

#[test]
fn a_file_is_no_lake() {
    let place = Place::new();
    place.write("lake", "text");
    place.sql("SELECT 1", &[]).fails(2, "is a file, not a folder");
}

#[test]
fn a_lake_from_a_newer_version() {
    let place = Place::new();
    place.sql("CREATE TABLE t AS SELECT 1 AS a", &[]).ok();
    place.write("lake/lakemill.json", r#"{"format": "lakemill", "format_version": 99}"#);
    place.sql("SELECT * FROM t", &[]).fails(2, "newer");
}

#[tokio::test]
async fn a_catalog_from_a_newer_version() {
    let place = Place::new();
    place.sql("CREATE TABLE t AS SELECT 1 AS a", &[]).ok();
    sqlx::any::install_default_drivers();
    let catalog = format!("sqlite://{}", place.path("lake/catalog.db").display());
    let pool = sqlx::AnyPool::connect(&catalog).await.unwrap();
    sqlx::query("UPDATE lakemill_catalog SET value = 42 WHERE name = 'schema_version'").execute(&pool).await.unwrap();
    pool.close().await;
    for command in [&["sql", "-c", "SELECT * FROM t"][..], &["tables"], &["models"]] {
        let out = Finished::of(&mut place.lakemill(command));
        out.fails(2, "catalog.db' has schema version 42, and this lakemill knows up to 3; use a newer lakemill");
    }
}

#[test]
fn a_folder_that_cannot_be_written() {
    let place = Place::new();
    place.sql("CREATE TABLE t AS SELECT 1 AS a", &[]).ok();
    let folder = place.path("lake");
    let set = |mode| std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    let writable = std::fs::write(folder.join("probe"), "").is_ok();
    let out = place.sql("CREATE TABLE u AS SELECT 1 AS a", &[]);
    set(0o755);
    // The superuser may write everywhere; for everyone else it is an error that names the folder.
    if !writable {
        assert!(out.code != Some(0) && out.stderr.contains("lake"), "{out:?}");
    }
}
