//! A toy model: its logits are a hash of all tokens before, which it reads back from the blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lakemill_base::{SplitMix64, TestClock};
use lakemill_llm::{
    BLOCK_TOKENS, Chunk, Completion, Engine, EngineOptions, Error, Event, Request, RequestId, Result, Runner,
    Vocabulary,
};

/// Tokens 0 (end of text), 1 (a special one), then bytes and a few longer ones.
pub(crate) const WORDS: [&[u8]; 24] = [
    b"<|end|>",
    b"<|mark|>",
    b"a",
    b"b",
    b"c",
    b"d",
    b" ",
    b"\n",
    b"ab",
    b"bc",
    b"abc",
    b"{",
    b"}",
    b"\"",
    b":",
    b"1",
    b"2",
    b",",
    "ä".as_bytes(),
    &[0xe2],
    &[0x82],
    &[0xac],
    b"yes",
    b"no",
];

/// Logits that belong to no token, as padded heads have them: the largest of all, so that taking one would show.
const PADDING: usize = 3;

pub(crate) struct ToyVocabulary;

impl Vocabulary for ToyVocabulary {
    fn size(&self) -> usize {
        WORDS.len()
    }
    fn token_bytes(&self, token: u32) -> Vec<u8> {
        WORDS[token as usize].to_vec()
    }
    fn is_end(&self, token: u32) -> bool {
        token == 0
    }
    fn is_special(&self, token: u32) -> bool {
        token <= 1
    }
    fn encode(&self, _text: &str) -> Option<Vec<u32>> {
        None
    }
}

fn hash(parts: impl IntoIterator<Item = u32>) -> u64 {
    parts.into_iter().fold(0, |hash, part| SplitMix64::new(hash ^ u64::from(part)).next_u64())
}

/// The logits after `context`: they depend on all of it, and most on the last two tokens, so that runs repeat.
pub(crate) fn logits(context: &[u32]) -> Vec<f32> {
    let near = hash(context[context.len().saturating_sub(2)..].iter().copied());
    let far = hash(context.iter().copied());
    let unit = |seed: u64, token: u32| SplitMix64::new(seed).split(u64::from(token)).next_f64();
    (0..WORDS.len() as u32)
        .map(|token| {
            let rare = if token == 0 { -1.5 } else { 0.0 };
            (4.0 * unit(near, token) + unit(far, token) + rare) as f32
        })
        .collect()
}

/// Counts what the toy has done.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) tokens: AtomicU64,
    pub(crate) steps: AtomicU64,
    pub(crate) copies: AtomicU64,
}

pub(crate) struct Toy {
    slots: Vec<[Option<u32>; BLOCK_TOKENS]>,
    context: usize,
    pub(crate) counts: Arc<Counts>,
    /// The step at which it fails, and whether by a panic.
    pub(crate) fails_at: Option<(u64, bool)>,
}

impl Toy {
    pub(crate) fn new(blocks: usize, context: usize) -> Self {
        Self { slots: vec![[None; BLOCK_TOKENS]; blocks], context, counts: Arc::default(), fails_at: None }
    }

    fn context(&self, blocks: &[u32], end: usize) -> Vec<u32> {
        let slot = |at: usize| self.slots[blocks[at / BLOCK_TOKENS] as usize][at % BLOCK_TOKENS];
        (0..end).map(|at| slot(at).expect("a position is read before it was written")).collect()
    }
}

/// No chunk may write where another reads or writes.
fn check_apart(chunks: &[Chunk<'_>]) {
    for (i, writer) in chunks.iter().enumerate() {
        let end = (writer.start + writer.tokens.len()).div_ceil(BLOCK_TOKENS);
        assert!(!writer.tokens.is_empty() && writer.logits <= writer.tokens.len());
        for written in &writer.blocks[writer.start / BLOCK_TOKENS..end] {
            let others = chunks.iter().enumerate().filter(|(j, _)| *j != i);
            assert!(
                !others.flat_map(|(_, chunk)| chunk.blocks).any(|block| block == written),
                "block {written} is shared"
            );
        }
    }
}

impl Runner for Toy {
    fn vocabulary(&self) -> usize {
        WORDS.len() + PADDING
    }
    fn context_tokens(&self) -> usize {
        self.context
    }
    fn blocks(&self) -> usize {
        self.slots.len()
    }
    fn block_bytes(&self) -> usize {
        4 * BLOCK_TOKENS
    }
    fn forward(&mut self, chunks: &[Chunk<'_>], out: &mut Vec<f32>) -> Result<()> {
        check_apart(chunks);
        let step = self.counts.steps.fetch_add(1, Ordering::Relaxed);
        match self.fails_at {
            Some((at, false)) if at == step => return Err(Error::data("the toy is broken")),
            Some((at, true)) if at == step => panic!("the toy is in pieces"),
            _ => {}
        }
        out.clear();
        for chunk in chunks {
            self.counts.tokens.fetch_add(chunk.tokens.len() as u64, Ordering::Relaxed);
            for (at, token) in (chunk.start..).zip(chunk.tokens) {
                self.slots[chunk.blocks[at / BLOCK_TOKENS] as usize][at % BLOCK_TOKENS] = Some(*token);
            }
            let end = chunk.start + chunk.tokens.len();
            for row in end - chunk.logits..end {
                out.extend(logits(&self.context(chunk.blocks, row + 1)));
                out.extend([100.0; PADDING]);
            }
        }
        Ok(())
    }
    fn copy_block(&mut self, from: u32, to: u32) {
        self.counts.copies.fetch_add(1, Ordering::Relaxed);
        self.slots[to as usize] = self.slots[from as usize];
    }
}

pub(crate) fn engine(toy: Toy, options: EngineOptions) -> Engine {
    Engine::new(Box::new(toy), Arc::new(ToyVocabulary), options, Arc::new(TestClock::at(0))).unwrap()
}

/// Steps until nothing is left, checking the invariants, and puts the events together.
pub(crate) fn run(engine: &mut Engine) -> Vec<(RequestId, Result<Completion>)> {
    let mut events = Vec::new();
    while engine.step(&mut events).unwrap() {
        engine.check_invariants().unwrap();
    }
    engine.check_invariants().unwrap();
    gather(events)
}

/// One completion for each request, by number.
pub(crate) fn gather(events: Vec<Event>) -> Vec<(RequestId, Result<Completion>)> {
    let mut all: std::collections::BTreeMap<RequestId, (Result<Completion>, bool)> = Default::default();
    for event in events {
        let (completion, ended) = all.entry(event.id()).or_insert((Ok(Completion::default()), false));
        assert!(!*ended, "an event came after the last");
        *ended = event.is_last();
        if let Ok(so_far) = completion
            && let Err(error) = so_far.push(event)
        {
            *completion = Err(error);
        }
    }
    all.into_iter()
        .map(|(id, (completion, ended))| {
            assert!(ended, "request {} has no last event", id.0);
            (id, completion)
        })
        .collect()
}

/// The answer to one request by a fresh engine with room for it.
pub(crate) fn answer(request: Request) -> Completion {
    let mut engine = engine(Toy::new(256, 2048), EngineOptions::default());
    engine.submit(request).unwrap();
    run(&mut engine).remove(0).1.unwrap()
}
