//! Which tokens are special: what begins and ends a text, and how their texts are disarmed in a user's.

use std::path::Path;

use serde_json::Value;

use super::Roles;
use crate::error::{Error, Result};

/// Tokens that end a text or a turn wherever a vocabulary has them as control tokens. Files often name but one.
const ENDS: [&str; 10] = [
    "<|endoftext|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<eos>",
    "</s>",
];

/// The control tokens and their texts.
#[derive(Debug)]
pub(super) struct SpecialTexts {
    ids: Vec<u32>,
    /// Longest first, so that a text that contains another is found whole.
    texts: Vec<String>,
}

impl SpecialTexts {
    pub(super) fn new(tokenizer: &tokenizers::Tokenizer) -> Self {
        let added = tokenizer.get_added_tokens_decoder();
        let special = added.iter().filter(|(_, token)| token.special && !token.content.is_empty());
        let (mut ids, mut texts): (Vec<u32>, Vec<String>) =
            special.map(|(id, token)| (*id, token.content.clone())).unzip();
        ids.sort_unstable();
        texts.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Self { ids, texts }
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// `text` with `guard` after the first character of every special text, and without any other `guard`.
    pub(super) fn guard(&self, text: &str, guard: char) -> String {
        let text = if text.contains(guard) { text.replace(guard, "") } else { text.to_owned() };
        let mut guarded = String::with_capacity(text.len());
        for (place, letter) in text.char_indices() {
            guarded.push(letter);
            if self.texts.iter().any(|special| text[place..].starts_with(special.as_str())) {
                guarded.push(guard);
            }
        }
        guarded
    }
}

/// The control tokens that end a text by their names.
pub(super) fn known_ends(tokenizer: &tokenizers::Tokenizer) -> Vec<u32> {
    let added = tokenizer.get_added_tokens_decoder();
    added
        .iter()
        .filter(|(_, token)| token.special && ENDS.contains(&token.content.as_str()))
        .map(|(id, _)| *id)
        .collect()
}

/// The special tokens that the files of `folder` name: generation_config.json, config.json, tokenizer_config.json.
pub(super) fn roles(folder: &Path, tokenizer: &tokenizers::Tokenizer) -> Result<Roles> {
    let mut roles = Roles::default();
    for name in ["generation_config.json", "config.json"] {
        let Some(config) = read_json(&folder.join(name))? else { continue };
        roles.begin = roles.begin.or_else(|| config.get("bos_token_id").and_then(id));
        match config.get("eos_token_id") {
            Some(Value::Array(ids)) => roles.ends.extend(ids.iter().filter_map(id)),
            Some(one) => roles.ends.extend(id(one)),
            None => {}
        }
    }
    if let Some(config) = read_json(&folder.join("tokenizer_config.json"))? {
        let of = |name: &str| token_text(config.get(name)?).and_then(|text| tokenizer.token_to_id(&text));
        roles.begin = of("bos_token").or(roles.begin);
        roles.ends.extend(of("eos_token"));
    }
    // Models whose embedding has no such row name ids that their tokenizer lacks.
    let known = |id: &u32| tokenizer.id_to_token(*id).is_some();
    roles.begin = roles.begin.filter(known);
    roles.ends.retain(known);
    Ok(roles)
}

/// The text of a token, which files write alone or in an object.
pub(crate) fn token_text(value: &Value) -> Option<String> {
    let text = value.as_str().or_else(|| value.get("content").and_then(Value::as_str));
    text.map(str::to_owned)
}

/// The JSON of `path`, where there is such a file.
pub(crate) fn read_json(path: &Path) -> Result<Option<Value>> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| Error::data(format!("'{}' is not JSON: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", path, error)),
    }
}

fn id(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}
