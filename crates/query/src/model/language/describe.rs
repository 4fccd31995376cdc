//! DESCRIBE MODEL of a language model.

use super::LanguageHandle;
use super::create::megabytes;

/// The rows: section, name, value.
pub(crate) fn describe(handle: &LanguageHandle, versions: usize) -> Vec<(&'static str, String, String)> {
    let info = &handle.info;
    let or_default = |value: Option<usize>| value.map_or_else(|| "default".to_owned(), |value| value.to_string());
    let about = [
        ("name", handle.model_name().to_string()),
        ("version", format!("{} of {versions}", handle.version())),
        ("type", info.kind.as_str().to_owned()),
        ("source", info.source.clone()),
        ("size", megabytes(info.bytes)),
        ("hash", info.hash.clone()),
    ];
    let options = [
        ("context_tokens", or_default(info.settings.context_tokens)),
        ("kv_cache_bytes", or_default(info.settings.cache_bytes)),
        ("kv_cache_type", info.settings.cache_format.as_str().to_owned()),
    ];
    let named = |(name, value): (&str, String)| ("model", name.to_owned(), value);
    let details = info.details.iter().map(|(name, value)| ("model", name.clone(), value.clone()));
    let options = options.map(|(name, value)| ("option", name.to_owned(), value));
    about.map(named).into_iter().chain(details).chain(options).collect()
}
