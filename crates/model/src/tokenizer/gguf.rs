//! The tokenizer that a GGUF file's metadata describes, rebuilt as Hugging Face's library would have it.
//!
//! The kinds are those of llama.cpp: `gpt2` (byte-level BPE, split by the rules that `tokenizer.ggml.pre` names),
//! `llama` (SentencePiece's BPE by scores), `t5` (SentencePiece's unigrams) and `bert` (word pieces).

use std::collections::HashMap;

use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, NormalizerWrapper};

use super::{Roles, part};
use crate::error::{Error, Result};
use crate::gguf::Gguf;

/// Types of tokens, as llama.cpp numbers them.
const NORMAL: i64 = 1;
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const BYTE: i64 = 6;

/// A score, a logarithm of a probability, that the characters of no token's text are below together.
const NEVER: f64 = -1e5;

/// The first tokenizer of OpenAI's GPT-2 (Radford et al., 2019): contractions, words, numbers, punctuation, spaces.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Llama 3's: contractions in any case, at most three digits together, lines apart.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen2's: as Llama 3's with every digit alone.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Mistral's Tekken: words split where the case changes.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How text is split before the merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// Digits alone, then GPT-2's rules: StarCoder, Command R, SmolLM.
    Digits,
    /// What files without a name mean: punctuation, GPT-2's rules, numbers, three digits.
    Default,
    Regex(&'static str),
}

/// The names of `tokenizer.ggml.pre`, and whether words that are tokens skip the merges.
const SPLITS: [(&str, Split, bool); 21] = [
    ("default", Split::Default, false),
    ("gpt-2", Split::Regex(GPT2), false),
    ("gpt2", Split::Regex(GPT2), false),
    ("phi-2", Split::Regex(GPT2), false),
    ("mpt", Split::Regex(GPT2), false),
    ("olmo", Split::Regex(GPT2), false),
    ("dbrx", Split::Regex(LLAMA3), false),
    ("smaug-bpe", Split::Regex(LLAMA3), false),
    ("llama3", Split::Regex(LLAMA3), true),
    ("llama-v3", Split::Regex(LLAMA3), true),
    ("llama-bpe", Split::Regex(LLAMA3), true),
    ("falcon3", Split::Regex(LLAMA3), true),
    ("qwen2", Split::Regex(QWEN2), false),
    ("deepseek-r1-qwen", Split::Regex(QWEN2), false),
    ("stablelm2", Split::Regex(QWEN2), false),
    ("tekken", Split::Regex(TEKKEN), true),
    ("smollm", Split::Digits, false),
    ("starcoder", Split::Digits, false),
    ("refact", Split::Digits, false),
    ("command-r", Split::Digits, false),
    ("codeshell", Split::Digits, false),
];

/// The tokenizer of `file` and its special tokens.
pub(super) fn rebuild(file: &Gguf) -> Result<(tokenizers::Tokenizer, Roles)> {
    let kind = file
        .text("tokenizer.ggml.model")?
        .ok_or_else(|| Error::data("the file has no metadata 'tokenizer.ggml.model', so it has no tokenizer"))?;
    let vocabulary = Vocabulary::read(file)?;
    let mut tokenizer = match kind {
        "gpt2" => byte_level(file, &vocabulary)?,
        "llama" => sentence_piece(file, &vocabulary)?,
        "t5" => unigram(file, &vocabulary)?,
        "bert" => word_piece(file, &vocabulary)?,
        other => {
            return Err(Error::data(format!(
                "the tokenizer is of kind '{other}'; those that can be read are gpt2, llama, t5 and bert"
            )));
        }
    };
    vocabulary.add_tokens(&mut tokenizer)?;
    let roles = roles(file)?;
    surround(file, kind, &vocabulary, &roles, &mut tokenizer)?;
    Ok((tokenizer, roles))
}

/// The tokens with their types and scores.
struct Vocabulary<'a> {
    texts: Vec<&'a str>,
    types: Vec<i64>,
    scores: Vec<f32>,
}

impl<'a> Vocabulary<'a> {
    fn read(file: &'a Gguf) -> Result<Self> {
        let texts = file
            .texts("tokenizer.ggml.tokens")?
            .ok_or_else(|| Error::data("the file has no metadata 'tokenizer.ggml.tokens', so it has no tokenizer"))?;
        let types = file.integers("tokenizer.ggml.token_type")?.unwrap_or_else(|| vec![NORMAL; texts.len()]);
        let scores = file.floats("tokenizer.ggml.scores")?.unwrap_or_else(|| vec![0.0; texts.len()]);
        if types.len() != texts.len() || scores.len() != texts.len() {
            return Err(Error::data(format!(
                "the tokenizer has {} tokens, {} types and {} scores; there must be as many of each",
                texts.len(),
                types.len(),
                scores.len()
            )));
        }
        if texts.is_empty() || texts.len() > crate::config::VOCABULARY_MAX {
            return Err(Error::data(format!("the tokenizer has {} tokens", texts.len())));
        }
        Ok(Self { texts, types, scores })
    }

    fn ids(&self) -> HashMap<&'a str, u32> {
        self.texts.iter().enumerate().map(|(id, text)| (*text, id as u32)).collect()
    }

    fn owned_ids(&self) -> impl Iterator<Item = (String, u32)> {
        self.texts.iter().enumerate().map(|(id, text)| ((*text).to_owned(), id as u32))
    }

    /// Whether the token stands for what it spells.
    fn is_text(&self, id: usize) -> bool {
        matches!(self.types[id], NORMAL | USER_DEFINED)
    }

    fn unknown(&self) -> Option<usize> {
        self.types.iter().position(|kind| *kind == UNKNOWN)
    }

    fn add_tokens(&self, tokenizer: &mut tokenizers::Tokenizer) -> Result<()> {
        let of = |kind: i64, special: bool| {
            let texts = self.texts.iter().zip(&self.types).filter(move |(_, known)| **known == kind);
            texts.map(move |(text, _)| AddedToken::from(*text, special).normalized(false)).collect::<Vec<_>>()
        };
        let wrong =
            |error: tokenizers::Error| Error::data(format!("the tokenizer's special tokens are malformed: {error}"));
        tokenizer.add_special_tokens(of(CONTROL, true)).map_err(wrong)?;
        tokenizer.add_tokens(of(USER_DEFINED, false)).map_err(wrong)?;
        Ok(())
    }
}

fn byte_level(file: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<tokenizers::Tokenizer> {
    let name = file.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let Some((_, split, whole_words)) = SPLITS.iter().find(|(known, ..)| *known == name) else {
        let known: Vec<&str> = SPLITS.iter().map(|(name, ..)| *name).collect();
        return Err(Error::data(format!(
            "the tokenizer splits text by the rules '{name}'; those that are known are {}",
            known.join(", ")
        )));
    };
    let merges = file
        .texts("tokenizer.ggml.merges")?
        .ok_or_else(|| Error::data("the file has no metadata 'tokenizer.ggml.merges', which its tokenizer needs"))?;
    let mut pairs = Vec::with_capacity(merges.len());
    for merge in merges {
        let Some((left, right)) = merge.split_once(' ') else {
            return Err(Error::data(format!(
                "the tokenizer's merge '{merge}' must be two tokens with a space between"
            )));
        };
        pairs.push((left.to_owned(), right.to_owned()));
    }
    let model = BPE::builder()
        .vocab_and_merges(vocabulary.owned_ids().collect::<Vocab>(), pairs)
        .ignore_merges(*whole_words)
        .build()
        .map_err(malformed)?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    if matches!(split, Split::Regex(QWEN2)) {
        tokenizer.with_normalizer(Some(part::<NormalizerWrapper>(json!({"type": "NFC"}))?)).map_err(malformed)?;
    }
    let space = file.boolean("tokenizer.ggml.add_space_prefix")?.unwrap_or(false);
    tokenizer.with_pre_tokenizer(Some(part::<tokenizers::PreTokenizerWrapper>(split.pre_tokenizer(space))?));
    tokenizer.with_decoder(Some(part::<tokenizers::DecoderWrapper>(byte_level_part(false, true))?));
    Ok(tokenizer)
}

impl Split {
    fn pre_tokenizer(self, space: bool) -> Value {
        let mut parts = match self {
            Self::Digits => vec![json!({"type": "Digits", "individual_digits": true})],
            Self::Regex(regex) => vec![split_by(regex)],
            Self::Default => [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"].map(split_by).to_vec(),
        };
        parts.push(byte_level_part(space, self == Self::Digits));
        json!({"type": "Sequence", "pretokenizers": parts})
    }
}

fn split_by(regex: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false})
}

fn byte_level_part(space: bool, split: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true, "use_regex": split})
}

/// SentencePiece's BPE joins the neighbours whose union has the best score. As merges: every way to cut a token into
/// two others, best score first.
fn sentence_piece(file: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<tokenizers::Tokenizer> {
    let ids = vocabulary.ids();
    let mut merges: Vec<(f32, u32, u32, u32)> = Vec::new();
    for (id, text) in vocabulary.texts.iter().enumerate() {
        if !vocabulary.is_text(id) {
            continue;
        }
        for (cut, _) in text.char_indices().skip(1) {
            if let (Some(left), Some(right)) = (ids.get(&text[..cut]), ids.get(&text[cut..])) {
                merges.push((vocabulary.scores[id], id as u32, *left, *right));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, a.2, a.3).cmp(&(b.1, b.2, b.3))));
    let text = |id: u32| vocabulary.texts[id as usize].to_owned();
    let pairs = merges.iter().map(|(_, _, left, right)| (text(*left), text(*right))).collect();
    let mut builder = BPE::builder()
        .vocab_and_merges(vocabulary.owned_ids().collect::<Vocab>(), pairs)
        .byte_fallback(true)
        .fuse_unk(true);
    if let Some(unknown) = vocabulary.unknown() {
        builder = builder.unk_token(text(unknown as u32));
    }
    let mut tokenizer = tokenizers::Tokenizer::new(builder.build().map_err(malformed)?);
    sentence_piece_spaces(file, &mut tokenizer)?;
    Ok(tokenizer)
}

fn unigram(file: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<tokenizers::Tokenizer> {
    // What a text spells never becomes a control token or a byte's: the library would match them as any piece.
    let score = |id: usize| if vocabulary.is_text(id) { f64::from(vocabulary.scores[id]) } else { NEVER };
    let pieces = vocabulary.texts.iter().enumerate().map(|(id, text)| ((*text).to_owned(), score(id))).collect();
    let bytes = vocabulary.types.contains(&BYTE);
    let model = Unigram::from(pieces, vocabulary.unknown(), bytes).map_err(malformed)?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    sentence_piece_spaces(file, &mut tokenizer)?;
    Ok(tokenizer)
}

/// Spaces are `▁`, one is put before the text, and what is no token is written in bytes.
fn sentence_piece_spaces(file: &Gguf, tokenizer: &mut tokenizers::Tokenizer) -> Result<()> {
    let space = file.boolean("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let mut normalizers = vec![replace(" ", "▁")];
    let mut decoders = vec![replace("▁", " "), json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    if space {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": "▁"}));
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let normalizer: NormalizerWrapper = part(json!({"type": "Sequence", "normalizers": normalizers}))?;
    tokenizer.with_normalizer(Some(normalizer)).map_err(malformed)?;
    tokenizer
        .with_decoder(Some(part::<tokenizers::DecoderWrapper>(json!({"type": "Sequence", "decoders": decoders}))?));
    Ok(())
}

/// GGUF writes BERT's word pieces SentencePiece's way: `▁word` begins a word, `piece` continues one.
fn word_piece(file: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<tokenizers::Tokenizer> {
    let ids = vocabulary.texts.iter().zip(&vocabulary.types).enumerate();
    let ids = ids.map(|(id, (text, kind))| {
        let text = match text.strip_prefix('▁') {
            Some(word) => word.to_owned(),
            None if *kind != NORMAL || (text.starts_with('[') && text.ends_with(']')) => (*text).to_owned(),
            None => format!("##{text}"),
        };
        (text, id as u32)
    });
    let unknown = match file.integer("tokenizer.ggml.unknown_token_id")? {
        Some(id) => vocabulary.texts.get(id as usize).copied().unwrap_or("[UNK]"),
        None => "[UNK]",
    };
    let model =
        WordPiece::builder().vocab(ids.collect::<Vocab>()).unk_token(unknown.to_owned()).build().map_err(malformed)?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let normalizer: NormalizerWrapper = part(json!({
        "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true
    }))?;
    tokenizer.with_normalizer(Some(normalizer)).map_err(malformed)?;
    tokenizer.with_pre_tokenizer(Some(part::<tokenizers::PreTokenizerWrapper>(json!({"type": "BertPreTokenizer"}))?));
    let decoder = json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
    tokenizer.with_decoder(Some(part::<tokenizers::DecoderWrapper>(decoder)?));
    Ok(tokenizer)
}

fn roles(file: &Gguf) -> Result<Roles> {
    let id = |name: &str| {
        let id = file.integer(&format!("tokenizer.ggml.{name}_token_id"))?;
        Ok::<_, Error>(id.and_then(|id| u32::try_from(id).ok()))
    };
    let mut roles = Roles { begin: id("bos")?, ends: Vec::new() };
    for name in ["eos", "eot", "eom"] {
        roles.ends.extend(id(name)?);
    }
    Ok(roles)
}

/// What stands around every text: a beginning and an end where the file asks for them, BERT's always.
fn surround(
    file: &Gguf,
    kind: &str,
    vocabulary: &Vocabulary<'_>,
    roles: &Roles,
    tokenizer: &mut tokenizers::Tokenizer,
) -> Result<()> {
    let asked =
        |name: &str, default: bool| Ok::<_, Error>(file.boolean(&format!("tokenizer.ggml.{name}"))?.unwrap_or(default));
    let separator = file.integer("tokenizer.ggml.seperator_token_id")?.and_then(|id| u32::try_from(id).ok());
    let (begin, end) = match kind {
        "bert" => (
            roles.begin.or_else(|| tokenizer.token_to_id("[CLS]")),
            separator.or_else(|| tokenizer.token_to_id("[SEP]")),
        ),
        _ => (
            roles.begin.filter(|_| asked("add_bos_token", kind == "llama").unwrap_or(false)),
            roles.ends.first().copied().filter(|_| asked("add_eos_token", kind == "t5").unwrap_or(false)),
        ),
    };
    let text = |id: u32| vocabulary.texts.get(id as usize).map(|text| (format!("special{id}"), id, *text));
    let begin = begin.and_then(text);
    let end = end.and_then(text);
    if begin.is_none() && end.is_none() {
        return Ok(());
    }
    let mut template: Vec<String> = vec!["$A".to_owned()];
    let mut special = Vec::new();
    for (place, token) in [(0, begin), (usize::MAX, end)] {
        let Some((name, id, text)) = token else { continue };
        let name = if text.contains([':', '$', ' ']) { name } else { text.to_owned() };
        template.insert(place.min(template.len()), name.clone());
        special.push((name, id));
    }
    let mut builder = TemplateProcessing::builder();
    builder.try_single(template).map_err(|error| malformed(error.into()))?;
    let processor = builder.special_tokens(special).build().map_err(|error| malformed(error.to_string().into()))?;
    tokenizer.with_post_processor(Some(processor));
    Ok(())
}

fn malformed(error: tokenizers::Error) -> Error {
    Error::data(format!("the file's tokenizer is malformed: {error}"))
}
