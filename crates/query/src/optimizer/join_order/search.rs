//! The cheapest tree of joins.
//!
//! The cost of a tree is the number of rows that its joins make, and what their hash tables hold: the smaller side of
//! each join, twice, because a row that is stored costs more than one that passes.

use std::collections::HashMap;

use datafusion::logical_expr::Expr;

use super::estimate::Estimate;
use super::graph::{Equality, Graph, Set, Tree};

/// Up to so many relations every tree is looked at (dynamic programming over all sets); beyond, the search is greedy.
const EXHAUSTIVE_MAX: usize = 9;

/// What a stored row costs beside a row that passes.
const BUILD_COST: f64 = 2.0;

/// The share of rows that a condition between relations leaves, where it is no equality.
const FILTER_SHARE: f64 = 0.5;

/// A tree with what it is expected to make and to cost.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) tree: Tree,
    pub(super) cost: f64,
}

pub(super) struct Search<'a> {
    graph: &'a Graph,
    estimates: &'a [Estimate],
}

/// The best way to a set: its two sides, or none for a relation.
#[derive(Clone, Copy, Debug)]
struct Step {
    sides: Option<(Set, Set)>,
    rows: f64,
    cost: f64,
}

impl<'a> Search<'a> {
    pub(super) fn new(graph: &'a Graph, estimates: &'a [Estimate]) -> Self {
        Self { graph, estimates }
    }

    /// The cheapest tree; `None` where the conditions leave relations apart.
    pub(super) fn best(&self) -> Option<Plan> {
        let mut steps: HashMap<Set, Step> =
            (0..self.graph.len()).map(|number| (1 << number, self.relation(number))).collect();
        if self.graph.len() <= EXHAUSTIVE_MAX {
            self.exhaustive(&mut steps)
        } else {
            self.greedy(&mut steps)
        }
        let all = Set::MAX >> (Set::BITS as usize - self.graph.len());
        let step = *steps.get(&all)?;
        Some(Plan { tree: tree(&steps, all)?, cost: step.cost })
    }

    /// What a given tree costs.
    pub(super) fn cost(&self, tree: &Tree) -> Option<f64> {
        Some(self.walk(tree)?.1.cost)
    }

    fn walk(&self, tree: &Tree) -> Option<(Set, Step)> {
        match tree {
            Tree::Relation(number) => Some((1 << number, self.relation(*number))),
            Tree::Join(left, right) => {
                let (left, right) = (self.walk(left)?, self.walk(right)?);
                Some((left.0 | right.0, self.join(left, right)?))
            }
        }
    }

    fn relation(&self, number: usize) -> Step {
        Step { sides: None, rows: self.estimates[number].rows(), cost: 0.0 }
    }

    /// The join of two sets, the smaller side first; `None` if nothing joins them.
    fn join(&self, (left, left_step): (Set, Step), (right, right_step): (Set, Step)) -> Option<Step> {
        let keys = self.graph.keys(left, right);
        if keys.is_empty() {
            return None;
        }
        let filters = i32::try_from(self.graph.filters_at(left, right)).unwrap_or(i32::MAX);
        let share = FILTER_SHARE.powi(filters) / self.distinct(&keys);
        let rows = (left_step.rows * right_step.rows * share).max(1.0);
        let smaller = left_step.rows.min(right_step.rows);
        let cost = left_step.cost + right_step.cost + rows + BUILD_COST * smaller;
        let sides = if left_step.rows <= right_step.rows { (left, right) } else { (right, left) };
        Some(Step { sides: Some(sides), rows, cost })
    }

    /// How many values the keys of a join have. Keys between the same two relations are one compound key, which has no
    /// more values than either relation has rows; and of a key and what refers to it, the fewer values count.
    fn distinct(&self, keys: &[(&Equality, &Expr, &Expr)]) -> f64 {
        let mut pairs: HashMap<(Set, Set), (f64, f64)> = HashMap::new();
        for (equality, ..) in keys {
            let pair = pairs.entry((equality.left_set, equality.right_set)).or_insert((1.0, 1.0));
            pair.0 *= self.values(equality.left_set, &equality.left);
            pair.1 *= self.values(equality.right_set, &equality.right);
        }
        let of_pair = |(sets, values): (&(Set, Set), &(f64, f64))| {
            values.0.min(self.unfiltered(sets.0)).min(values.1.min(self.unfiltered(sets.1))).max(1.0)
        };
        pairs.iter().map(of_pair).product()
    }

    fn values(&self, set: Set, expr: &Expr) -> f64 {
        let relations = self.estimates.iter().enumerate().filter(|(number, _)| set & (1 << number) != 0);
        relations.map(|(_, estimate)| estimate.values(expr)).product()
    }

    fn unfiltered(&self, set: Set) -> f64 {
        let relations = self.estimates.iter().enumerate().filter(|(number, _)| set & (1 << number) != 0);
        relations.map(|(_, estimate)| estimate.unfiltered()).product()
    }

    fn exhaustive(&self, steps: &mut HashMap<Set, Step>) {
        let all = Set::MAX >> (Set::BITS as usize - self.graph.len());
        // Every part of a set is a smaller number than the set.
        for set in 1..=all {
            let mut left = (set - 1) & set;
            while left != 0 {
                let right = set & !left;
                if left > right
                    && let (Some(one), Some(other)) = (steps.get(&left), steps.get(&right))
                    && let Some(step) = self.join((left, *one), (right, *other))
                    && steps.get(&set).is_none_or(|known| step.cost < known.cost)
                {
                    steps.insert(set, step);
                }
                left = (left - 1) & set;
            }
        }
    }

    /// Joins the two sets whose join makes the fewest rows, until one set is left.
    fn greedy(&self, steps: &mut HashMap<Set, Step>) {
        let mut open: Vec<Set> = (0..self.graph.len()).map(|number| 1 << number).collect();
        while open.len() > 1 {
            let pairs =
                open.iter().enumerate().flat_map(|(index, left)| open[..index].iter().map(move |r| (*left, *r)));
            let joins = pairs.filter_map(|(left, right)| {
                let step = self.join((left, *steps.get(&left)?), (right, *steps.get(&right)?))?;
                Some((left, right, step))
            });
            let Some((left, right, step)) = joins.min_by(|one, other| one.2.rows.total_cmp(&other.2.rows)) else {
                return;
            };
            open.retain(|set| *set != left && *set != right);
            open.push(left | right);
            steps.insert(left | right, step);
        }
    }
}

fn tree(steps: &HashMap<Set, Step>, set: Set) -> Option<Tree> {
    match steps.get(&set)?.sides {
        None => Some(Tree::Relation(set.trailing_zeros() as usize)),
        Some((left, right)) => Some(Tree::Join(Box::new(tree(steps, left)?), Box::new(tree(steps, right)?))),
    }
}
