//! What `--version` says.

/// The version with where it was built from, for bug reports.
pub(crate) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit:   ",
    env!("LAKEMILL_COMMIT"),
    "\ntarget:   ",
    env!("LAKEMILL_TARGET"),
    "\ncompiler: ",
    env!("LAKEMILL_RUSTC"),
);
