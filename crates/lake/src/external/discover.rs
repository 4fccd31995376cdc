//! Which files a path, folder or glob means, and their Hive partitions.

use std::sync::Arc;

use arrow::datatypes::DataType;
use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use url::{Position, Url};

use super::options::{Format, endings_of};
use crate::error::{Error, Result};
use crate::storage::{Stores, location_url, shown, store_path};

/// Characters that make a location a pattern.
const GLOB_CHARACTERS: [char; 4] = ['*', '?', '[', '{'];

/// The folder that makes a folder a Delta table.
const DELTA_LOG: &str = "_delta_log";

/// Hive's name for NULL in a folder name.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A file with the values that its folders' names give it.
#[derive(Clone, Debug)]
pub(super) struct RawFile {
    pub(super) meta: ObjectMeta,
    /// Key and value of each `key=value` folder, in order; `None`: NULL.
    pub(super) partitions: Vec<(String, Option<String>)>,
}

/// The files that a location means.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) store: Arc<dyn ObjectStore>,
    /// As it was given.
    pub(super) location: String,
    /// The file, or the folder below which all of them lie.
    pub(super) base: Url,
    /// By path.
    pub(super) files: Vec<RawFile>,
}

impl Found {
    /// A file's place, as people write it.
    pub(super) fn shown(&self, file: &RawFile) -> String {
        self.url_of(file).map_or_else(
            |_| file.meta.location.to_string(),
            |url| match Url::parse(&url) {
                Ok(url) => shown(&url),
                Err(_) => url,
            },
        )
    }

    /// A file's URL.
    pub(super) fn url_of(&self, file: &RawFile) -> Result<String> {
        let mut url = Url::parse(&self.base[..Position::BeforePath])
            .map_err(|error| Error::internal(format!("unusable url {}: {error}", self.base)))?;
        url.path_segments_mut()
            .map_err(|()| Error::internal(format!("url {} has no path", self.base)))?
            .pop_if_empty()
            .extend(file.meta.location.parts().map(|part| part.as_ref().to_owned()));
        Ok(url.to_string())
    }

    /// The Hive partition columns: those that every file has, with the narrowest type that fits.
    pub(super) fn partition_columns(&self) -> Vec<(String, DataType)> {
        let Some(first) = self.files.first() else { return Vec::new() };
        let keys = first.partitions.iter().map(|(key, _)| key);
        let everywhere =
            keys.filter(|key| self.files.iter().all(|file| file.partitions.iter().any(|(other, _)| other == *key)));
        everywhere
            .map(|key| {
                let values = self.files.iter().filter_map(|file| file.value_of(key));
                (key.clone(), narrowest(values))
            })
            .collect()
    }
}

impl RawFile {
    /// The value of a partition column, unless it is NULL.
    pub(super) fn value_of(&self, key: &str) -> Option<&str> {
        self.partitions.iter().find(|(other, _)| other == key).and_then(|(_, value)| value.as_deref())
    }
}

fn narrowest<'a>(values: impl Iterator<Item = &'a str> + Clone) -> DataType {
    let mut any = values.clone().peekable();
    if any.peek().is_none() {
        return DataType::Utf8;
    }
    // `01` as a month is text to be shown as it is, unless all agree to be numbers without leading zeros.
    let whole = |value: &str| value.parse::<i64>().is_ok_and(|number| number.to_string() == value);
    if values.clone().all(whole) {
        return DataType::Int64;
    }
    let date = |value: &str| value.len() == 10 && value.parse::<jiff::civil::Date>().is_ok();
    if values.clone().all(date) { DataType::Date32 } else { DataType::Utf8 }
}

/// Finds the files of a location.
pub(super) async fn discover(stores: &Stores, location: &str, format: Format) -> Result<Found> {
    match location.find(GLOB_CHARACTERS) {
        Some(at) if !is_local_file(location) => by_glob(stores, location, at).await,
        _ => by_path(stores, location, format).await,
    }
}

/// A file's own name may hold glob characters.
fn is_local_file(location: &str) -> bool {
    !location.contains("://") && std::path::Path::new(location).is_file()
}

async fn by_path(stores: &Stores, location: &str, format: Format) -> Result<Found> {
    let url = location_url(location)?;
    let store = stores.store(&url)?;
    let path = store_path(&url)?;
    let says_folder = location.ends_with('/');
    if !says_folder {
        match store.head(&path).await {
            Ok(meta) => {
                let files = vec![RawFile { meta, partitions: Vec::new() }];
                return Ok(Found { store, location: location.to_owned(), base: url, files });
            }
            Err(object_store::Error::NotFound { .. }) => {}
            // A folder of the local disk is no object.
            Err(_) if url.to_file_path().is_ok_and(|path| path.is_dir()) => {}
            Err(error) => return Err(Error::from(error).context(format_args!("cannot read '{location}'"))),
        }
    }
    let listed =
        list(store.as_ref(), &path).await.map_err(|error| error.context(format_args!("cannot list '{location}'")))?;
    let is_local_folder = url.scheme() == "file" && url.to_file_path().is_ok_and(|path| path.is_dir());
    if listed.is_empty() && !is_local_folder {
        return Err(Error::not_found(format!("there is no file or folder '{location}'")));
    }
    let any = listed.len();
    let fits = |meta: &ObjectMeta| format.endings().contains(&endings_of(meta.location.as_ref()).0.as_str());
    let files: Vec<_> = listed.into_iter().filter(fits).map(|meta| with_partitions(meta, &path)).collect();
    if files.is_empty() {
        return Err(Error::not_found(format!(
            "the folder '{location}' holds no {} files ({any} others; endings: {})",
            format.shown(),
            format.endings().join(", ")
        )));
    }
    let base = crate::storage::folder_url(location)?;
    Ok(Found { store, location: location.to_owned(), base, files })
}

/// The format of the files in a folder, if the location is one that holds files of one known format.
pub(super) async fn folder_format(stores: &Stores, location: &str) -> Result<Option<Format>> {
    if location.contains(GLOB_CHARACTERS) {
        return Ok(None);
    }
    let url = location_url(location)?;
    let store = stores.store(&url)?;
    let path = store_path(&url)?;
    let log = path.clone().join(DELTA_LOG);
    if store.list(Some(&log)).try_next().await.is_ok_and(|first| first.is_some()) {
        return Ok(Some(Format::Delta));
    }
    let mut formats: Vec<Format> = Vec::new();
    for meta in list(store.as_ref(), &path).await? {
        if let Some(format) = Format::of_path(meta.location.as_ref())
            && !formats.contains(&format)
        {
            formats.push(format);
        }
    }
    match formats.as_slice() {
        [] => Ok(None),
        [format] => Ok(Some(*format)),
        [first, second, ..] => Err(Error::invalid(format!(
            "the folder '{location}' holds {} and {} files; name one format, as in read_{}('{location}')",
            first.shown(),
            second.shown(),
            first.as_str()
        ))),
    }
}

async fn by_glob(stores: &Stores, location: &str, at: usize) -> Result<Found> {
    let folder = location[..at].rfind('/').map_or("", |slash| &location[..=slash]);
    let pattern = &location[folder.len()..];
    let folder = if folder.is_empty() { "." } else { folder };
    let base = crate::storage::folder_url(folder)?;
    let store = stores.store(&base)?;
    let path = store_path(&base)?;
    let listed =
        list(store.as_ref(), &path).await.map_err(|error| error.context(format_args!("cannot list '{folder}'")))?;
    let pattern = Pattern::parse(pattern)?;
    let matches = |meta: &ObjectMeta| {
        let relative: Vec<_> = meta.location.prefix_match(&path).into_iter().flatten().collect();
        let relative: Vec<&str> = relative.iter().map(AsRef::as_ref).collect();
        pattern.matches(&relative)
    };
    let files: Vec<_> = listed.into_iter().filter(matches).map(|meta| with_partitions(meta, &path)).collect();
    if files.is_empty() {
        return Err(Error::not_found(format!("no file matches '{location}'")));
    }
    Ok(Found { store, location: location.to_owned(), base, files })
}

/// All visible files below a folder, by path. Empty ones hold nothing and are left out.
async fn list(store: &dyn ObjectStore, folder: &StorePath) -> Result<Vec<ObjectMeta>> {
    let depth = folder.parts_count();
    let mut found: Vec<ObjectMeta> = store.list(Some(folder)).try_collect().await?;
    found.retain(|meta| {
        let hidden = |part: object_store::path::PathPart<'_>| {
            part.as_ref().starts_with('.') || (part.as_ref().starts_with('_') && !part.as_ref().contains('='))
        };
        meta.size > 0 && !meta.location.parts().skip(depth).any(hidden)
    });
    found.sort_by(|left, right| left.location.cmp(&right.location));
    Ok(found)
}

fn with_partitions(meta: ObjectMeta, folder: &StorePath) -> RawFile {
    let parts: Vec<_> = meta.location.prefix_match(folder).into_iter().flatten().collect();
    let folders = &parts[..parts.len().saturating_sub(1)];
    let partitions = folders.iter().filter_map(|part| {
        let (key, value) = part.as_ref().split_once('=')?;
        let value = decode(value);
        Some((key.to_owned(), (value != HIVE_NULL && !value.is_empty()).then_some(value)))
    });
    let partitions = partitions.collect();
    RawFile { meta, partitions }
}

/// Undoes `%XX` in a folder name.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A glob: `*`, `?`, `[abc]` and `{a,b}` within a name, `**` for any folders.
#[derive(Debug)]
struct Pattern {
    /// One list of segments for each alternative of the braces.
    alternatives: Vec<Vec<Vec<char>>>,
}

impl Pattern {
    fn parse(pattern: &str) -> Result<Self> {
        let alternatives = expand_braces(pattern)?;
        let segments = |text: String| text.split('/').map(|segment| segment.chars().collect()).collect();
        Ok(Self { alternatives: alternatives.into_iter().map(segments).collect() })
    }

    fn matches(&self, path: &[&str]) -> bool {
        self.alternatives.iter().any(|segments| match_path(segments, path))
    }
}

fn expand_braces(pattern: &str) -> Result<Vec<String>> {
    let Some(open) = pattern.find('{') else { return Ok(vec![pattern.to_owned()]) };
    let close = pattern[open..]
        .find('}')
        .map(|length| open + length)
        .ok_or_else(|| Error::invalid(format!("the pattern '{pattern}' has a '{{' without a '}}'")))?;
    let tails = expand_braces(&pattern[close + 1..])?;
    let choices = pattern[open + 1..close].split(',');
    Ok(choices.flat_map(|choice| tails.iter().map(move |tail| format!("{}{choice}{tail}", &pattern[..open]))).collect())
}

fn match_path(pattern: &[Vec<char>], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        ([any, rest @ ..], _) if any.as_slice() == ['*', '*'] => {
            match_path(rest, path) || (!path.is_empty() && match_path(pattern, &path[1..]))
        }
        ([first, rest @ ..], [name, names @ ..]) => {
            match_name(first, &name.chars().collect::<Vec<_>>()) && match_path(rest, names)
        }
        _ => false,
    }
}

fn match_name(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => match_name(rest, name) || (!name.is_empty() && match_name(pattern, &name[1..])),
        (['?', rest @ ..], [_, names @ ..]) => match_name(rest, names),
        (['[', rest @ ..], [c, names @ ..]) => {
            let Some(close) = rest.iter().position(|c| *c == ']').filter(|close| *close > 0) else {
                return *c == '[' && match_name(rest, names);
            };
            in_set(&rest[..close], *c) && match_name(&rest[close + 1..], names)
        }
        ([wanted, rest @ ..], [c, names @ ..]) => wanted == c && match_name(rest, names),
        _ => false,
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let (set, negated) = match set {
        ['!' | '^', rest @ ..] => (rest, true),
        _ => (set, false),
    };
    let mut rest = set;
    let mut found = false;
    while let [first, tail @ ..] = rest {
        if let ['-', last, tail @ ..] = tail {
            found |= (*first..=*last).contains(&c);
            rest = tail;
        } else {
            found |= *first == c;
            rest = tail;
        }
    }
    found != negated
}
