//! Building a graph, from many threads at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::walk::{Near, Visits, walk};
use super::{Graph, GraphError, NONE, Shape, Space};

/// No vector stands higher: with two neighbours each, that many levels are enough for more vectors than there are numbers.
const HEIGHT_MAX: usize = 31;

/// The neighbours of a vector, level by level from the lowest.
type Levels = Mutex<Vec<Vec<u32>>>;

/// A graph that vectors are being added to.
#[derive(Debug)]
pub struct Builder {
    space: Space,
    shape: Shape,
    nodes: Vec<Levels>,
    visits: Visits,
}

impl Builder {
    /// A graph of these vectors, one after the other, none of which is added yet; `numbers` has the number of each.
    ///
    /// # Errors
    /// The lengths do not fit together, the shape is none, or there are more vectors than numbers.
    pub fn new(shape: Shape, mut elements: Vec<f32>, mut numbers: Vec<u32>) -> Result<Self, GraphError> {
        if shape.dimensions == 0 || shape.connectivity < 2 {
            return Err(GraphError("a graph needs vectors of one element or more, and two neighbours for each"));
        }
        if numbers.len().checked_mul(shape.dimensions) != Some(elements.len()) || numbers.len() >= NONE as usize {
            return Err(GraphError("a graph needs as many elements as its vectors have, and fewer than 2^32 vectors"));
        }
        let mut heights: Vec<usize> = (0..numbers.len()).map(|node| height(node, shape.connectivity)).collect();
        // The entry is the first.
        if let Some(highest) = (0..heights.len()).max_by_key(|node| heights[*node]) {
            heights.swap(0, highest);
            numbers.swap(0, highest);
            for element in 0..shape.dimensions {
                elements.swap(element, highest * shape.dimensions + element);
            }
        }
        let nodes = heights.into_iter().map(|height| Mutex::new(vec![Vec::new(); height + 1])).collect();
        let space = Space { dimensions: shape.dimensions, measure: shape.measure, numbers, elements };
        Ok(Self { space, shape, nodes, visits: Visits::default() })
    }

    /// Adds the vector at this place (Algorithm 1). Each is added once, in any order, from any thread.
    pub fn add(&self, place: usize) {
        let (Ok(node), Some(levels)) = (u32::try_from(place), self.nodes.get(place)) else { return };
        if node == 0 {
            return;
        }
        let own_height = lock(levels).len() - 1;
        let vector = self.space.vector(node);
        let mut nearest = vec![self.space.near(vector, 0)];
        let entry_levels = lock(&self.nodes[0]).len();
        for level in (0..entry_levels).rev() {
            if level > own_height {
                nearest = self.walk(vector, &nearest, 1, level);
                continue;
            }
            nearest = self.walk(vector, &nearest, self.shape.breadth.max(1), level);
            // Another thread's vector may have this one as a neighbour already.
            let others = nearest.iter().copied().filter(|near| near.node != node);
            let chosen = self.chosen(others, self.shape.connectivity);
            self.link(node, level, &chosen);
        }
    }

    fn link(&self, node: u32, level: usize, chosen: &[Near]) {
        {
            let mut levels = lock(&self.nodes[node as usize]);
            for near in chosen {
                if !levels[level].contains(&near.node) {
                    levels[level].push(near.node);
                }
            }
        }
        // To choose anew costs as much as to look for neighbours: it is left until many have come.
        let slack = self.shape.connectivity;
        self.shrink(node, level, slack);
        for near in chosen {
            {
                let mut levels = lock(&self.nodes[near.node as usize]);
                let neighbours = &mut levels[level];
                if neighbours.contains(&node) {
                    continue;
                }
                neighbours.push(node);
            }
            self.shrink(near.node, level, slack);
        }
    }

    /// Chooses anew among the neighbours of a vector that has too many, by more than `slack`.
    fn shrink(&self, node: u32, level: usize, slack: usize) {
        let most = if level == 0 { 2 * self.shape.connectivity } else { self.shape.connectivity };
        let mut levels = lock(&self.nodes[node as usize]);
        if levels[level].len() <= most + slack {
            return;
        }
        let vector = self.space.vector(node);
        let mut all: Vec<Near> = levels[level].iter().map(|other| self.space.near(vector, *other)).collect();
        all.sort_unstable();
        levels[level] = self.chosen(all.into_iter(), most).into_iter().map(|near| near.node).collect();
    }

    /// Of vectors that are near, nearest first, those that are not nearer to one that was chosen (Algorithm 4): ways lead out of
    /// a crowd. Of the others, the nearest fill what is left.
    fn chosen(&self, nearest: impl Iterator<Item = Near>, most: usize) -> Vec<Near> {
        let (mut chosen, mut others): (Vec<Near>, Vec<Near>) = (Vec::with_capacity(most), Vec::new());
        for near in nearest {
            if chosen.len() == most {
                break;
            }
            let vector = self.space.vector(near.node);
            match chosen.iter().any(|before| self.space.near(vector, before.node).distance < near.distance) {
                true => others.push(near),
                false => chosen.push(near),
            }
        }
        chosen.extend(others.into_iter().take(most - chosen.len()));
        chosen
    }

    fn walk(&self, vector: &[f32], entries: &[Near], breadth: usize, level: usize) -> Vec<Near> {
        let mut visited = self.visits.begin(self.nodes.len());
        let neighbours = |node: u32, into: &mut Vec<u32>| {
            into.extend_from_slice(lock(&self.nodes[node as usize]).get(level).map_or(&[][..], Vec::as_slice));
        };
        let found = walk(&self.space, vector, entries, breadth, &mut visited, &neighbours);
        self.visits.end(visited);
        found
    }

    /// The graph of what was added.
    pub fn finish(self) -> Graph {
        for (node, levels) in (0..).zip(&self.nodes) {
            let height = lock(levels).len();
            (0..height).for_each(|level| self.shrink(node, level, 0));
        }
        let connectivity = self.shape.connectivity;
        let mut lowest = Vec::with_capacity(2 * connectivity * self.nodes.len());
        let (mut starts, mut higher) = (Vec::with_capacity(self.nodes.len()), Vec::new());
        let mut height = 0;
        for levels in self.nodes {
            let levels = levels.into_inner().unwrap_or_else(PoisonError::into_inner);
            height = height.max(levels.len() - 1);
            starts.push(match (levels.len(), u32::try_from(higher.len())) {
                (2.., Ok(start)) => start,
                _ => NONE,
            });
            for (level, neighbours) in levels.into_iter().enumerate() {
                let (places, into) = match level {
                    0 => (2 * connectivity, &mut lowest),
                    _ => (connectivity, &mut higher),
                };
                let end = into.len() + places;
                into.extend(neighbours);
                into.resize(end, NONE);
            }
        }
        Graph { space: self.space, connectivity, lowest, starts, higher, height, visits: Visits::default() }
    }
}

fn lock(levels: &Levels) -> MutexGuard<'_, Vec<Vec<u32>>> {
    levels.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How high a vector stands: each level has one in `connectivity` of the level below. By its place alone, so that a graph is
/// built of the same levels each time.
fn height(node: usize, connectivity: usize) -> usize {
    // SplitMix64.
    let mut mixed = (node as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let uniform = (((mixed ^ (mixed >> 31)) >> 11) + 1) as f64 / (1u64 << 53) as f64;
    let height = -uniform.ln() / (connectivity as f64).ln();
    (height as usize).min(HEIGHT_MAX)
}
