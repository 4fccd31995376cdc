//! A sequence's logits are the same bits however its tokens were cut into steps and whatever ran beside it.

use std::sync::{Arc, OnceLock};

use lakemill_kernels::pool::Pool;
use lakemill_model::{BLOCK_TOKENS, Chunk, KvFormat, KvStorage, LanguageModel};

use crate::models::smollm2;

fn model(threads: usize) -> LanguageModel {
    LanguageModel::load(smollm2(), Arc::new(Pool::new(threads))).unwrap()
}

fn shared() -> &'static LanguageModel {
    static MODEL: OnceLock<LanguageModel> = OnceLock::new();
    MODEL.get_or_init(|| model(2))
}

fn prompt(seed: usize, tokens: usize) -> Vec<u32> {
    let text =
        "A lake keeps what rivers bring. Tables have versions, and every version can be read again: 3.14, 42, naïve. ";
    let ids = shared().tokenizer().encode(&text.repeat(8), false).unwrap();
    ids[seed..seed + tokens].to_vec()
}

/// The logits of every position, in one step.
fn whole(model: &LanguageModel, format: KvFormat, tokens: &[u32]) -> Vec<f32> {
    let blocks: Vec<u32> = (0..tokens.len().div_ceil(BLOCK_TOKENS) as u32).collect();
    let mut kv = KvStorage::new(model.architecture(), format, blocks.len());
    let mut logits = Vec::new();
    let chunk = Chunk { tokens, start: 0, blocks: &blocks, logits: tokens.len() };
    model.forward(&[chunk], &mut kv, &mut logits).unwrap();
    logits
}

#[test]
fn one_token_at_a_time_gives_what_a_prefill_gives() {
    let model = shared();
    for format in [KvFormat::F32, KvFormat::F16, KvFormat::Q8] {
        let tokens = prompt(0, 75);
        let want = whole(model, format, &tokens);
        let blocks = [4, 1, 0, 6, 3];
        let mut kv = KvStorage::new(model.architecture(), format, 7);
        let mut got = Vec::new();
        for (position, token) in tokens.iter().enumerate() {
            let chunk = Chunk { tokens: &[*token], start: position, blocks: &blocks, logits: 1 };
            model.forward(&[chunk], &mut kv, &mut got).unwrap();
        }
        assert!(got == want, "{format:?}");
    }
}

#[test]
fn ragged_steps_give_what_each_sequence_gives_alone() {
    let model = shared();
    let sequences = [prompt(0, 70), prompt(5, 33), prompt(11, 50)];
    let vocabulary = model.architecture().vocabulary;
    let want: Vec<Vec<f32>> = sequences.iter().map(|tokens| whole(model, KvFormat::F16, tokens)).collect();
    let blocks = [[0, 5, 9, 2, 14], [1, 3, 4, 6, 7], [8, 10, 11, 12, 13]];
    let mut kv = KvStorage::new(model.architecture(), KvFormat::F16, 15);
    // How many tokens each sequence has run after each step: prefill, pieces and single tokens side by side.
    let steps = [[20, 0, 1], [37, 33, 2], [38, 33, 3], [69, 33, 49], [70, 33, 50]];
    let mut done = [0; 3];
    for step in steps {
        let active: Vec<usize> = (0..3).filter(|index| step[*index] > done[*index]).collect();
        let chunks: Vec<Chunk<'_>> = active
            .iter()
            .map(|&index| Chunk {
                tokens: &sequences[index][done[index]..step[index]],
                start: done[index],
                blocks: &blocks[index],
                logits: 1,
            })
            .collect();
        let mut logits = Vec::new();
        model.forward(&chunks, &mut kv, &mut logits).unwrap();
        for (row, index) in logits.chunks_exact(vocabulary).zip(active) {
            assert!(row == &want[index][(step[index] - 1) * vocabulary..][..vocabulary], "{index} after {step:?}");
        }
        done = step;
    }
}

#[test]
fn threads_change_nothing() {
    let tokens = prompt(2, 40);
    let want = whole(shared(), KvFormat::F16, &tokens);
    assert!(whole(&model(1), KvFormat::F16, &tokens) == want);
    assert!(whole(&model(5), KvFormat::F16, &tokens) == want);
}

#[test]
fn a_copied_block_continues_a_sequence() {
    let model = shared();
    let tokens = prompt(0, 30);
    let want = whole(model, KvFormat::F16, &tokens);
    let mut kv = KvStorage::new(model.architecture(), KvFormat::F16, 4);
    let mut logits = Vec::new();
    let first = Chunk { tokens: &tokens[..20], start: 0, blocks: &[0, 1], logits: 0 };
    model.forward(&[first], &mut kv, &mut logits).unwrap();
    assert!(logits.is_empty());
    kv.copy_block(1, 3);
    let rest = Chunk { tokens: &tokens[20..], start: 20, blocks: &[0, 3], logits: 10 };
    model.forward(&[rest], &mut kv, &mut logits).unwrap();
    assert!(logits == want[20 * model.architecture().vocabulary..]);
}

#[test]
fn what_cannot_run_is_refused() {
    let model = shared();
    let mut kv = KvStorage::new(model.architecture(), KvFormat::F16, 2);
    let vocabulary = model.architecture().vocabulary as u32;
    let cases: [(Chunk<'_>, &str); 5] = [
        (Chunk { tokens: &[], start: 0, blocks: &[0], logits: 0 }, "a chunk of 0 tokens"),
        (Chunk { tokens: &[1], start: 0, blocks: &[0], logits: 2 }, "cannot give the logits of 2"),
        (Chunk { tokens: &[vocabulary], start: 0, blocks: &[0], logits: 1 }, "is not in the vocabulary"),
        (Chunk { tokens: &[1], start: 16, blocks: &[0], logits: 1 }, "1 blocks do not cover the positions up to 17"),
        (Chunk { tokens: &[1], start: 0, blocks: &[2], logits: 1 }, "block 2 is not among the 2"),
    ];
    for (chunk, message) in cases {
        let error = model.forward(&[chunk], &mut kv, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), lakemill_base::ErrorKind::Invalid);
        assert!(error.to_string().contains(message), "{error}");
    }
}
