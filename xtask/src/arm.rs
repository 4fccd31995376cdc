//! `cargo xtask arm`: the kernels' tests as 64-bit Arm, in an emulator.
//!
//! The processors that tests run on have AVX2 or AVX-512; what kernels do with NEON shows here. The emulated processor has
//! products of bytes, and the level without them is tested beside.

use anyhow::{Context, Result, bail};

use crate::setup;
use crate::shell::{self, cargo, command, works};

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Arm's C library, as Debian's cross compiler brings it.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";

/// Sets up the emulator and the compiler, and runs the tests.
pub(crate) fn run() -> Result<()> {
    setup::debian("qemu-aarch64-static", "qemu-user-static")?;
    setup::debian("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")?;
    setup::debian_file(&format!("{LIBRARIES}/lib/libc.so"), "libc6-dev-arm64-cross")?;
    target()?;
    let mut tests = cargo();
    tests.args(["nextest", "run", "--release", "--target", TARGET, "--package", "lakemill-kernels"]);
    tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", format!("qemu-aarch64-static -L {LIBRARIES}"));
    shell::run(&mut tests)
}

/// Rust's own library for the processor.
fn target() -> Result<()> {
    if !works(command("rustup").arg("--version")) {
        bail!("rustup is missing, which adds Rust's library for {TARGET}; see https://rustup.rs");
    }
    let added = shell::run(command("rustup").args(["target", "add", TARGET]));
    added.with_context(|| format!("Rust's library for {TARGET} is missing; rustup target add {TARGET}"))
}
