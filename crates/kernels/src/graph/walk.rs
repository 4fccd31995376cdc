//! The search of one level: from vectors that are near to their neighbours, and on while that comes nearer.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use super::Space;

/// A vector and how far it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Near {
    pub(super) distance: f32,
    pub(super) node: u32,
}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.node.cmp(&other.node))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Near {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Near {}

/// About the nearest `breadth` vectors of a level, nearest first (Algorithm 2). `neighbours` adds those of a vector to a list.
pub(super) fn walk(
    space: &Space,
    wanted: &[f32],
    entries: &[Near],
    breadth: usize,
    visited: &mut Visited,
    neighbours: &dyn Fn(u32, &mut Vec<u32>),
) -> Vec<Near> {
    let mut found: BinaryHeap<Near> = entries.iter().copied().collect();
    let mut open: BinaryHeap<Reverse<Near>> = entries.iter().copied().map(Reverse).collect();
    for entry in entries {
        visited.is_first(entry.node);
    }
    let mut next = Vec::new();
    while let Some(Reverse(nearest)) = open.pop() {
        if found.len() >= breadth && found.peek().is_some_and(|farthest| nearest.distance > farthest.distance) {
            break;
        }
        next.clear();
        neighbours(nearest.node, &mut next);
        for node in &next {
            if !visited.is_first(*node) {
                continue;
            }
            let near = space.near(wanted, *node);
            if found.len() < breadth {
                found.push(near);
                open.push(Reverse(near));
            } else if let Some(mut farthest) = found.peek_mut()
                && near < *farthest
            {
                *farthest = near;
                open.push(Reverse(near));
            }
        }
    }
    let mut found = found.into_sorted_vec();
    found.truncate(breadth);
    found
}

/// Which vectors a walk has been at: the number of the walk that was there last.
#[derive(Debug, Default)]
pub(super) struct Visited {
    walks: Vec<u32>,
    walk: u32,
}

impl Visited {
    /// Whether this walk has not been there; it has now.
    fn is_first(&mut self, node: u32) -> bool {
        let last = &mut self.walks[node as usize];
        let first = *last != self.walk;
        *last = self.walk;
        first
    }
}

/// The lists of visited vectors of threads that are not walking now.
#[derive(Debug, Default)]
pub(super) struct Visits(Mutex<Vec<Visited>>);

impl Visits {
    /// A list for a walk among `nodes` vectors.
    pub(super) fn begin(&self, nodes: usize) -> Visited {
        let mut visited = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        visited.walk = visited.walk.wrapping_add(1);
        if visited.walks.len() != nodes || visited.walk == 0 {
            visited.walks.clear();
            visited.walks.resize(nodes, 0);
            visited.walk = 1;
        }
        visited
    }

    /// Gives a list back.
    pub(super) fn end(&self, visited: Visited) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(visited);
    }
}
