//! Encoders of the BERT family (MiniLM, BGE, E5): texts to vectors whose angles tell how near their meanings are.
//!
//! Texts run in batches of some thousand tokens, one behind the other without padding; each attends to itself alone.
//!
//! **Architecture invariant:** the vector of a text does not depend on the texts beside it or on the number of threads.

mod config;
mod layer;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use lakemill_kernels::activation::{gelu, gelu_tanh, softmax};
use lakemill_kernels::matmul::{Packed, Store, multiply_many};
use lakemill_kernels::norm::layer_norm;
use lakemill_kernels::pool::Pool;
use lakemill_kernels::quant::activations::{Activations, Want};
use lakemill_kernels::vector::{dot, dots};

use crate::error::{Error, Result};
use crate::files::ModelFiles;
use crate::tokenizer::Tokenizer;
use crate::weights::matrix;
pub use config::{Activation, EncoderConfig, Pooling};
use layer::{Layer, Linear, Norm};

/// Tokens that run together: enough to use each weight many times, few enough for the caches.
const BATCH_TOKENS: usize = 2048;
/// Rows that one thread takes at a time where little is done to each.
const ROWS_PER_CHUNK: usize = 16;

/// An encoder, ready to run.
#[derive(Debug)]
pub struct Encoder {
    config: EncoderConfig,
    tokenizer: Tokenizer,
    pool: Arc<Pool>,
    tokens: Packed,
    positions: Packed,
    /// The embedding of the only kind of text that is used, `[width]`.
    kind: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

/// What a text has become.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// `[width]`.
    pub vector: Vec<f32>,
    /// How many tokens were read, those around the text included.
    pub tokens: usize,
}

impl Encoder {
    /// Loads an encoder from a `.gguf` file, or from a folder with config.json, safetensors and tokenizer.json; what
    /// sentence-transformers keeps beside them is heeded. Its products run on `pool`.
    pub fn load(path: &Path, pool: Arc<Pool>) -> Result<Self> {
        let files = ModelFiles::open(path)?;
        let config = EncoderConfig::read(&files)?;
        let weights = files.weights();
        let width = config.width;
        let kinds = weights.tensor("token_types.weight")?;
        let mut kind = kinds.to_f32();
        if kind.len() < width || kinds.shape.last() != Some(&width) {
            return Err(kinds.error(format!("it must have rows of {width} elements")));
        }
        kind.truncate(width);
        let layers = (0..config.layers).map(|layer| Layer::load(weights, &config, layer)).collect::<Result<_>>()?;
        Ok(Self {
            tokenizer: files.tokenizer()?,
            pool,
            tokens: matrix(weights, "token_embd.weight", config.vocabulary, width)?,
            positions: matrix(weights, "position_embd.weight", config.positions, width)?,
            kind,
            norm: Norm::load(weights, "token_embd_norm", width)?,
            layers,
            config,
        })
    }

    /// The structure of the model.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Elements of a vector.
    pub fn width(&self) -> usize {
        self.config.width
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Bytes of the repacked weights.
    pub fn memory_bytes(&self) -> usize {
        let layers: usize = self.layers.iter().map(Layer::memory_bytes).sum();
        layers + self.tokens.memory_bytes() + self.positions.memory_bytes()
    }

    /// The vectors of `texts`, in their order, each `[width]`. Longer texts are cut at the model's limit.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        Ok(self.embed_counted(texts)?.into_iter().map(|embedding| embedding.vector).collect())
    }

    /// As [`Self::embed`], with the number of tokens of each text.
    pub fn embed_counted(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let tokens_max = self.config.tokens_max;
        let mut encoded = Vec::with_capacity(texts.len());
        for text in texts {
            let ids = self.tokenizer.encode_truncated(text, tokens_max)?;
            if let Some(id) = ids.iter().find(|id| **id as usize >= self.config.vocabulary) {
                return Err(Error::data(format!("the tokenizer makes the token {id}, which the model lacks")));
            }
            if ids.is_empty() {
                return Err(Error::data("the tokenizer makes no tokens of a text; it must put some around every text"));
            }
            encoded.push(ids);
        }
        let mut order: Vec<usize> = (0..encoded.len()).collect();
        order.sort_by_key(|place| encoded[*place].len());
        let mut embeddings = vec![Embedding { vector: Vec::new(), tokens: 0 }; encoded.len()];
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_length(rest, &encoded));
            let sequences: Vec<&[u32]> = batch.iter().map(|place| encoded[*place].as_slice()).collect();
            for (place, vector) in batch.iter().zip(self.run(&sequences)) {
                embeddings[*place] = Embedding { vector, tokens: encoded[*place].len() };
            }
            rest = after;
        }
        Ok(embeddings)
    }

    /// The vectors of the sequences, whose ids are all known and at most as many as there are positions.
    fn run(&self, sequences: &[&[u32]]) -> Vec<Vec<f32>> {
        let mut ranges = Vec::with_capacity(sequences.len());
        let mut places = Vec::new();
        for sequence in sequences {
            ranges.push(places.len()..places.len() + sequence.len());
            places.extend(sequence.iter().enumerate().map(|(position, id)| (*id as usize, position)));
        }
        let mut stream = self.embeddings(&places);
        let mut work = Work::default();
        for layer in &self.layers {
            self.attend(layer, &ranges, &mut stream, &mut work);
            self.feed_forward(layer, &mut stream, &mut work);
        }
        ranges
            .into_iter()
            .map(|range| self.pooled(&stream[range.start * self.width()..range.end * self.width()]))
            .collect()
    }

    /// The sum of what a token, its position and its kind are, `[tokens, width]`.
    fn embeddings(&self, places: &[(usize, usize)]) -> Vec<f32> {
        let width = self.width();
        let mut stream = vec![0.0; places.len() * width];
        self.pool.for_each_row(&mut stream, width, ROWS_PER_CHUNK, &|row, values| {
            let (id, position) = places[row];
            let mut embedded = vec![0.0; width];
            self.tokens.row(id, values);
            self.positions.row(position, &mut embedded);
            for ((value, position), kind) in values.iter_mut().zip(&embedded).zip(&self.kind) {
                *value += kind + position;
            }
            layer_norm(values, &self.norm.weight, &self.norm.bias, self.config.norm_epsilon);
        });
        stream
    }

    fn attend(&self, layer: &Layer, ranges: &[Range<usize>], stream: &mut [f32], work: &mut Work) {
        let (width, heads, head_width) = (self.width(), self.config.heads, self.config.head_width());
        let tokens = stream.len() / width;
        let projections = [&layer.query, &layer.key, &layer.value];
        work.read(&self.pool, want(&projections), tokens, width, stream);
        work.wide.resize(tokens * 3 * width, 0.0);
        multiply_many(
            &self.pool,
            &work.input,
            &projections.map(|linear| &linear.weights),
            Store::Replace,
            &mut work.wide,
        );
        let biases = projections.map(|linear| linear.bias.as_slice());
        // One item for each head of each sequence: what its queries gather, `[tokens, head_width]`.
        let mut items: Vec<Vec<f32>> = vec![Vec::new(); ranges.len() * heads];
        let projected = &work.wide;
        self.pool.for_each_mut(&mut items, 1, &|item, out| {
            let head = item % heads * head_width;
            attend_head(projected, width, &biases, ranges[item / heads].clone(), head..head + head_width, out);
        });
        let mut gathered = vec![0.0; tokens * width];
        for (item, values) in items.iter().enumerate() {
            let first = ranges[item / heads].start;
            for (token, values) in values.chunks_exact(head_width).enumerate() {
                gathered[(first + token) * width + item % heads * head_width..][..head_width].copy_from_slice(values);
            }
        }
        self.add_and_norm(&layer.output, &layer.attention_norm, &gathered, stream, work);
    }

    fn feed_forward(&self, layer: &Layer, stream: &mut [f32], work: &mut Work) {
        let tokens = stream.len() / self.width();
        let inner = self.config.feed_forward;
        work.read(&self.pool, layer.up.weights.want(), tokens, self.width(), stream);
        let mut wide = std::mem::take(&mut work.wide);
        wide.resize(tokens * inner, 0.0);
        multiply_many(&self.pool, &work.input, &[&layer.up.weights], Store::Replace, &mut wide);
        self.pool.for_each_row(&mut wide, inner, ROWS_PER_CHUNK, &|_, values| {
            values.iter_mut().zip(&layer.up.bias).for_each(|(value, bias)| *value += bias);
            match self.config.activation {
                Activation::Gelu => gelu(values),
                Activation::GeluTanh => gelu_tanh(values),
            }
        });
        self.add_and_norm(&layer.down, &layer.output_norm, &wide, stream, work);
        work.wide = wide;
    }

    /// `stream = norm(stream + linear(input))`.
    fn add_and_norm(&self, linear: &Linear, norm: &Norm, input: &[f32], stream: &mut [f32], work: &mut Work) {
        let tokens = stream.len() / self.width();
        work.read(&self.pool, linear.weights.want(), tokens, linear.weights.columns(), input);
        multiply_many(&self.pool, &work.input, &[&linear.weights], Store::Add, stream);
        self.pool.for_each_row(stream, self.width(), ROWS_PER_CHUNK, &|_, values| {
            values.iter_mut().zip(&linear.bias).for_each(|(value, bias)| *value += bias);
            layer_norm(values, &norm.weight, &norm.bias, self.config.norm_epsilon);
        });
    }

    /// One vector of a sequence's, `[tokens, width]`.
    fn pooled(&self, stream: &[f32]) -> Vec<f32> {
        let width = self.width();
        let mut rows = stream.chunks_exact(width);
        let mut vector = match self.config.pooling {
            Pooling::First => rows.next().unwrap_or_default().to_vec(),
            Pooling::Last => rows.next_back().unwrap_or_default().to_vec(),
            Pooling::Max => fold(rows, vec![f32::NEG_INFINITY; width], f32::max),
            Pooling::Mean => {
                let mut sums = fold(rows, vec![0.0; width], |sum, value| sum + value);
                let share = width as f32 / stream.len() as f32;
                sums.iter_mut().for_each(|sum| *sum *= share);
                sums
            }
        };
        let length = dot(&vector, &vector).sqrt();
        if self.config.normalise && length > 0.0 {
            vector.iter_mut().for_each(|value| *value /= length);
        }
        vector
    }
}

/// What a batch needs room for, kept from layer to layer.
#[derive(Default)]
struct Work {
    input: Activations,
    wide: Vec<f32>,
}

impl Work {
    fn read(&mut self, pool: &Pool, want: Want, tokens: usize, columns: usize, values: &[f32]) {
        self.input.fill(pool, want, tokens, columns, &|token, row| {
            row.copy_from_slice(&values[token * columns..][..columns])
        });
    }
}

fn want(linears: &[&Linear]) -> Want {
    let wants = linears.iter().map(|linear| linear.weights.want());
    wants.fold(Want::default(), |all, want| Want {
        blocks: all.blocks || want.blocks,
        values: all.values || want.values,
    })
}

fn fold<'a>(rows: impl Iterator<Item = &'a [f32]>, mut all: Vec<f32>, join: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    for row in rows {
        all.iter_mut().zip(row).for_each(|(all, value)| *all = join(*all, *value));
    }
    all
}

/// How many of the places, whose texts become longer, make a batch: at least one.
fn batch_length(places: &[usize], encoded: &[Vec<u32>]) -> usize {
    let mut tokens = 0;
    let fits = places.iter().take_while(|place| {
        tokens += encoded[**place].len();
        tokens <= BATCH_TOKENS
    });
    fits.count().max(1)
}

/// What one head of one sequence gathers. `projected` is `[all tokens, 3 * width]`: queries, keys, values.
fn attend_head(
    projected: &[f32],
    width: usize,
    biases: &[&[f32]; 3],
    tokens: Range<usize>,
    head: Range<usize>,
    out: &mut Vec<f32>,
) {
    let (count, head_width) = (tokens.len(), head.len());
    let part = |token: usize, which: usize| &projected[token * 3 * width + which * width..][head.clone()];
    let scale = 1.0 / (head_width as f32).sqrt();
    let mut keys = Vec::with_capacity(count * head_width);
    // Values lie by element, so that both products are of rows.
    let mut values = vec![0.0; count * head_width];
    for (place, token) in tokens.clone().enumerate() {
        keys.extend(part(token, 1).iter().zip(&biases[1][head.clone()]).map(|(value, bias)| value + bias));
        for (element, (value, bias)) in part(token, 2).iter().zip(&biases[2][head.clone()]).enumerate() {
            values[element * count + place] = value + bias;
        }
    }
    out.resize(count * head_width, 0.0);
    let mut query = vec![0.0; head_width];
    let mut scores = vec![0.0; count];
    for (token, out) in tokens.zip(out.chunks_exact_mut(head_width)) {
        let biased = part(token, 0).iter().zip(&biases[0][head.clone()]);
        query.iter_mut().zip(biased).for_each(|(query, (value, bias))| *query = (value + bias) * scale);
        dots(&query, &keys, &mut scores);
        softmax(&mut scores);
        dots(&scores, &values, out);
    }
}
