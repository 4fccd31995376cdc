//! The forward pass of decoder-only language models of the Llama family: Llama 2 and 3, SmolLM2, Mistral, Qwen2 and
//! Qwen3.
//!
//! A step runs over ragged chunks of several sequences at once, prefill and decode alike, with one pass over the
//! weights. Sampling, block tables and scheduling are not here.
//!
//! **Architecture invariant:** the logits of a token depend on its sequence alone, to the last bit: not on how its
//! prompt was cut into chunks, on other sequences in the step or on the number of threads.

mod frequencies;
mod layer;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lakemill_kernels::attention::{Heads, Place, Queries, attend};
use lakemill_kernels::matmul::{Packed, Store, multiply_many};
use lakemill_kernels::norm::rms_norm;
use lakemill_kernels::pool::Pool;
use lakemill_kernels::quant::activations::Activations;
use lakemill_kernels::rope::{Pairs, Rotation};

use self::frequencies::frequencies;
use self::layer::{Layer, want};
use crate::chat::ChatTemplate;
use crate::config::{Architecture, RopeLayout};
use crate::error::{Error, Result};
use crate::files::ModelFiles;
use crate::kv::{BLOCK_TOKENS, KvStorage};
use crate::tokenizer::Tokenizer;
use crate::weights::{Weights, matrix, vector};

/// Tokens whose embeddings are looked up by one thread before others help.
const EMBEDDING_CHUNK: usize = 16;

/// One sequence's share of a step.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Tokens at the positions from `start` on.
    pub tokens: &'a [u32],
    /// The position of the first token; everything before it has been through the model already.
    pub start: usize,
    /// The sequence's blocks: block `i` holds the positions `16 i..16 i + 16`. They cover all positions up to the last
    /// token, whose keys and values go into them.
    pub blocks: &'a [u32],
    /// How many of the last tokens want logits: 0 in the midst of a prompt, 1 to sample, more to check a guess.
    pub logits: usize,
}

/// A language model, ready to run: weights repacked for the processor, tokenizer and chat template.
pub struct LanguageModel {
    architecture: Architecture,
    tokenizer: Arc<Tokenizer>,
    chat_template: Option<ChatTemplate>,
    pool: Arc<Pool>,
    embedding: Packed,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// `None` where the embedding is the head.
    head: Option<Packed>,
    /// Radians per position of each pair that rotates.
    frequencies: Vec<f64>,
    /// What cosines and sines are multiplied with.
    magnitude: f32,
    scratch: Mutex<Scratch>,
}

/// What a step needs room for, kept from one to the next.
#[derive(Debug, Default)]
struct Scratch {
    /// The residual stream, `[tokens, width]`.
    stream: Vec<f32>,
    input: Activations,
    /// `[tokens, query width + 2 * key width]`.
    projected: Vec<f32>,
    /// `[tokens, query width]`.
    attended: Vec<f32>,
    /// `[tokens, 2 * feed-forward width]`.
    gated: Vec<f32>,
    rotation: Rotation,
    places: Vec<Place>,
}

impl LanguageModel {
    /// Loads a model from a `.gguf` file, or from a folder with config.json, safetensors and tokenizer.json. Its
    /// products run on `pool`.
    ///
    /// Fails when the files are not there, are malformed, or hold a model that is not known here.
    pub fn load(path: &Path, pool: Arc<Pool>) -> Result<Self> {
        let files = ModelFiles::open(path)?;
        let architecture = files.architecture()?;
        let tokenizer = files.tokenizer()?;
        Self::new(files.weights(), architecture, tokenizer, files.chat_template()?, pool)
    }

    /// A model of these parts.
    pub fn new(
        weights: &dyn Weights,
        architecture: Architecture,
        tokenizer: Tokenizer,
        chat_template: Option<ChatTemplate>,
        pool: Arc<Pool>,
    ) -> Result<Self> {
        architecture.check()?;
        let Architecture { width, vocabulary, .. } = architecture;
        let head = if weights.has("output.weight") {
            Some(matrix(weights, "output.weight", vocabulary, width)?)
        } else {
            None
        };
        if head.is_none() && !architecture.tied {
            return Err(Error::data("the model has no tensor 'output.weight', and its configuration does not tie it"));
        }
        let layers =
            (0..architecture.layers).map(|layer| Layer::load(weights, &architecture, layer)).collect::<Result<_>>()?;
        let (frequencies, magnitude) = frequencies(&architecture.rope, weights)?;
        Ok(Self {
            tokenizer: Arc::new(tokenizer),
            chat_template,
            pool,
            embedding: matrix(weights, "token_embd.weight", vocabulary, width)?,
            layers,
            norm: vector(weights, "output_norm.weight", width)?,
            head,
            frequencies,
            magnitude,
            scratch: Mutex::new(Scratch::default()),
            architecture,
        })
    }

    /// What the model is made of.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The model's chat template, where it has one.
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.chat_template.as_ref()
    }

    /// Bytes that the repacked weights take.
    pub fn memory_bytes(&self) -> usize {
        let ends = self.embedding.memory_bytes() + self.head.as_ref().map_or(0, Packed::memory_bytes);
        ends + self.layers.iter().map(Layer::memory_bytes).sum::<usize>()
    }

    /// Runs one step. Appends `[sum of chunk.logits, vocabulary]` to `logits`, in the order of chunks; keys and values
    /// of all tokens are in `kv` afterwards.
    ///
    /// Fails with `Invalid` when a chunk has no tokens, a token is not in the vocabulary, blocks do not cover the
    /// positions or are not in `kv`, or more logits are wanted than there are tokens. No part of the step has run then.
    pub fn forward(&self, chunks: &[Chunk<'_>], kv: &mut KvStorage, logits: &mut Vec<f32>) -> Result<()> {
        for chunk in chunks {
            self.check(chunk, kv)?;
        }
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = &mut *scratch;
        self.begin(chunks, scratch);
        let mut sequences = Vec::with_capacity(chunks.len());
        let mut first = 0;
        for chunk in chunks {
            sequences.push(Queries { first, count: chunk.tokens.len(), start: chunk.start, blocks: chunk.blocks });
            first += chunk.tokens.len();
        }
        for (number, layer) in self.layers.iter().enumerate() {
            self.attention(layer, number, &sequences, kv, scratch);
            self.feed_forward(layer, scratch);
        }
        self.head(chunks, scratch, logits);
        Ok(())
    }

    fn check(&self, chunk: &Chunk<'_>, kv: &KvStorage) -> Result<()> {
        let end = chunk.start + chunk.tokens.len();
        if chunk.tokens.is_empty() || chunk.logits > chunk.tokens.len() {
            let (tokens, logits) = (chunk.tokens.len(), chunk.logits);
            return Err(Error::invalid(format!("a chunk of {tokens} tokens cannot give the logits of {logits}")));
        }
        if let Some(token) = chunk.tokens.iter().find(|token| **token as usize >= self.architecture.vocabulary) {
            let vocabulary = self.architecture.vocabulary;
            return Err(Error::invalid(format!("token {token} is not in the vocabulary of {vocabulary}")));
        }
        if end > chunk.blocks.len() * BLOCK_TOKENS {
            let blocks = chunk.blocks.len();
            return Err(Error::invalid(format!("{blocks} blocks do not cover the positions up to {end}")));
        }
        if let Some(block) = chunk.blocks.iter().find(|block| **block as usize >= kv.blocks()) {
            return Err(Error::invalid(format!("block {block} is not among the {} of the storage", kv.blocks())));
        }
        Ok(())
    }

    /// Looks up embeddings and angles, and where keys and values go.
    fn begin(&self, chunks: &[Chunk<'_>], scratch: &mut Scratch) {
        let tokens: Vec<u32> = chunks.iter().flat_map(|chunk| chunk.tokens).copied().collect();
        let positions = || chunks.iter().flat_map(|chunk| chunk.start..chunk.start + chunk.tokens.len());
        let (width, count) = (self.architecture.width, tokens.len());
        scratch.stream.resize(count * width, 0.0);
        self.pool.for_each_row(&mut scratch.stream, width, EMBEDDING_CHUNK, &|row, values| {
            self.embedding.row(tokens[row] as usize, values);
        });
        scratch.rotation.fill(positions(), &self.frequencies, self.magnitude);
        scratch.places.clear();
        for chunk in chunks {
            scratch.places.extend(
                (chunk.start..chunk.start + chunk.tokens.len()).map(|position| Place {
                    block: chunk.blocks[position / BLOCK_TOKENS],
                    slot: position % BLOCK_TOKENS,
                }),
            );
        }
        let Architecture { feed_forward, .. } = self.architecture;
        let (query_width, kv_width) = (self.architecture.query_width(), self.architecture.kv_width());
        scratch.projected.resize(count * (query_width + 2 * kv_width), 0.0);
        scratch.attended.resize(count * query_width, 0.0);
        scratch.gated.resize(count * 2 * feed_forward, 0.0);
    }

    fn attention(
        &self,
        layer: &Layer,
        number: usize,
        sequences: &[Queries<'_>],
        kv: &mut KvStorage,
        scratch: &mut Scratch,
    ) {
        let Architecture { width, heads, head_width, sliding_window, norm_epsilon, .. } = self.architecture;
        let (pool, tokens) = (&*self.pool, scratch.places.len());
        let Scratch { stream, input, projected, attended, rotation, places, .. } = scratch;
        let weights = [&layer.query, &layer.key, &layer.value];
        input.fill(pool, want(&weights), tokens, width, &|token, out| {
            rms_norm(&stream[token * width..][..width], &layer.attention_norm, norm_epsilon, out);
        });
        multiply_many(pool, input, &weights, Store::Replace, projected);
        let (query_width, kv_width) = (self.architecture.query_width(), self.architecture.kv_width());
        let stride = query_width + 2 * kv_width;
        // Elements from `first` on of a token's projections, with their biases.
        let part = |token: usize, first: usize, out: &mut [f32]| {
            let from = &projected[token * stride + first..][..head_width];
            match &layer.bias {
                Some(bias) => {
                    for ((out, from), bias) in out.iter_mut().zip(from).zip(&bias[first..]) {
                        *out = from + bias;
                    }
                }
                None => out.copy_from_slice(from),
            }
        };
        let pairs = self.pairs();
        let turn = |token: usize, norm: &Option<Vec<f32>>, head: &mut [f32]| {
            if let Some(norm) = norm {
                let plain = head.to_vec();
                rms_norm(&plain, norm, norm_epsilon, head);
            }
            rotation.turn(token, pairs, head);
        };
        kv.cache.store(pool, number, places, &|token, head, key, value| {
            part(token, query_width + head * head_width, key);
            turn(token, &layer.key_norm, key);
            part(token, query_width + kv_width + head * head_width, value);
        });
        let scale = 1.0 / (head_width as f32).sqrt();
        let query = |token: usize, head: usize, out: &mut [f32]| {
            part(token, head * head_width, out);
            turn(token, &layer.query_norm, out);
            out.iter_mut().for_each(|value| *value *= scale);
        };
        attend(pool, &kv.cache, number, Heads { queries: heads, window: sliding_window }, sequences, &query, attended);
        input.fill(pool, layer.output.want(), tokens, query_width, &|token, out| {
            out.copy_from_slice(&attended[token * query_width..][..query_width]);
        });
        multiply_many(pool, input, &[&layer.output], Store::Add, stream);
    }

    fn feed_forward(&self, layer: &Layer, scratch: &mut Scratch) {
        let Architecture { width, feed_forward, norm_epsilon, .. } = self.architecture;
        let (pool, tokens) = (&*self.pool, scratch.places.len());
        let Scratch { stream, input, gated, .. } = scratch;
        let weights = [&layer.gate, &layer.up];
        input.fill(pool, want(&weights), tokens, width, &|token, out| {
            rms_norm(&stream[token * width..][..width], &layer.feed_forward_norm, norm_epsilon, out);
        });
        multiply_many(pool, input, &weights, Store::Replace, gated);
        input.fill(pool, layer.down.want(), tokens, feed_forward, &|token, out| {
            let (gate, up) = gated[token * 2 * feed_forward..][..2 * feed_forward].split_at(feed_forward);
            lakemill_kernels::activation::swiglu(gate, up, out);
        });
        multiply_many(pool, input, &[&layer.down], Store::Add, stream);
    }

    /// The logits of the tokens that want them.
    fn head(&self, chunks: &[Chunk<'_>], scratch: &mut Scratch, logits: &mut Vec<f32>) {
        let Architecture { width, vocabulary, norm_epsilon, .. } = self.architecture;
        let (mut rows, mut end) = (Vec::new(), 0);
        for chunk in chunks {
            end += chunk.tokens.len();
            rows.extend(end - chunk.logits..end);
        }
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        let Scratch { stream, input, .. } = scratch;
        input.fill(&self.pool, head.want(), rows.len(), width, &|index, out| {
            rms_norm(&stream[rows[index] * width..][..width], &self.norm, norm_epsilon, out);
        });
        let before = logits.len();
        logits.resize(before + rows.len() * vocabulary, 0.0);
        multiply_many(&self.pool, input, &[head], Store::Replace, &mut logits[before..]);
    }

    fn pairs(&self) -> Pairs {
        match self.architecture.rope.layout {
            RopeLayout::Interleaved => Pairs::Neighbours,
            RopeLayout::Half => Pairs::Halves,
        }
    }
}

impl fmt::Debug for LanguageModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanguageModel").field("architecture", &self.architecture).finish_non_exhaustive()
    }
}
