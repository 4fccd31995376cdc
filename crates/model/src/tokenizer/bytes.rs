//! The bytes of each token, in one table: for streams, which show whole characters, and for constrained decoding.

use serde_json::Value;
use tokenizers::DecoderWrapper;

/// What SentencePiece writes for a space.
const SPACE: char = '\u{2581}';

/// The bytes of all tokens, one after another.
#[derive(Debug)]
pub(super) struct TokenBytes {
    bytes: Vec<u8>,
    /// Where each token begins, and the end of the last.
    starts: Vec<u32>,
}

/// How a vocabulary writes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// GPT-2's: every byte is a character.
    ByteLevel,
    /// SentencePiece's: `▁` is a space, `<0x0A>` a byte.
    SentencePiece,
    /// BERT's: `##` continues a word, all else begins one.
    WordPiece,
    Plain,
}

impl TokenBytes {
    pub(super) fn new(tokenizer: &tokenizers::Tokenizer) -> Self {
        let vocabulary = tokenizer.get_vocab(true);
        let count = vocabulary.values().max().map_or(0, |most| *most as usize + 1);
        let mut texts: Vec<Option<&str>> = vec![None; count];
        for (text, id) in &vocabulary {
            texts[*id as usize] = Some(text);
        }
        let added = tokenizer.get_added_tokens_decoder();
        let writing = Writing::of(tokenizer);
        let letters = byte_letters();
        let mut table = Self { bytes: Vec::new(), starts: vec![0] };
        for (id, text) in texts.into_iter().enumerate() {
            match (added.get(&(id as u32)), text) {
                (Some(token), _) => table.bytes.extend_from_slice(token.content.as_bytes()),
                (None, Some(text)) => writing.read(text, &letters, &mut table.bytes),
                (None, None) => {}
            }
            // A vocabulary of 4 GiB of text would not have been read.
            table.starts.push(u32::try_from(table.bytes.len()).unwrap_or(u32::MAX));
        }
        table
    }

    pub(super) fn vocabulary(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn of(&self, id: u32) -> &[u8] {
        let id = id as usize;
        match (self.starts.get(id), self.starts.get(id + 1)) {
            (Some(start), Some(end)) => &self.bytes[*start as usize..*end as usize],
            _ => &[],
        }
    }
}

impl Writing {
    fn of(tokenizer: &tokenizers::Tokenizer) -> Self {
        let decoder = tokenizer.get_decoder().and_then(|decoder: &DecoderWrapper| serde_json::to_value(decoder).ok());
        let mut kinds = Vec::new();
        if let Some(decoder) = &decoder {
            collect_kinds(decoder, &mut kinds);
        }
        if kinds.contains(&"ByteLevel") {
            Self::ByteLevel
        } else if kinds.contains(&"ByteFallback") || kinds.contains(&"Metaspace") {
            Self::SentencePiece
        } else if kinds.contains(&"WordPiece") {
            Self::WordPiece
        } else {
            Self::Plain
        }
    }

    fn read(self, text: &str, letters: &Letters, out: &mut Vec<u8>) {
        match self {
            Self::ByteLevel => match text.chars().map(|letter| letters.byte(letter)).collect::<Option<Vec<u8>>>() {
                Some(bytes) => out.extend(bytes),
                // No token of this writing: it stands for itself.
                None => out.extend_from_slice(text.as_bytes()),
            },
            Self::SentencePiece => match byte_token(text) {
                Some(byte) => out.push(byte),
                None => out.extend_from_slice(text.replace(SPACE, " ").as_bytes()),
            },
            Self::WordPiece => match text.strip_prefix("##") {
                Some(rest) => out.extend_from_slice(rest.as_bytes()),
                None => out.extend_from_slice(format!(" {text}").as_bytes()),
            },
            Self::Plain => out.extend_from_slice(text.as_bytes()),
        }
    }
}

/// The kinds of a decoder, which may be a sequence of others.
fn collect_kinds<'a>(decoder: &'a Value, kinds: &mut Vec<&'a str>) {
    if let Some(kind) = decoder.get("type").and_then(Value::as_str) {
        kinds.push(kind);
    }
    for part in decoder.get("decoders").and_then(Value::as_array).into_iter().flatten() {
        collect_kinds(part, kinds);
    }
}

/// The byte of `<0x0A>`.
fn byte_token(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let two_digits = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if two_digits { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// GPT-2's letters of bytes: printable bytes stand for themselves, the others for U+0100 and what follows.
struct Letters(Vec<(char, u8)>);

impl Letters {
    fn byte(&self, letter: char) -> Option<u8> {
        let place = self.0.binary_search_by_key(&letter, |(known, _)| *known).ok()?;
        Some(self.0[place].1)
    }
}

fn byte_letters() -> Letters {
    let mut letters = Vec::with_capacity(256);
    let mut next = 0x100;
    for byte in 0..=u8::MAX {
        if matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF) {
            letters.push((char::from(byte), byte));
        } else {
            letters.push((char::from_u32(next).unwrap_or(char::REPLACEMENT_CHARACTER), byte));
            next += 1;
        }
    }
    letters.sort_unstable();
    Letters(letters)
}

#[cfg(test)]
mod tests {
    use super::{byte_letters, byte_token};

    #[test]
    fn letters_are_those_of_the_library() {
        let letters = byte_letters();
        let alphabet = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
        assert_eq!(alphabet.len(), 256);
        assert!(alphabet.iter().all(|letter| letters.byte(*letter).is_some()));
        assert_eq!(letters.byte('Ġ'), Some(b' '));
        assert_eq!(letters.byte('Ċ'), Some(b'\n'));
    }

    #[test]
    fn byte_tokens_are_two_digits() {
        assert_eq!(byte_token("<0x0A>"), Some(10));
        assert_eq!(byte_token("<0xA>"), None);
        assert_eq!(byte_token("<0x+1>"), None);
    }
}
