//! Growth of one tree.
//!
//! Leaves are split in the order that the settings ask for: by gain, or level by level. To keep all threads busy, the
//! leaves that come next in that order are split ahead of time, in waves; what is never asked for stays a leaf. A
//! tree is therefore the same whatever the size of a wave.

use std::cmp::Ordering;
use std::sync::{Mutex, PoisonError};

use lakemill_base::SplitMix64;
use lakemill_kernels::partition::partition;
use rayon::prelude::*;

use super::dataset::Dataset;
use super::histogram::{Rounded, Sums, build, subtract};
use super::params::{Growth, TreeParams};
use super::split::{BinSet, Scoring, Split, best, contains};

/// Leaves that are split ahead of time, per thread.
const WAVE_PER_THREAD: usize = 2;

/// Leaves with fewer rows do not keep their histogram: when they are split, both children's are made from the rows.
/// This bounds the memory of histograms by the number of rows, however many leaves there are.
const HISTOGRAM_ROWS_MIN: usize = 512;

/// Rows of one task of a partition.
const PARTITION_ROWS: usize = 32_768;

/// What trees are grown from.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    pub(super) data: &'a Dataset<'a>,
    pub(super) params: &'a TreeParams,
    pub(super) rounded: &'a Rounded,
    pub(super) first: &'a [f64],
    pub(super) second: &'a [f64],
    /// The columns that this tree may use, ascending.
    pub(super) columns: &'a [usize],
    pub(super) random: SplitMix64,
}

/// A node of a grown tree, in preorder.
#[derive(Clone, Debug)]
pub(super) struct GrownNode {
    pub(super) split: Option<Split>,
    /// Left and right child; 0 for a leaf.
    pub(super) children: [u32; 2],
    pub(super) value: f64,
    pub(super) cover: f64,
    /// A leaf's rows, in the list of all rows.
    pub(super) rows: (usize, usize),
}

/// A grown tree.
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) nodes: Vec<GrownNode>,
    /// The rows that it was grown on, leaf by leaf, ascending within each.
    pub(super) rows: Vec<u32>,
}

impl Grown {
    /// The value of a row's leaf, by the row's bins.
    pub(super) fn value(&self, data: &Dataset<'_>, row: usize) -> f64 {
        let mut node = &self.nodes[0];
        while let Some(split) = &node.split {
            let bin = data.layout.places[split.column].as_ref().map_or(0, |place| data.bin(row, place));
            node = &self.nodes[node.children[usize::from(!contains(&split.left_bins, bin))] as usize];
        }
        node.value
    }
}

/// A leaf of the growing tree, or what was one.
struct Leaf {
    start: usize,
    end: usize,
    depth: u32,
    sums: Sums,
    random: SplitMix64,
    histogram: Vec<Sums>,
    split: Option<Split>,
    /// Its children, once it was split, be it ahead of time.
    children: Option<[usize; 2]>,
    /// Whether the split counts.
    taken: bool,
}

/// Memory that one tree hands on to the next: asking the system for it anew would cost a tenth of the time.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) rows: Vec<u32>,
    scratch: Vec<u32>,
    histograms: Histograms,
}

/// Histograms that nobody needs any more. Their sums are stale: whoever takes one writes all of it.
#[derive(Debug, Default)]
struct Histograms(Mutex<Vec<Vec<Sums>>>);

impl Histograms {
    fn take(&self, slots: usize) -> Vec<Sums> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.filter(|kept| kept.len() == slots).unwrap_or_else(|| vec![[0; 2]; slots])
    }

    fn give(&self, histogram: Vec<Sums>) {
        if !histogram.is_empty() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(histogram);
        }
    }
}

/// What every task of a tree shares.
struct Site<'a> {
    ground: &'a Ground<'a>,
    scoring: Scoring,
    histograms: &'a Histograms,
}

struct Grower<'a> {
    site: Site<'a>,
    leaves: Vec<Leaf>,
    rows: Vec<u32>,
    scratch: &'a mut [u32],
}

/// Grows a tree on `rows`, which ascend.
pub(super) fn grow(ground: &Ground<'_>, rows: Vec<u32>, room: &mut Room) -> Grown {
    let scoring = Scoring::new(ground.params, ground.rounded.units);
    room.scratch.resize(rows.len(), 0);
    let site = Site { ground, scoring, histograms: &room.histograms };
    let mut grower = Grower { site, leaves: Vec::new(), rows, scratch: &mut room.scratch };
    grower.plant();
    grower.split_leaves();
    grower.harvest()
}

impl Grower<'_> {
    fn plant(&mut self) {
        let sums = self.site.ground.rounded.sum(&self.rows);
        let mut root = Leaf {
            start: 0,
            end: self.rows.len(),
            depth: 0,
            sums,
            random: self.site.ground.random.clone(),
            histogram: Vec::new(),
            split: None,
            children: None,
            taken: false,
        };
        self.site.build_and_find(&mut root, &self.rows);
        self.leaves.push(root);
    }

    fn split_leaves(&mut self) {
        let most = match self.site.ground.params.max_leaves {
            0 => usize::MAX,
            leaves => leaves as usize,
        };
        let wave = (WAVE_PER_THREAD * rayon::current_num_threads()).max(2);
        let mut count = 1;
        let mut open: Vec<usize> = if self.leaves[0].split.is_some() { vec![0] } else { Vec::new() };
        while count < most && !open.is_empty() {
            // The best leaf stands last.
            open.sort_unstable_by(|a, b| self.order(*a, *b));
            let Some(next) = open.pop() else { break };
            if self.leaves[next].children.is_none() {
                let mut chosen = vec![next];
                let others = open.iter().rev().filter(|leaf| self.leaves[**leaf].children.is_none());
                chosen.extend(others.take(wave.min(most - count) - 1));
                self.expand(chosen);
            }
            self.leaves[next].taken = true;
            count += 1;
            for child in self.leaves[next].children.into_iter().flatten() {
                if self.leaves[child].split.is_some() {
                    open.push(child);
                }
            }
        }
    }

    /// Which of two leaves is split later; no two are equal.
    fn order(&self, a: usize, b: usize) -> Ordering {
        let (a, b) = (&self.leaves[a], &self.leaves[b]);
        let by_place = b.start.cmp(&a.start);
        match self.site.ground.params.growth {
            Growth::LeafWise if self.site.ground.params.max_leaves != 0 => {
                let gain = |leaf: &Leaf| leaf.split.as_ref().map_or(0.0, |split| split.gain);
                gain(a).total_cmp(&gain(b)).then(by_place)
            }
            Growth::DepthWise if self.site.ground.params.max_leaves != 0 => b.depth.cmp(&a.depth).then(by_place),
            // Without a limit on leaves the order changes nothing: depth first keeps the fewest histograms.
            _ => a.depth.cmp(&b.depth).then(by_place),
        }
    }

    /// Splits leaves, each on its own part of the rows.
    fn expand(&mut self, mut chosen: Vec<usize>) {
        chosen.sort_unstable_by_key(|leaf| self.leaves[*leaf].start);
        let site = &self.site;
        let histograms: Vec<Vec<Sums>> =
            chosen.iter().map(|leaf| std::mem::take(&mut self.leaves[*leaf].histogram)).collect();
        let mut tasks = Vec::with_capacity(chosen.len());
        let (mut rows, mut scratch, mut at) = (self.rows.as_mut_slice(), &mut *self.scratch, 0);
        for (leaf, histogram) in chosen.iter().zip(histograms) {
            let leaf = &self.leaves[*leaf];
            let (own, own_scratch);
            (own, rows) = rows.split_at_mut(leaf.start - at).1.split_at_mut(leaf.end - leaf.start);
            (own_scratch, scratch) = scratch.split_at_mut(leaf.start - at).1.split_at_mut(leaf.end - leaf.start);
            at = leaf.end;
            tasks.push((histogram, leaf, own, own_scratch));
        }
        let run = |(histogram, leaf, rows, scratch): (Vec<Sums>, &Leaf, &mut [u32], &mut [u32])| {
            site.split(leaf, histogram, rows, scratch)
        };
        let made: Vec<Option<[Leaf; 2]>> = tasks.into_par_iter().with_max_len(1).map(run).collect();
        for (leaf, children) in chosen.into_iter().zip(made) {
            if let Some([left, right]) = children {
                let first = self.leaves.len();
                self.leaves[leaf].children = Some([first, first + 1]);
                self.leaves.push(left);
                self.leaves.push(right);
            }
        }
    }

    /// The tree of the splits that were taken, in preorder, with values summed exactly.
    fn harvest(mut self) -> Grown {
        let mut nodes = Vec::new();
        // A node, and the parent and side that point to it.
        let mut open = vec![(0usize, None::<(usize, usize)>)];
        while let Some((leaf, from)) = open.pop() {
            let at = nodes.len();
            if let Some((parent, side)) = from {
                let parent: &mut GrownNode = &mut nodes[parent];
                parent.children[side] = at as u32;
            }
            let leaf = &mut self.leaves[leaf];
            self.site.histograms.give(std::mem::take(&mut leaf.histogram));
            let split = if leaf.taken { leaf.split.take() } else { None };
            if let (true, Some([left, right])) = (leaf.taken, leaf.children) {
                open.push((right, Some((at, 1))));
                open.push((left, Some((at, 0))));
            } else if leaf.children.is_some() {
                // It was split ahead of time and in vain: its rows stand in two runs.
                self.rows[leaf.start..leaf.end].sort_unstable();
            }
            let (first, second) = self.site.scoring.scaled(leaf.sums);
            let value = self.site.scoring.leaf_value(first, second);
            nodes.push(GrownNode { split, children: [0, 0], value, cover: second, rows: (leaf.start, leaf.end) });
        }
        let (ground, scoring, rows) = (self.site.ground, &self.site.scoring, &self.rows);
        let rate = ground.params.learning_rate / f64::from(ground.params.parallel_trees);
        nodes.par_iter_mut().with_max_len(4).for_each(|node| {
            if node.split.is_none() {
                let (mut first, mut second) = (0.0, 0.0);
                for row in &rows[node.rows.0..node.rows.1] {
                    first += ground.first[*row as usize];
                    second += ground.second[*row as usize];
                }
                node.value = scoring.leaf_value(first, second);
                node.cover = second;
            }
            node.value *= rate;
        });
        Grown { nodes, rows: self.rows }
    }
}

impl Site<'_> {
    fn may_split(&self, leaf: &Leaf) -> bool {
        let most = self.ground.params.max_depth;
        let deep = most != 0 && leaf.depth >= most;
        !deep && leaf.end - leaf.start >= 2 && self.scoring.may_split(leaf.sums) && self.ground.data.layout.slots > 0
    }

    fn build(&self, rows: &[u32]) -> Vec<Sums> {
        let mut histogram = self.histograms.take(self.ground.data.layout.slots);
        build(self.ground.data, self.ground.rounded, rows, &mut histogram);
        histogram
    }

    fn build_and_find(&self, leaf: &mut Leaf, rows: &[u32]) {
        if self.may_split(leaf) {
            self.find_split(leaf, self.build(rows));
        }
    }

    fn find_split(&self, leaf: &mut Leaf, histogram: Vec<Sums>) {
        let sampled = self.columns_of(leaf);
        let columns = sampled.as_deref().unwrap_or(self.ground.columns);
        leaf.split = best(self.ground.data.layout, &histogram, columns, leaf.sums, &self.scoring);
        if leaf.split.is_some() && leaf.end - leaf.start >= HISTOGRAM_ROWS_MIN {
            leaf.histogram = histogram;
        } else {
            self.histograms.give(histogram);
        }
    }

    /// The columns that a node may use, where not all that the tree may.
    fn columns_of(&self, leaf: &Leaf) -> Option<Vec<usize>> {
        let (by_level, by_node) = (self.ground.params.colsample_bylevel, self.ground.params.colsample_bynode);
        if by_level >= 1.0 && by_node >= 1.0 {
            return None;
        }
        let mut of_level = self.ground.random.split(u64::from(leaf.depth) + 1);
        let columns = sample_columns(self.ground.columns, by_level, &mut of_level);
        Some(sample_columns(&columns, by_node, &mut leaf.random.clone()))
    }

    /// Splits a leaf: orders its rows by side, and makes the children with their histograms and best splits.
    fn split(&self, leaf: &Leaf, mut histogram: Vec<Sums>, rows: &mut [u32], scratch: &mut [u32]) -> Option<[Leaf; 2]> {
        let split = leaf.split.as_ref()?;
        let middle = self.partition(split, rows, scratch)?;
        let child = |start: usize, end: usize, sums: Sums, side: u64| Leaf {
            start: leaf.start + start,
            end: leaf.start + end,
            depth: leaf.depth + 1,
            sums,
            random: leaf.random.split(side),
            histogram: Vec::new(),
            split: None,
            children: None,
            taken: false,
        };
        let right_sums = [leaf.sums[0] - split.left[0], leaf.sums[1] - split.left[1]];
        let mut children = [child(0, middle, split.left, 1), child(middle, rows.len(), right_sums, 2)];
        let may = [0, 1].map(|side| self.may_split(&children[side]));
        let (left_rows, right_rows) = rows.split_at(middle);
        if histogram.is_empty() || (!may[0] && !may[1]) {
            for (child, rows) in children.iter_mut().zip([left_rows, right_rows]) {
                self.build_and_find(child, rows);
            }
            self.histograms.give(histogram);
            return Some(children);
        }
        let (small, small_rows) = if middle <= rows.len() / 2 { (0, left_rows) } else { (1, right_rows) };
        let large = 1 - small;
        let of_small = self.build(small_rows);
        if may[large] {
            subtract(&mut histogram, &of_small);
            self.find_split(&mut children[large], histogram);
        } else {
            self.histograms.give(histogram);
        }
        if may[small] {
            self.find_split(&mut children[small], of_small);
        } else {
            self.histograms.give(of_small);
        }
        Some(children)
    }

    /// Moves the rows that go left to the front; both sides keep their order.
    fn partition(&self, split: &Split, rows: &mut [u32], scratch: &mut [u32]) -> Option<usize> {
        let data = self.ground.data;
        let place = data.layout.places[split.column].as_ref()?;
        let (bins, width) = (&data.bins[place.group], data.layout.groups[place.group].len());
        let left = table(&split.left_bins);
        if rows.len() < 2 * PARTITION_ROWS {
            return Some(partition(rows, scratch, bins, width, place.lane, &left));
        }
        let lefts: Vec<usize> = rows
            .par_chunks_mut(PARTITION_ROWS)
            .zip(scratch.par_chunks_mut(PARTITION_ROWS))
            .with_max_len(1)
            .map(|(rows, scratch)| partition(rows, scratch, bins, width, place.lane, &left))
            .collect();
        let middle = lefts.iter().sum();
        let (mut to_left, mut to_right) = scratch.split_at_mut(middle);
        for (part, lefts) in rows.chunks(PARTITION_ROWS).zip(&lefts) {
            let (own_left, own_right) = part.split_at(*lefts);
            let (head, tail) = to_left.split_at_mut(own_left.len());
            head.copy_from_slice(own_left);
            to_left = tail;
            let (head, tail) = to_right.split_at_mut(own_right.len());
            head.copy_from_slice(own_right);
            to_right = tail;
        }
        rows.copy_from_slice(scratch);
        Some(middle)
    }
}

fn table(set: &BinSet) -> [bool; 256] {
    let mut table = [false; 256];
    for (bin, goes) in table.iter_mut().enumerate() {
        *goes = contains(set, bin as u8);
    }
    table
}

/// A share of the columns, at least one, ascending.
pub(super) fn sample_columns(columns: &[usize], share: f64, random: &mut SplitMix64) -> Vec<usize> {
    let mut sampled = columns.to_vec();
    let count = ((columns.len() as f64 * share) as usize).max(1);
    if count >= columns.len() {
        return sampled;
    }
    for at in 0..count {
        let other = at + random.below((sampled.len() - at) as u64) as usize;
        sampled.swap(at, other);
    }
    sampled.truncate(count);
    sampled.sort_unstable();
    sampled
}
