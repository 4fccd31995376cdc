//! A graph over vectors in which near ones are found without comparing all: HNSW (Malkov and Yashunin, arXiv:1603.09320).
//!
//! - [`Builder`] (`build`): adds vectors, from many threads at once, to what becomes a [`Graph`].
//! - `walk`: the search of one level, which building and searching share.
//! - `bytes`: a graph as bytes and back.
//!
//! All vectors are there before the first is added, and how high each stands is known beforehand: the highest is the entry for
//! good, and no thread waits for another but at a vector's own neighbours.
//!
//! **Architecture invariant:** every neighbour that a graph names is one of its vectors: [`Graph::from_bytes`] checks what it is
//! given, so that no bytes, damaged or made up, lead a search out of bounds.

mod build;
mod bytes;
mod walk;

use std::fmt;

pub use build::Builder;
use walk::{Near, Visits, walk};

use crate::distance::{dot, squared_distance};

/// How far two vectors are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The square of the length of their difference.
    SquaredDistance,
    /// Their dot product with its sign turned.
    NegativeProduct,
}

impl Measure {
    fn between(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            Self::SquaredDistance => squared_distance(a, b),
            Self::NegativeProduct => -dot(a, b),
        }
    }
}

/// What a graph is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Elements of each vector, at least 1.
    pub dimensions: usize,
    /// How far two vectors are from each other.
    pub measure: Measure,
    /// Neighbours that a vector keeps on each level, twice as many on the lowest; at least 2.
    pub connectivity: usize,
    /// Candidates that are looked at for each vector that is added.
    pub breadth: usize,
}

/// Why a graph cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphError(&'static str);

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for GraphError {}

/// In the place of a neighbour: there are no more.
const NONE: u32 = u32::MAX;

/// The vectors, one after the other, each with a number of its own.
#[derive(Debug)]
struct Space {
    dimensions: usize,
    measure: Measure,
    numbers: Vec<u32>,
    elements: Vec<f32>,
}

impl Space {
    fn vector(&self, node: u32) -> &[f32] {
        let start = node as usize * self.dimensions;
        &self.elements[start..start + self.dimensions]
    }

    fn near(&self, wanted: &[f32], node: u32) -> Near {
        Near { distance: self.measure.between(wanted, self.vector(node)), node }
    }
}

/// A graph over vectors.
#[derive(Debug)]
pub struct Graph {
    space: Space,
    connectivity: usize,
    /// On the lowest level, `2 * connectivity` places for each vector.
    lowest: Vec<u32>,
    /// Where in `higher` a vector's neighbours begin; [`NONE`] of one that stands on the lowest level alone.
    starts: Vec<u32>,
    /// On the levels above, level by level, `connectivity` places for each.
    higher: Vec<u32>,
    /// The level of the first vector, which is the entry and the highest.
    height: usize,
    visits: Visits,
}

impl Graph {
    /// The numbers and distances of about the nearest `breadth` vectors, nearest first; none where the vector has another length
    /// than the graph's. The greater the breadth, the more of them are the nearest: ask for more than are needed.
    pub fn search(&self, vector: &[f32], breadth: usize) -> Vec<(u32, f32)> {
        if vector.len() != self.space.dimensions || self.is_empty() {
            return Vec::new();
        }
        let mut nearest = vec![self.space.near(vector, 0)];
        for level in (1..=self.height).rev() {
            nearest = self.walk(vector, &nearest, 1, level);
        }
        let found = self.walk(vector, &nearest, breadth.max(1), 0);
        found.into_iter().map(|near| (self.space.numbers[near.node as usize], near.distance)).collect()
    }

    fn walk(&self, vector: &[f32], entries: &[Near], breadth: usize, level: usize) -> Vec<Near> {
        let mut visited = self.visits.begin(self.len());
        let neighbours = |node: u32, into: &mut Vec<u32>| {
            into.extend(self.neighbours(node, level).iter().copied().take_while(|node| *node != NONE));
        };
        let found = walk(&self.space, vector, entries, breadth, &mut visited, &neighbours);
        self.visits.end(visited);
        found
    }

    /// The places of a vector's neighbours; none on levels that it does not stand on.
    fn neighbours(&self, node: u32, level: usize) -> &[u32] {
        if level == 0 {
            let width = 2 * self.connectivity;
            return &self.lowest[node as usize * width..(node as usize + 1) * width];
        }
        let start = self.starts[node as usize];
        if start == NONE {
            return &[];
        }
        let start = start as usize + (level - 1) * self.connectivity;
        self.higher.get(start..start + self.connectivity).unwrap_or_default()
    }

    /// Its vectors.
    pub fn len(&self) -> usize {
        self.space.numbers.len()
    }

    /// Whether it has no vector.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements of each vector.
    pub fn dimensions(&self) -> usize {
        self.space.dimensions
    }

    /// How far two vectors are from each other.
    pub fn measure(&self) -> Measure {
        self.space.measure
    }

    /// Bytes of memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        let places = self.space.numbers.len() + self.lowest.len() + self.starts.len() + self.higher.len();
        (places + self.space.elements.len()) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMENSIONS: usize = 8;

    fn vector(seed: usize) -> Vec<f32> {
        let mut state = (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..DIMENSIONS).map(|_| next()).collect()
    }

    fn graph(rows: usize, measure: Measure, threads: usize) -> Graph {
        let shape = Shape { dimensions: DIMENSIONS, measure, connectivity: 8, breadth: 64 };
        let numbers = (0..rows).map(|row| 3 * u32::try_from(row).unwrap()).collect();
        let builder = Builder::new(shape, (0..rows).flat_map(vector).collect(), numbers).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let builder = &builder;
                scope.spawn(move || (0..rows).filter(|row| row % threads == thread).for_each(|row| builder.add(row)));
            }
        });
        builder.finish()
    }

    fn exact(wanted: &[f32], rows: usize, measure: Measure) -> Vec<u32> {
        let mut all: Vec<(f32, u32)> =
            (0..rows).map(|row| (measure.between(wanted, &vector(row)), 3 * u32::try_from(row).unwrap())).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.into_iter().map(|(_, number)| number).collect()
    }

    /// Against a scan of all vectors, by both measures, built by one thread and by four.
    #[test]
    fn nearly_all_of_the_nearest_are_found() {
        const ROWS: usize = 2_000;
        for measure in [Measure::SquaredDistance, Measure::NegativeProduct] {
            for threads in [1, 4] {
                let graph = graph(ROWS, measure, threads);
                let right: usize = (ROWS..ROWS + 100)
                    .map(|query| {
                        let wanted = vector(query);
                        let found = graph.search(&wanted, 64);
                        assert!(found.is_sorted_by(|a, b| a.1 <= b.1));
                        assert_eq!(found.len(), 64);
                        let exact = exact(&wanted, ROWS, measure);
                        found[..10].iter().filter(|(number, _)| exact[..10].contains(number)).count()
                    })
                    .sum();
                assert!(right >= 960, "{measure:?} {threads}: {right}");
            }
        }
    }

    #[test]
    fn small_graphs_are_complete() {
        for rows in [0, 1, 2, 5, 20] {
            let graph = graph(rows, Measure::SquaredDistance, 1);
            assert_eq!(graph.len(), rows);
            let wanted = vector(77);
            let found: Vec<u32> = graph.search(&wanted, 100).into_iter().map(|(number, _)| number).collect();
            assert_eq!(found, exact(&wanted, rows, Measure::SquaredDistance), "{rows}");
            assert_eq!(graph.search(&[1.0], 3), []);
        }
    }

    #[test]
    fn equal_vectors_are_all_found() {
        let shape = Shape { dimensions: 2, measure: Measure::SquaredDistance, connectivity: 4, breadth: 16 };
        let builder = Builder::new(shape, [1.0, 2.0].repeat(50), (0..50).collect()).unwrap();
        (0..50).for_each(|row| builder.add(row));
        let found = builder.finish().search(&[1.0, 2.0], 5);
        assert_eq!(found.len(), 5);
        assert!(found.iter().all(|(_, distance)| *distance == 0.0));
    }

    #[test]
    fn what_went_through_bytes_finds_the_same() {
        for rows in [0, 1, 700] {
            let graph = graph(rows, Measure::NegativeProduct, 2);
            let mut bytes = vec![1, 2, 3];
            graph.to_bytes(&mut bytes);
            assert_eq!(bytes.len(), 3 + graph.bytes_len());
            let again = Graph::from_bytes(&bytes[3..]).unwrap();
            assert_eq!(
                (again.len(), again.dimensions(), again.measure()),
                (rows, DIMENSIONS, Measure::NegativeProduct)
            );
            assert_eq!(again.search(&vector(9_999), 32), graph.search(&vector(9_999), 32));
            assert_eq!(again.memory_bytes(), graph.memory_bytes());
        }
    }

    /// Damaged bytes are refused, or make a graph that can be searched: never a panic.
    #[test]
    fn no_bytes_lead_out_of_bounds() {
        let mut bytes = Vec::new();
        graph(60, Measure::SquaredDistance, 1).to_bytes(&mut bytes);
        for place in 0..bytes.len() {
            assert!(Graph::from_bytes(&bytes[..place]).is_err(), "{place}");
            for bit in [0x01, 0x80] {
                let mut damaged = bytes.clone();
                damaged[place] ^= bit;
                if let Ok(graph) = Graph::from_bytes(&damaged) {
                    graph.search(&vector(1), 20);
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let shape = Shape { dimensions: 2, measure: Measure::SquaredDistance, connectivity: 4, breadth: 16 };
        assert!(Builder::new(shape, vec![1.0; 5], vec![0, 1]).is_err());
        assert!(Builder::new(Shape { dimensions: 0, ..shape }, Vec::new(), Vec::new()).is_err());
        assert!(Builder::new(Shape { connectivity: 1, ..shape }, Vec::new(), Vec::new()).is_err());
    }
}
