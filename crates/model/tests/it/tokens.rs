//! Token ids against Hugging Face's tokenizers on 10,000 lines of code, prose, many scripts, emoji and odd spaces.

use lakemill_model::gguf::Gguf;
use lakemill_model::{Tokenizer, files::ModelFiles};
use ring::digest::{Context, SHA256};

use crate::models::{minilm, reference, reference_json, smollm2};

fn lines() -> Vec<String> {
    let text = String::from_utf8(std::fs::read(reference("lines.txt")).unwrap()).unwrap();
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    assert_eq!(lines.pop().as_deref(), Some(""));
    assert_eq!(lines.len(), 10_000);
    lines
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digests of the reference: of every 100 lines, each the count of its ids and the ids.
fn digests(encoded: &[Vec<u32>]) -> Vec<String> {
    let of = |lines: &[Vec<u32>]| {
        let mut digest = Context::new(&SHA256);
        for ids in lines {
            digest.update(&(ids.len() as u32).to_le_bytes());
            ids.iter().for_each(|id| digest.update(&id.to_le_bytes()));
        }
        hexadecimal(digest.finish().as_ref())
    };
    encoded.chunks(100).map(of).collect()
}

fn expect_equal(name: &str, encoded: &[Vec<u32>]) {
    let reference = reference_json("tokens.json");
    let expected: Vec<&str> =
        reference[name].as_array().unwrap().iter().map(|digest| digest.as_str().unwrap()).collect();
    let found = digests(encoded);
    let wrong: Vec<usize> = (0..expected.len()).filter(|place| found[*place] != expected[*place]).collect();
    assert!(wrong.is_empty(), "{name}: of {} hundreds of lines these differ: {wrong:?}", expected.len());
}

#[test]
fn smollm2_from_gguf_splits_as_hugging_face_does() {
    let tokenizer = ModelFiles::open(smollm2()).unwrap().tokenizer().unwrap();
    let lines = lines();
    let plain: Vec<Vec<u32>> = lines.iter().map(|line| tokenizer.encode(line, false).unwrap()).collect();
    expect_equal("smollm2", &plain);
    let special: Vec<Vec<u32>> = lines.iter().map(|line| tokenizer.encode_with_special(line, false).unwrap()).collect();
    expect_equal("smollm2_special", &special);
    let decoded: Vec<String> = plain.iter().map(|ids| tokenizer.decode(ids, false).unwrap()).collect();
    let digest = ring::digest::digest(&SHA256, decoded.join("\n").as_bytes());
    assert_eq!(hexadecimal(digest.as_ref()), reference_json("tokens.json")["decoded"].as_str().unwrap());
    for (ids, text) in plain.iter().zip(&decoded) {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| tokenizer.token_bytes(*id)).collect();
        assert_eq!(String::from_utf8_lossy(&bytes), *text, "the bytes of tokens are not their text");
    }
}

#[test]
fn minilm_splits_as_hugging_face_does() {
    let tokenizer = Tokenizer::from_folder(minilm()).unwrap();
    let encoded: Vec<Vec<u32>> = lines().iter().map(|line| tokenizer.encode(line, true).unwrap()).collect();
    expect_equal("minilm", &encoded);
}

/// SentencePiece's own answers for a tokenizer in a GGUF file.
fn expect_sentence_piece(kind: &str) {
    let file = Gguf::open(&reference(&format!("sentencepiece-{kind}.gguf"))).unwrap();
    let tokenizer = Tokenizer::from_gguf(&file).unwrap();
    let record = reference_json("sentencepiece.json");
    let kept = |line: &String| !line.contains('▁') && !line.chars().any(|letter| letter < ' ');
    let lines: Vec<String> = lines().into_iter().filter(kept).collect();
    assert_eq!(lines.len() as u64, record["lines"].as_u64().unwrap());
    // Of two ways of equal probability either is right.
    let tied: Vec<u64> = record[kind]["tied"].as_array().unwrap().iter().map(|line| line.as_u64().unwrap()).collect();
    assert!(tied.len() < 20, "{} lines are tied", tied.len());
    let untied = lines.iter().enumerate().filter(|(number, _)| !tied.contains(&(*number as u64)));
    let encoded: Vec<Vec<u32>> = untied.map(|(_, line)| tokenizer.encode(line, true).unwrap()).collect();
    let expected: Vec<&str> =
        record[kind]["ids"].as_array().unwrap().iter().map(|digest| digest.as_str().unwrap()).collect();
    let found = digests(&encoded);
    let wrong: Vec<usize> = (0..expected.len()).filter(|place| found[*place] != expected[*place]).collect();
    assert!(wrong.is_empty(), "{kind}: of {} hundreds of lines these differ: {wrong:?}", expected.len());
    let mut texts = Context::new(&SHA256);
    for ids in &encoded {
        texts.update(tokenizer.decode(ids, true).unwrap().as_bytes());
        texts.update(b"\n");
    }
    assert_eq!(hexadecimal(texts.finish().as_ref()), record[kind]["decoded"].as_str().unwrap());
}

#[test]
fn bpe_by_scores_splits_as_sentence_piece_does() {
    expect_sentence_piece("bpe");
}

#[test]
fn unigrams_split_as_sentence_piece_does() {
    expect_sentence_piece("unigram");
}

#[test]
fn special_tokens_are_read_only_where_asked() {
    let tokenizer = Tokenizer::from_gguf(&Gguf::open(smollm2()).unwrap()).unwrap();
    assert_eq!(tokenizer.encode_with_special("<|im_end|>", false).unwrap(), [2]);
    let plain = tokenizer.encode("<|im_end|>", false).unwrap();
    assert!(plain.len() > 1 && !plain.contains(&2));
    assert_eq!(tokenizer.decode(&plain, true).unwrap(), "<|im_end|>");
    let guarded = tokenizer.guard("a<|im_end|>b");
    let ids = tokenizer.encode_guarded(&format!("{guarded}<|im_end|>")).unwrap();
    let mut expected = tokenizer.encode("a<|im_end|>b", false).unwrap();
    expected.push(2);
    assert_eq!(ids, expected);
}

#[test]
fn ends_of_text_and_special_tokens_are_known() {
    let tokenizer = ModelFiles::open(smollm2()).unwrap().tokenizer().unwrap();
    assert_eq!(tokenizer.end_of_text(), [0, 2]);
    assert_eq!(tokenizer.begin_of_text(), Some(1));
    assert_eq!(tokenizer.vocabulary(), 49_152);
    assert_eq!(tokenizer.special_ids(), (0..17).collect::<Vec<u32>>());
    assert_eq!(tokenizer.token_bytes(2), b"<|im_end|>");
    assert_eq!(tokenizer.token_bytes(49_152), b"");
    assert!(tokenizer.decode(&[49_152], false).is_err());
}

#[test]
fn truncation_keeps_what_surrounds_a_text() {
    let tokenizer = Tokenizer::from_folder(minilm()).unwrap();
    let whole = tokenizer.encode("one two three four five", true).unwrap();
    let cut = tokenizer.encode_truncated("one two three four five", 4).unwrap();
    assert_eq!(cut, [whole[0], whole[1], whole[2], whole[6]]);
    assert_eq!(tokenizer.encode_truncated("", 4).unwrap().len(), 2);
}
