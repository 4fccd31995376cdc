//! Writes down what the binary is built from, for `lakemill --version`.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let branch = output("git", &["symbolic-ref", "-q", "HEAD"]);
    for reference in ["HEAD"].into_iter().chain(branch.as_deref()) {
        // A packed reference has no file of its own; cargo would take a missing file for a changed one.
        if let Some(path) = output("git", &["rev-parse", "--git-path", reference])
            && let Ok(path) = std::path::absolute(path)
            && path.exists()
        {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    let commit = output("git", &["log", "-1", "--format=%h %cs"]).unwrap_or_else(|| "unknown".into());
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".into());
    let rustc = std::env::var("RUSTC").ok().and_then(|rustc| output(&rustc, &["--version"]));
    println!("cargo:rustc-env=LAKEMILL_COMMIT={commit}");
    println!("cargo:rustc-env=LAKEMILL_TARGET={target}");
    println!("cargo:rustc-env=LAKEMILL_RUSTC={}", rustc.unwrap_or_else(|| "unknown".into()));
}

/// What a command prints, or `None` where it is missing or fails (a source archive has no git).
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|o| o.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
