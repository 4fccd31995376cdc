//! Test parts: the sqllogictest runner over every mode the engine has, and the real servers that tests start.
//!
//! Here: lakes in each mode ([`mode`]), the runner ([`slt`]) and the text it compares ([`format`]), DataFusion's
//! own files ([`upstream`]), PostgreSQL and S3 servers ([`servers`]), the examples of the documentation ([`docs`]),
//! and the `lakemill` binary and Python as processes ([`process`]).
//!
//! Deliberately not here: installing anything. `cargo xtask setup` does that; a missing part is an error that says so.
//!
//! **Architecture invariant:** whatever a test starts ends with the test, also when the test is killed.

pub mod docs;
pub mod format;
pub mod mode;
pub mod process;
pub mod servers;
pub mod slt;
pub mod upstream;

/// An error of the test parts: a sentence for the person who runs the tests.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of a test part.
pub type Result<T> = std::result::Result<T, Error>;

/// The root of the repository that cargo runs this in: checkouts may share one folder of build products, so the one
/// that this was compiled in may be another.
pub fn repository() -> std::path::PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = std::path::Path::new(&here);
    here.ancestors().nth(2).map_or_else(|| here.to_path_buf(), std::path::Path::to_path_buf)
}

/// Whether a test was asked for its quick form: nextest's default profile, rather than `full`.
pub fn quick() -> bool {
    std::env::var("NEXTEST_PROFILE").is_ok_and(|profile| profile != "full")
}
