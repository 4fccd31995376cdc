//! DESCRIBE MODEL of a language model.

use super::LanguageHandle;
use super::create::megabytes;

/// The rows: section, name, value.
pub(crate) fn describe(handle: &LanguageHandle, versions: usize) -> Vec<(&'static str, &'static str, String)> {
    let info = &handle.info;
    let or_default = |value: Option<usize>| value.map_or_else(|| "default".to_owned(), |value| value.to_string());
    let mut rows = vec![
        ("model", "name", handle.model_name().to_string()),
        ("model", "version", format!("{} of {versions}", handle.version())),
        ("model", "type", info.kind.as_str().to_owned()),
        ("model", "source", info.source.clone()),
        ("model", "size", megabytes(info.bytes)),
        ("model", "hash", info.hash.clone()),
    ];
    rows.extend(info.details.iter().map(|(name, value)| ("model", detail(name), value.clone())));
    rows.push(("option", "context_tokens", or_default(info.settings.context_tokens)));
    rows.push(("option", "kv_cache_bytes", or_default(info.settings.cache_bytes)));
    rows.push(("option", "kv_cache_type", info.settings.cache_format.as_str().to_owned()));
    rows
}

fn detail(name: &str) -> &'static str {
    match name {
        "family" => "family",
        "layers" => "layers",
        "width" => "width",
        "context_tokens" => "context_tokens",
        "vocabulary" => "vocabulary",
        _ => "detail",
    }
}
