//! The Hugging Face hub: its cache (`$HF_HOME`), its offline mode (`$HF_HUB_OFFLINE`), its tokens (`$HF_TOKEN`).
//!
//! The library resumes a download that broke off and renames it into place when it is whole. Large files are named by
//! their SHA-256, which is checked here.

use std::path::{Path, PathBuf};

use hf_hub::api::Progress as HubProgress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Repo, RepoType};

use super::{Progress, checksum};
use crate::error::{Error, Result};

const RETRIES: usize = 3;
/// The files beside the weights that say what the model is.
const COMPANIONS: [&str; 12] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "model.safetensors.index.json",
    "vocab.txt",
];
/// Which of several GGUF files is taken where nobody says: the best trade of size and quality first.
const PREFERRED: [&str; 6] = ["Q4_K_M", "Q4_K_S", "Q4_0", "Q4_1", "Q5_K_M", "Q8_0"];

/// What is asked of the hub.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) repository: &'a str,
    pub(super) revision: Option<&'a str>,
    pub(super) file: Option<&'a str>,
}

impl Wanted<'_> {
    fn repo(&self) -> Repo {
        let revision = self.revision.unwrap_or("main").to_owned();
        Repo::with_revision(self.repository.to_owned(), RepoType::Model, revision)
    }
}

/// The hub's cache on this machine.
pub(super) fn cache() -> hf_hub::Cache {
    hf_hub::Cache::from_env()
}

/// Whether the user forbids the network.
fn offline() -> bool {
    let value = std::env::var("HF_HUB_OFFLINE").unwrap_or_default();
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

/// The model in the cache, where all of its files are there.
pub(super) fn find(wanted: &Wanted<'_>) -> Option<PathBuf> {
    let folder = snapshot(wanted)?;
    let mut names = Vec::new();
    list_files(&folder, "", &mut names);
    let chosen = choose(wanted, &names).ok()?;
    let complete = chosen.files.iter().all(|name| folder.join(name).is_file()) && shards_are_here(&folder, &chosen);
    complete.then(|| chosen.path(&folder))
}

/// Fetches the model into the hub's cache.
pub(super) fn fetch(wanted: &Wanted<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf> {
    if offline() {
        return find(wanted).ok_or_else(|| {
            Error::unavailable(format!(
                "hf://{} is not in the cache and HF_HUB_OFFLINE forbids the network; unset it, or fetch the model first",
                wanted.repository
            ))
        });
    }
    let api = api()?;
    let repo = api.repo(wanted.repo());
    let info = repo.info().map_err(|error| explain(wanted.repository, &error))?;
    // A name of the hub never leads out of the cache.
    let names: Vec<String> =
        info.siblings.into_iter().map(|file| file.rfilename).filter(|name| is_inside(name)).collect();
    let chosen = choose(wanted, &names)?;
    let mut folder = None;
    for name in &chosen.files {
        let path = file(wanted, &repo, name, progress)?;
        let depth = name.split('/').count();
        folder = path.ancestors().nth(depth).map(Path::to_owned);
    }
    let folder = folder.ok_or_else(|| Error::not_found(format!("hf://{} has no files", wanted.repository)))?;
    Ok(chosen.path(&folder))
}

fn api() -> Result<Api> {
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.trim().is_empty());
    let mut builder = ApiBuilder::from_env().with_progress(false).with_retries(RETRIES);
    if let Some(token) = token {
        builder = builder.with_token(Some(token.trim().to_owned()));
    }
    builder.build().map_err(|error| Error::unavailable(format!("the hub's client cannot start: {error}")))
}

/// The file `name`, from the cache or the hub.
fn file(wanted: &Wanted<'_>, repo: &ApiRepo, name: &str, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf> {
    if let Some(path) = cache().repo(wanted.repo()).get(name) {
        return Ok(path);
    }
    let reporter = Reporter { name: name.to_owned(), done: 0, total: 0, progress };
    let path = repo.download_with_progress(name, reporter).map_err(|error| explain(wanted.repository, &error))?;
    check(name, &path)?;
    Ok(path)
}

/// Large files are stored under their SHA-256. A file that is not what its name says is taken away again.
fn check(name: &str, path: &Path) -> Result<()> {
    let blob = std::fs::canonicalize(path).map_err(|error| Error::io("cannot read", path, error))?;
    let sum = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    if sum.len() != 64 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    let found = checksum::of_file(&blob)?;
    if found == sum {
        return Ok(());
    }
    for wrong in [path, &blob] {
        std::fs::remove_file(wrong).map_err(|error| Error::io("cannot remove", wrong, error))?;
    }
    Err(Error::data(format!("the SHA-256 of '{name}' is {found}, not {sum}; it was removed, so fetch it again")))
}

/// The files to fetch, and which of them is the model where it is one file.
#[derive(Debug)]
struct Chosen {
    files: Vec<String>,
    single: Option<String>,
}

impl Chosen {
    fn path(&self, folder: &Path) -> PathBuf {
        match &self.single {
            Some(name) => folder.join(name),
            None => folder.to_owned(),
        }
    }
}

fn choose(wanted: &Wanted<'_>, names: &[String]) -> Result<Chosen> {
    if let Some(file) = wanted.file {
        if !names.iter().any(|name| name == file) {
            return Err(Error::not_found(format!("hf://{} has no file '{file}'", wanted.repository)));
        }
        return Ok(gguf(file, names));
    }
    let weights: Vec<&String> =
        names.iter().filter(|name| name.ends_with(".safetensors") && !name.contains('/')).collect();
    if !weights.is_empty() && names.iter().any(|name| name == "config.json") {
        let companions = COMPANIONS.iter().filter(|known| names.iter().any(|name| name == *known));
        let mut files: Vec<String> = companions.map(|name| (*name).to_owned()).collect();
        let single = weights.iter().find(|name| **name == "model.safetensors");
        files.extend(
            single.map_or_else(|| weights.iter().map(|name| (*name).clone()).collect(), |name| vec![(*name).clone()]),
        );
        return Ok(Chosen { files, single: None });
    }
    let ggufs: Vec<&String> = names.iter().filter(|name| name.ends_with(".gguf") && is_first(name)).collect();
    let preferred = || PREFERRED.iter().find_map(|kind| ggufs.iter().find(|name| name.to_uppercase().contains(kind)));
    match (ggufs.as_slice(), preferred()) {
        ([], _) => Err(Error::invalid(format!(
            "hf://{} has neither safetensors with config.json nor a GGUF file",
            wanted.repository
        ))),
        ([only], _) => Ok(gguf(only, names)),
        (_, Some(name)) => Ok(gguf(name, names)),
        (several, None) => Err(Error::invalid(format!(
            "hf://{} has {} GGUF files; name one, such as hf://{}/{}",
            wanted.repository,
            several.len(),
            wanted.repository,
            several[0]
        ))),
    }
}

/// A GGUF file with the parts that follow it.
fn gguf(name: &str, names: &[String]) -> Chosen {
    let mut files = vec![name.to_owned()];
    if let Some((stem, parts)) = name.split_once("-00001-of-") {
        let prefix = format!("{stem}-");
        let suffix = format!("-of-{parts}");
        files.extend(
            names
                .iter()
                .filter(|other| other.starts_with(&prefix) && other.ends_with(&suffix) && *other != name)
                .cloned(),
        );
    }
    Chosen { files, single: Some(name.to_owned()) }
}

fn is_first(name: &str) -> bool {
    !name.contains("-of-") || name.contains("-00001-of-")
}

/// Whether every file that the index of a sharded model names is in `folder`.
fn shards_are_here(folder: &Path, chosen: &Chosen) -> bool {
    if chosen.single.is_some() {
        return true;
    }
    let Ok(text) = std::fs::read(folder.join("model.safetensors.index.json")) else { return true };
    let Ok(index) = serde_json::from_slice::<serde_json::Value>(&text) else { return false };
    let shards = index.get("weight_map").and_then(|map| map.as_object());
    shards.is_some_and(|map| map.values().filter_map(|name| name.as_str()).all(|name| folder.join(name).is_file()))
}

fn snapshot(wanted: &Wanted<'_>) -> Option<PathBuf> {
    let repo = wanted.repo();
    let folder = cache().path().join(repo.folder_name());
    let revision = wanted.revision.unwrap_or("main");
    let commit = match std::fs::read_to_string(folder.join("refs").join(revision)) {
        Ok(commit) => commit.trim().to_owned(),
        Err(_) => revision.to_owned(),
    };
    Some(folder.join("snapshots").join(commit)).filter(|folder| folder.is_dir())
}

/// The files below `folder`, as paths with slashes. Two levels are enough for any model.
fn list_files(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().map(|name| format!("{prefix}{name}")) else { continue };
        if entry.path().is_dir() {
            if prefix.is_empty() {
                list_files(&entry.path(), &format!("{name}/"), names);
            }
        } else {
            names.push(name);
        }
    }
}

fn is_inside(name: &str) -> bool {
    name.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && !part.contains('\\'))
}

fn explain(repository: &str, error: &ApiError) -> Error {
    let text = error.to_string();
    let status = text.split_once("http status: ").map(|(_, rest)| rest.get(..3).unwrap_or_default());
    match status {
        Some("401" | "403") => Error::invalid(format!(
            "the hub does not show hf://{repository}: there is no such model, or it asks for a login; set HF_TOKEN"
        )),
        Some("404") => Error::not_found(format!("the hub has no hf://{repository}, or not this revision or file")),
        Some("429") => Error::unavailable("the hub answers too many requests at once; try again later"),
        _ => Error::unavailable(format!(
            "the hub cannot be reached for hf://{repository} ({text}); check the connection, or name a model that is \
             here already"
        )),
    }
}

struct Reporter<'a> {
    name: String,
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl Reporter<'_> {
    fn report(&mut self) {
        (self.progress)(Progress { file: &self.name, bytes_done: self.done, bytes_total: Some(self.total) });
    }
}

impl HubProgress for Reporter<'_> {
    fn init(&mut self, size: usize, _filename: &str) {
        self.total = size as u64;
        self.done = 0;
        self.report();
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.report();
    }

    fn finish(&mut self) {
        self.done = self.total;
        self.report();
    }
}

#[cfg(test)]
mod tests {
    use super::{Wanted, choose, is_inside};

    fn names(files: &[&str]) -> Vec<String> {
        files.iter().map(|file| (*file).to_owned()).collect()
    }

    const ANY: Wanted<'_> = Wanted { repository: "a/b", revision: None, file: None };

    #[test]
    fn weights_are_chosen_with_what_describes_them() {
        let files = names(&["README.md", "config.json", "tokenizer.json", "model.safetensors", "onnx/model.onnx"]);
        let chosen = choose(&ANY, &files).unwrap();
        assert_eq!(chosen.files, ["config.json", "tokenizer.json", "model.safetensors"]);
        assert_eq!(chosen.single, None);
    }

    #[test]
    fn of_several_quantisations_the_usual_is_chosen() {
        let files = names(&["m-Q8_0.gguf", "m-q4_k_m.gguf", "m-Q2_K.gguf"]);
        assert_eq!(choose(&ANY, &files).unwrap().single.as_deref(), Some("m-q4_k_m.gguf"));
        assert!(choose(&ANY, &names(&["a-Q2_K.gguf", "b-Q3_K_S.gguf"])).is_err());
    }

    #[test]
    fn a_file_in_parts_comes_whole() {
        let files = names(&["m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "n-00002-of-00002.gguf"]);
        assert_eq!(choose(&ANY, &files).unwrap().files, ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]);
    }

    #[test]
    fn names_stay_inside() {
        assert!(is_inside("1_Pooling/config.json"));
        assert!(!is_inside("../x") && !is_inside("/etc/passwd") && !is_inside("a//b") && !is_inside(""));
    }
}
