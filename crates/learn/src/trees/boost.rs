//! Boosting: tree after tree on the gradients of the loss so far.

use std::ops::ControlFlow;

use lakemill_base::{SplitMix64, Stopwatch};
use rayon::prelude::*;

use crate::encode::TreeColumn;
use crate::{Driver, Error, Iteration, Result, TrainingObserver};

use super::bins::{ColumnBins, Cuts};
use super::dataset::{Dataset, Layout};
use super::forest::{Feature, FeatureKind, Forest, Node, NodeSplit, Test, Tree};
use super::grow::{Ground, Grown, Room, grow, sample_columns};
use super::histogram::Rounded;
use super::{Objective, TreeParams};

/// Rows of one unit of work. Losses are summed in units of this size, so that their sum does not depend on threads.
const CHUNK_ROWS: usize = 8_192;

/// Row numbers are 32 bits wide.
const ROWS_MAX: usize = u32::MAX as usize;

/// Rows with what is to be learned from them.
#[derive(Clone, Copy, Debug)]
pub struct TrainingRows<'a> {
    /// The features, each with one value per row.
    pub columns: &'a [TreeColumn],
    /// The target per row: a number, or the number of the class.
    pub target: &'a [f64],
    /// Weights per row, above or equal to zero; without them every row weighs 1.
    pub weights: Option<&'a [f64]>,
}

impl TrainingRows<'_> {
    fn check(&self, objective: Objective) -> Result<()> {
        let rows = self.target.len();
        if rows > ROWS_MAX {
            return Err(Error::exhausted(format!("trees learn from at most {ROWS_MAX} rows, not {rows}")));
        }
        let differs = |column: &&TreeColumn| column.rows() != rows;
        if let Some(column) = self.columns.iter().find(differs) {
            let given = column.rows();
            return Err(Error::internal(format!("column '{}' has {given} rows, the label {rows}", column.name)));
        }
        if self.weights.is_some_and(|weights| weights.len() != rows) {
            return Err(Error::internal("there must be one weight per row"));
        }
        objective.check(self.target, self.weights)
    }
}

/// A trained forest and how the training went.
#[derive(Clone, Debug)]
pub struct BoostedTrees {
    /// The forest; where the held-out loss decides when to stop, cut behind the iteration with the least of it.
    pub forest: Forest,
    /// Every iteration that was run.
    pub iterations: Vec<Iteration>,
    /// The iteration that the forest ends with.
    pub best_iteration: u32,
}

/// Fits boosted trees to `train`, watching the loss on `eval`.
///
/// # Errors
/// A setting out of range, a target or weight that cannot be used, no rows, or the observer cancelled.
pub fn fit(
    train: &TrainingRows<'_>,
    eval: Option<&TrainingRows<'_>>,
    params: &TreeParams,
    objective: Objective,
    driver: &Driver,
    observer: &dyn TrainingObserver,
) -> Result<BoostedTrees> {
    params.check()?;
    train.check(objective)?;
    if train.target.is_empty() {
        return Err(Error::data("there are no rows to learn from"));
    }
    if let Some(eval) = eval {
        eval.check(objective)?;
        if eval.columns.len() != train.columns.len() {
            return Err(Error::internal("the held-out rows must have the training's columns"));
        }
    }
    let eval = eval.filter(|eval| !eval.target.is_empty());
    driver.pool().install(|| boost(train, eval, params, objective, observer))
}

fn boost(
    train: &TrainingRows<'_>,
    eval: Option<&TrainingRows<'_>>,
    params: &TreeParams,
    objective: Objective,
    observer: &dyn TrainingObserver,
) -> Result<BoostedTrees> {
    let layout = Layout::fit(train.columns, params.max_bins as usize)?;
    let data = Dataset::encode(&layout, train.columns, train.target.len())?;
    let base_scores = objective.base_scores(train.target, train.weights);
    let mut of_train = Scored::new(&data, train, objective, &base_scores);
    let eval_data = eval.map(|eval| Dataset::encode(&layout, eval.columns, eval.target.len())).transpose()?;
    let mut of_eval = eval.zip(eval_data.as_ref()).map(|(rows, data)| Scored::new(data, rows, objective, &base_scores));
    let mut room = Room::default();
    let mut gradients = Gradients::new(objective.outputs(), train.target.len());
    let mut trees = Vec::new();
    let mut iterations: Vec<Iteration> = Vec::new();
    of_train.loss_and_gradients(Some(&mut gradients));
    for iteration in 0..params.iterations {
        let watch = Stopwatch::start();
        for output in 0..objective.outputs() {
            gradients.round(output);
            for parallel in 0..params.parallel_trees {
                let number = (u64::from(iteration) * objective.outputs() as u64 + output as u64)
                    * u64::from(params.parallel_trees)
                    + u64::from(parallel);
                let grown =
                    grow_tree(&data, params, &gradients, output, SplitMix64::new(params.seed).split(number), &mut room);
                of_train.add(&grown, output, params.subsample >= 1.0);
                if let Some(of_eval) = &mut of_eval {
                    of_eval.add(&grown, output, false);
                }
                trees.push(finished(&grown, &layout, output as u32, iteration));
                room.rows = grown.rows;
            }
        }
        let loss = of_train.loss_and_gradients(Some(&mut gradients));
        let eval_loss = of_eval.as_mut().map(|of_eval| of_eval.loss_and_gradients(None));
        let done = Iteration {
            iteration,
            of: params.iterations,
            loss,
            eval_loss,
            learning_rate: Some(params.learning_rate),
            duration_ms: watch.millis(),
        };
        let stop = params.early_stop && iterations.last().is_some_and(|before| stalls(before, &done, params));
        let told = observer.iteration(&done);
        iterations.push(done);
        if told == ControlFlow::Break(()) {
            return Err(Error::cancelled());
        }
        if stop {
            break;
        }
    }
    let best_iteration = best_iteration(&iterations, params.early_stop);
    trees.retain(|tree: &Tree| tree.iteration <= best_iteration);
    let features = features(train.columns, &layout);
    Ok(BoostedTrees { forest: Forest::new(objective, features, base_scores, trees), iterations, best_iteration })
}

/// Whether an iteration brought too little, on the held-out rows or, without them, on the training rows.
fn stalls(before: &Iteration, now: &Iteration, params: &TreeParams) -> bool {
    let (before, now) = (before.eval_loss.unwrap_or(before.loss), now.eval_loss.unwrap_or(now.loss));
    before - now < params.min_rel_progress * before.abs()
}

fn best_iteration(iterations: &[Iteration], early_stop: bool) -> u32 {
    let last = iterations.len().saturating_sub(1) as u32;
    let by_eval = |a: &&Iteration, b: &&Iteration| {
        let loss = |i: &Iteration| i.eval_loss.unwrap_or(f64::INFINITY);
        loss(a).total_cmp(&loss(b)).then(a.iteration.cmp(&b.iteration))
    };
    match iterations.last() {
        Some(end) if early_stop && end.eval_loss.is_some() => {
            iterations.iter().min_by(by_eval).map_or(last, |best| best.iteration)
        }
        _ => last,
    }
}

fn grow_tree(
    data: &Dataset<'_>,
    params: &TreeParams,
    gradients: &Gradients,
    output: usize,
    random: SplitMix64,
    room: &mut Room,
) -> Grown {
    let places = &data.layout.places;
    let all: Vec<usize> = (0..places.len()).filter(|column| places[*column].is_some()).collect();
    let columns = match all.is_empty() {
        true => all,
        false => sample_columns(&all, params.colsample_bytree, &mut random.split(0)),
    };
    let mut rows = std::mem::take(&mut room.rows);
    rows.clear();
    let every = 0..data.rows as u32;
    if params.subsample >= 1.0 {
        rows.extend(every);
    } else {
        let of_rows = random.split(u64::MAX);
        rows.extend(every.filter(|row| of_rows.split(u64::from(*row)).next_f64() < params.subsample));
    }
    let ground = Ground {
        data,
        params,
        rounded: &gradients.rounded[output],
        first: &gradients.first[output],
        second: &gradients.second[output],
        columns: &columns,
        random,
    };
    grow(&ground, rows, room)
}

/// First and second derivatives, `[outputs][rows]`, as they are and rounded.
struct Gradients {
    first: Vec<Vec<f64>>,
    second: Vec<Vec<f64>>,
    rounded: Vec<Rounded>,
}

impl Gradients {
    fn new(outputs: usize, rows: usize) -> Self {
        let zeros = || vec![vec![0.0; rows]; outputs];
        let rounded = (0..outputs).map(|_| Rounded::new(&[], &[], None)).collect();
        Self { first: zeros(), second: zeros(), rounded }
    }

    fn round(&mut self, output: usize) {
        let reuse = std::mem::replace(&mut self.rounded[output], Rounded::new(&[], &[], None));
        self.rounded[output] = Rounded::new(&self.first[output], &self.second[output], Some(reuse));
    }
}

/// Rows with their scores so far, `[outputs][rows]`.
struct Scored<'a> {
    data: &'a Dataset<'a>,
    rows: &'a TrainingRows<'a>,
    objective: Objective,
    scores: Vec<Vec<f64>>,
    weight: f64,
}

impl<'a> Scored<'a> {
    fn new(data: &'a Dataset<'a>, rows: &'a TrainingRows<'a>, objective: Objective, base_scores: &[f64]) -> Self {
        let scores = base_scores.iter().map(|base| vec![*base; rows.target.len()]).collect();
        let weight = rows.weights.map_or(rows.target.len() as f64, |weights| weights.iter().sum());
        Self { data, rows, objective, scores, weight }
    }

    /// Adds a tree's values. When it was grown on all of these rows, their leaves are known; else they are looked up.
    fn add(&mut self, grown: &Grown, output: usize, by_rows: bool) {
        let data = self.data;
        self.scores[output].par_chunks_mut(CHUNK_ROWS).enumerate().for_each(|(chunk, scores)| {
            let start = chunk * CHUNK_ROWS;
            if !by_rows {
                for (row, score) in scores.iter_mut().enumerate() {
                    *score += grown.value(data, start + row);
                }
                return;
            }
            for leaf in grown.nodes.iter().filter(|node| node.split.is_none()) {
                let rows = &grown.rows[leaf.rows.0..leaf.rows.1];
                let from = rows.partition_point(|row| (*row as usize) < start);
                let to = from + rows[from..].partition_point(|row| (*row as usize) < start + scores.len());
                for row in &rows[from..to] {
                    scores[*row as usize - start] += leaf.value;
                }
            }
        });
    }

    /// The mean loss, and the derivatives where they are asked for.
    fn loss_and_gradients(&mut self, gradients: Option<&mut Gradients>) -> f64 {
        let chunks = self.rows.target.len().div_ceil(CHUNK_ROWS);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        if let Some(gradients) = gradients {
            first = by_chunk(&mut gradients.first, chunks);
            second = by_chunk(&mut gradients.second, chunks);
        }
        first.resize_with(chunks, Vec::new);
        second.resize_with(chunks, Vec::new);
        let this = &*self;
        let losses: Vec<f64> = first
            .into_par_iter()
            .zip(second)
            .enumerate()
            .with_max_len(1)
            .map(|(chunk, (first, second))| this.chunk(chunk * CHUNK_ROWS, first, second))
            .collect();
        if self.weight > 0.0 { losses.iter().sum::<f64>() / self.weight } else { 0.0 }
    }

    fn chunk(&self, start: usize, mut first: Vec<&mut [f64]>, mut second: Vec<&mut [f64]>) -> f64 {
        let end = (start + CHUNK_ROWS).min(self.rows.target.len());
        let target = &self.rows.target[start..end];
        let scores: Vec<&[f64]> = self.scores.iter().map(|scores| &scores[start..end]).collect();
        let mut losses = [0.0; CHUNK_ROWS];
        let losses = &mut losses[..end - start];
        if first.is_empty() {
            self.objective.losses(&scores, target, losses);
        } else {
            self.objective.losses_and_derivatives(&scores, target, losses, &mut first, &mut second);
        }
        if let Some(weights) = self.rows.weights {
            let weigh = |values: &mut [f64]| {
                values.iter_mut().zip(&weights[start..end]).for_each(|(value, weight)| *value *= weight);
            };
            first.into_iter().chain(second).for_each(weigh);
            weigh(losses);
        }
        losses.iter().sum()
    }
}

/// The parts of every output that belong to each chunk.
fn by_chunk(values: &mut [Vec<f64>], chunks: usize) -> Vec<Vec<&mut [f64]>> {
    let mut parts: Vec<Vec<&mut [f64]>> = (0..chunks).map(|_| Vec::with_capacity(values.len())).collect();
    for values in values {
        for (part, values) in parts.iter_mut().zip(values.chunks_mut(CHUNK_ROWS)) {
            part.push(values);
        }
    }
    parts
}

fn features(columns: &[TreeColumn], layout: &Layout) -> Vec<Feature> {
    let kind = |bins: &ColumnBins| match &bins.cuts {
        Cuts::Numeric { .. } => FeatureKind::Numeric,
        Cuts::Categorical { bin_of_code } => FeatureKind::Categorical { bin_of_code: bin_of_code.clone() },
    };
    columns
        .iter()
        .zip(&layout.bins)
        .map(|(column, bins)| Feature { name: column.name.clone(), kind: kind(bins) })
        .collect()
}

/// A grown tree in terms of values instead of bins.
fn finished(grown: &Grown, layout: &Layout, output: u32, iteration: u32) -> Tree {
    let nodes = grown
        .nodes
        .iter()
        .map(|node| {
            let split = node.split.as_ref().map(|split| NodeSplit {
                feature: split.column as u32,
                test: match (&layout.bins[split.column].cuts, split.last_left) {
                    (Cuts::Numeric { upper, .. }, Some(last)) => {
                        // Behind the last bound, all numbers go left and missing values right.
                        Test::AtMost(upper.get(usize::from(last)).copied().unwrap_or(f64::INFINITY))
                    }
                    _ => Test::In(split.left_bins),
                },
                missing_left: split.missing_left,
                gain: split.gain,
                left: node.children[0],
                right: node.children[1],
            });
            Node { split, value: node.value, cover: node.cover }
        })
        .collect();
    Tree { output, iteration, nodes }
}
