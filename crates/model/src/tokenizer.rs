//! Text to token ids and back, as Hugging Face's tokenizers do it, from tokenizer.json or GGUF's metadata.
//!
//! **Architecture invariant:** the text of a user never becomes a control token. [`Tokenizer::encode`] reads `<|im_end|>`
//! as nine ordinary characters; only [`Tokenizer::encode_with_special`], for text that the caller wrote, reads it as
//! the token, and a chat's prompt goes through [`guard`](Tokenizer::guard), which keeps the template's own tokens and
//! disarms those in the messages.

mod bytes;
mod gguf;
pub(crate) mod special;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tokenizers::{
    AddedVocabulary, Encoding, Model, OffsetType, PostProcessor, PreTokenizedString, PreTokenizer, TruncationDirection,
};

use crate::error::{Error, Result};
use bytes::TokenBytes;
use special::SpecialTexts;

/// Breaks up the text of a special token inside a message, until the template's own tokens have been found. Unicode
/// promises that this is no character (a noncharacter) and never will be one.
const GUARD: char = '\u{FDD0}';

/// A tokenizer with the special tokens of its model.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The added tokens without those that are special.
    plain: AddedVocabulary,
    bytes: TokenBytes,
    special: SpecialTexts,
    begin: Option<u32>,
    ends: Vec<u32>,
}

/// What becomes of [`GUARD`] in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guards {
    Kept,
    Removed,
}

/// The tokens with a meaning of their own, as a model's files name them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roles {
    /// The token at the beginning of a text.
    pub(crate) begin: Option<u32>,
    /// The tokens at the end of a text or a turn.
    pub(crate) ends: Vec<u32>,
}

impl Tokenizer {
    /// The tokenizer of a model's `folder`: tokenizer.json, and the files beside it that name the special tokens.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let bytes = std::fs::read(&path).map_err(|error| Error::io("cannot read", &path, error))?;
        let inner = tokenizers::Tokenizer::from_bytes(bytes)
            .map_err(|error| Error::data(format!("'{}' is no tokenizer: {error}", path.display())))?;
        let roles = special::roles(folder, &inner)?;
        Self::new(inner, roles)
    }

    /// The tokenizer of the bytes of a tokenizer.json alone. Ends of text are those that are known by name.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let inner = tokenizers::Tokenizer::from_bytes(bytes)
            .map_err(|error| Error::data(format!("the text is no tokenizer.json: {error}")))?;
        Self::new(inner, Roles::default())
    }

    /// The tokenizer that a GGUF file carries.
    pub fn from_gguf(file: &crate::gguf::Gguf) -> Result<Self> {
        let (inner, roles) = gguf::rebuild(file)?;
        Self::new(inner, roles)
    }

    pub(crate) fn new(mut inner: tokenizers::Tokenizer, roles: Roles) -> Result<Self> {
        // Lengths are the caller's business.
        inner.with_truncation(None).map_err(|error| Error::data(error.to_string()))?;
        inner.with_padding(None);
        let mut plain = inner.get_added_vocabulary().clone();
        plain.set_encode_special_tokens(true);
        let bytes = TokenBytes::new(&inner);
        let special = SpecialTexts::new(&inner);
        let mut ends: BTreeSet<u32> = roles.ends.iter().copied().collect();
        ends.extend(special::known_ends(&inner));
        let vocabulary = bytes.vocabulary() as u32;
        if let Some(wrong) = ends.iter().chain(&roles.begin).find(|id| **id >= vocabulary) {
            return Err(Error::data(format!("the special token {wrong} is beyond the vocabulary of {vocabulary}")));
        }
        Ok(Self { inner, plain, bytes, special, begin: roles.begin, ends: ends.into_iter().collect() })
    }

    /// The ids of `text`, in which nothing is special. `add_special` adds what the model's tokenizer puts around every
    /// text (a beginning, `[CLS]` and `[SEP]`).
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>> {
        let encoding = self.pieces(&self.plain, text, Guards::Kept)?;
        self.finish(encoding, add_special)
    }

    /// The ids of `text`, in which the texts of special tokens are those tokens. For text that no stranger wrote.
    pub fn encode_with_special(&self, text: &str, add_special: bool) -> Result<Vec<u32>> {
        let encoding = self.pieces(self.inner.get_added_vocabulary(), text, Guards::Kept)?;
        self.finish(encoding, add_special)
    }

    /// As `encode_with_special` with `add_special`, cut so that at most `tokens_max` ids come out, those added included.
    /// For encoders, whose texts have no turns that anybody could end.
    pub fn encode_truncated(&self, text: &str, tokens_max: usize) -> Result<Vec<u32>> {
        let mut encoding = self.pieces(self.inner.get_added_vocabulary(), text, Guards::Kept)?;
        let added = self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        encoding.truncate(tokens_max.saturating_sub(added), 0, TruncationDirection::Right);
        self.finish(encoding, true)
    }

    /// `text` with the texts of special tokens broken up, for [`Self::encode_guarded`] to mend.
    pub fn guard(&self, text: &str) -> String {
        self.special.guard(text, GUARD)
    }

    /// The ids of a prompt, in which special texts are special unless [`Self::guard`] broke them up.
    pub fn encode_guarded(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.pieces(self.inner.get_added_vocabulary(), text, Guards::Removed)?;
        self.finish(encoding, false)
    }

    /// The text of `ids`, as Hugging Face's decoder joins it. Bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        let vocabulary = self.vocabulary();
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary) {
            return Err(Error::invalid(format!("the token {id} is beyond the vocabulary of {vocabulary}")));
        }
        self.inner.decode(ids, skip_special).map_err(|error| Error::data(format!("the tokens do not decode: {error}")))
    }

    /// The bytes that the token `id` adds to a text, perhaps a part of a character; empty for an unknown id. Those of
    /// a special token are its text.
    pub fn token_bytes(&self, id: u32) -> Vec<u8> {
        self.bytes.of(id).to_vec()
    }

    /// As [`Self::token_bytes`], without a copy.
    pub fn bytes_of(&self, id: u32) -> &[u8] {
        self.bytes.of(id)
    }

    /// How many ids there are, which is the largest and one. A model may have more rows of padding.
    pub fn vocabulary(&self) -> usize {
        self.bytes.vocabulary()
    }

    /// All ids that end a text or a turn, ascending.
    pub fn end_of_text(&self) -> &[u32] {
        &self.ends
    }

    /// The id that begins a text.
    pub fn begin_of_text(&self) -> Option<u32> {
        self.begin
    }

    /// The id whose text is `token`, special or not.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token `id` as the vocabulary writes it (`Ġthe`), for people.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Whether `id` is a control token, which is never part of an answer's text.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.contains(id)
    }

    /// All control tokens, ascending.
    pub fn special_ids(&self) -> &[u32] {
        self.special.ids()
    }

    fn pieces(&self, added: &AddedVocabulary, text: &str, guards: Guards) -> Result<Encoding> {
        let mut text: PreTokenizedString = added.extract_and_normalize(self.inner.get_normalizer(), text);
        if guards == Guards::Removed {
            text.normalize(|part| part.replace(GUARD, "")).map_err(cannot_encode)?;
        }
        if let Some(splitter) = self.inner.get_pre_tokenizer() {
            splitter.pre_tokenize(&mut text).map_err(cannot_encode)?;
        }
        let model = self.inner.get_model();
        text.tokenize(|part| model.tokenize(part.get())).map_err(cannot_encode)?;
        text.into_encoding(None, 0, OffsetType::None).map_err(cannot_encode)
    }

    fn finish(&self, encoding: Encoding, add_special: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.post_process(encoding, None, add_special).map_err(cannot_encode)?;
        Ok(encoding.get_ids().to_vec())
    }
}

fn cannot_encode(error: tokenizers::Error) -> Error {
    Error::data(format!("the text cannot be split into tokens: {error}"))
}

/// A part of a tokenizer, from the JSON that tokenizer.json would have for it.
fn part<T: serde::de::DeserializeOwned>(json: Value) -> Result<T> {
    serde_json::from_value(json)
        .map_err(|error| Error::internal(format!("a part of the tokenizer is malformed: {error}")))
}
