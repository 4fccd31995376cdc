//! Inner joins that stand together, as relations and the conditions between them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::common::{Column, NullEquality, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, Filter, Join, JoinConstraint, JoinType, LogicalPlan};

use super::estimate::{Estimate, estimate};

/// A set of relations, one bit each.
pub(super) type Set = u64;

/// Fewer relations than this have no order to choose: the physical planner swaps the sides of one join.
const RELATIONS_MIN: usize = 3;

/// How relations are joined; a leaf is a relation's number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Relation(usize),
    Join(Box<Tree>, Box<Tree>),
}

/// `left = right`, with the relations that each side reads.
#[derive(Clone, Debug)]
pub(super) struct Equality {
    pub(super) left: Expr,
    pub(super) right: Expr,
    pub(super) left_set: Set,
    pub(super) right_set: Set,
    /// Columns that are equal to each other are one class; so `a = b` and `b = c` also join `a` with `c`.
    pub(super) class: usize,
}

impl Equality {
    /// The sides in the order of two sets, if it joins them.
    pub(super) fn across(&self, left: Set, right: Set) -> Option<(&Expr, &Expr)> {
        let within = |inner: Set, outer: Set| inner & !outer == 0;
        if within(self.left_set, left) && within(self.right_set, right) {
            return Some((&self.left, &self.right));
        }
        (within(self.left_set, right) && within(self.right_set, left)).then_some((&self.right, &self.left))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Graph {
    plans: Vec<LogicalPlan>,
    equalities: Vec<Equality>,
    /// Conditions of other kinds, with the relations that they read.
    filters: Vec<(Expr, Set)>,
    written: Tree,
}

impl Graph {
    /// The joins at the top of `plan`, if there are enough of them.
    pub(super) fn of(plan: &LogicalPlan) -> Option<Self> {
        let mut parts = Parts::default();
        let written = parts.collect(plan)?;
        if parts.plans.len() < RELATIONS_MIN || parts.plans.len() > Set::BITS as usize {
            return None;
        }
        let owners = owners(&parts.plans)?;
        let set_of = |expr: &Expr| -> Option<Set> {
            expr.column_refs().into_iter().try_fold(0, |set, column| Some(set | 1 << owners.get(column)?))
        };
        let mut filters = Vec::new();
        let mut equalities = Vec::new();
        for (left, right) in parts.on {
            let (left_set, right_set) = (set_of(&left)?, set_of(&right)?);
            if left_set == 0 || right_set == 0 || left_set & right_set != 0 {
                filters.push((left.eq(right), left_set | right_set));
            } else {
                equalities.push(Equality { left, right, left_set, right_set, class: 0 });
            }
        }
        for filter in parts.filters {
            let set = set_of(&filter)?;
            filters.push((filter, set));
        }
        // A condition on no relation at all, or one that may not be moved, keeps the order.
        if filters.iter().any(|(filter, set)| *set == 0 || filter.is_volatile()) {
            return None;
        }
        classify(&mut equalities);
        imply(&mut equalities, &mut filters);
        Some(Self { plans: parts.plans, equalities, filters, written })
    }

    pub(super) fn plans_mut(&mut self) -> impl Iterator<Item = &mut LogicalPlan> {
        self.plans.iter_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.plans.len()
    }

    /// The order of the query's text.
    pub(super) fn written(&self) -> &Tree {
        &self.written
    }

    /// What is known of each relation; `None` where one is of unknown size.
    pub(super) fn estimates(&self) -> Option<Vec<Estimate>> {
        self.plans.iter().map(estimate).collect()
    }

    /// How many filters can be applied first where `left` and `right` meet.
    pub(super) fn filters_at(&self, left: Set, right: Set) -> usize {
        self.filters.iter().filter(|(_, set)| first_at(*set, left, right)).count()
    }

    /// One equality per class, in the order of the sides, that joins `left` and `right`.
    pub(super) fn keys(&self, left: Set, right: Set) -> Vec<(&Equality, &Expr, &Expr)> {
        let mut keys: Vec<(&Equality, &Expr, &Expr)> = Vec::new();
        for equality in &self.equalities {
            // Within a side, the columns of a class are equal already.
            if keys.iter().any(|(key, ..)| key.class == equality.class) {
                continue;
            }
            keys.extend(equality.across(left, right).map(|(left, right)| (equality, left, right)));
        }
        keys
    }

    /// The plan that joins the relations as `tree` says.
    pub(super) fn into_plan(self, tree: &Tree) -> Result<LogicalPlan> {
        Ok(self.build(tree)?.0)
    }

    fn build(&self, tree: &Tree) -> Result<(LogicalPlan, Set)> {
        let (left, right) = match tree {
            Tree::Relation(number) => {
                let set = 1 << number;
                let own = self.filters.iter().filter(|(_, reads)| *reads == set).map(|(filter, _)| filter.clone());
                let plan = self.plans[*number].clone();
                let plan = match conjunction(own) {
                    Some(filter) => LogicalPlan::Filter(Filter::try_new(filter, Arc::new(plan))?),
                    None => plan,
                };
                return Ok((plan, set));
            }
            Tree::Join(left, right) => (self.build(left)?, self.build(right)?),
        };
        let keys = self.keys(left.1, right.1).into_iter().map(|(_, left, right)| (left.clone(), right.clone()));
        let filters = self.filters.iter().filter(|(_, set)| first_at(*set, left.1, right.1));
        let join = Join::try_new(
            Arc::new(left.0),
            Arc::new(right.0),
            keys.collect(),
            conjunction(filters.map(|(filter, _)| filter.clone())),
            JoinType::Inner,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?;
        Ok((LogicalPlan::Join(join), left.1 | right.1))
    }
}

/// A condition on `set` can be applied where `left` and `right` meet, and not before.
fn first_at(set: Set, left: Set, right: Set) -> bool {
    set & !(left | right) == 0 && set & !left != 0 && set & !right != 0
}

#[derive(Default)]
struct Parts {
    plans: Vec<LogicalPlan>,
    on: Vec<(Expr, Expr)>,
    filters: Vec<Expr>,
}

impl Parts {
    /// Takes the joins at the top of `plan` apart; `None`: the order must stay.
    fn collect(&mut self, plan: &LogicalPlan) -> Option<Tree> {
        match plan {
            LogicalPlan::Join(join) if is_movable(join) => {
                let left = self.collect(&join.left)?;
                let right = self.collect(&join.right)?;
                self.on.extend(join.on.iter().cloned());
                self.filters.extend(join.filter.iter().flat_map(split_conjunction).cloned());
                Some(Tree::Join(Box::new(left), Box::new(right)))
            }
            LogicalPlan::Filter(filter) if matches!(&*filter.input, LogicalPlan::Join(join) if is_movable(join)) => {
                self.filters.extend(split_conjunction(&filter.predicate).into_iter().cloned());
                self.collect(&filter.input)
            }
            _ => {
                self.plans.push(plan.clone());
                Some(Tree::Relation(self.plans.len() - 1))
            }
        }
    }
}

fn is_movable(join: &Join) -> bool {
    join.join_type == JoinType::Inner
        && join.null_equality == NullEquality::NullEqualsNothing
        && !join.null_aware
        && !join.on.is_empty()
}

/// Which relation each column is of; `None` where two relations have the same column.
fn owners(plans: &[LogicalPlan]) -> Option<HashMap<Column, usize>> {
    let mut owners = HashMap::new();
    for (number, plan) in plans.iter().enumerate() {
        for column in plan.schema().columns() {
            if owners.insert(column, number).is_some() {
                return None;
            }
        }
    }
    Some(owners)
}

/// Gives equalities of columns that hang together the same class, and every other equality one of its own.
fn classify(equalities: &mut [Equality]) {
    for index in 0..equalities.len() {
        equalities[index].class = index;
        let is_columns = |equality: &Equality| is_column(&equality.left) && is_column(&equality.right);
        if !is_columns(&equalities[index]) {
            continue;
        }
        let shares = |one: &Equality, other: &Equality| {
            [&one.left, &one.right].into_iter().any(|side| *side == other.left || *side == other.right)
        };
        let joined: Vec<usize> = (0..index)
            .filter(|&earlier| is_columns(&equalities[earlier]) && shares(&equalities[earlier], &equalities[index]))
            .map(|earlier| equalities[earlier].class)
            .collect();
        for equality in equalities.iter_mut().take(index).filter(|equality| joined.contains(&equality.class)) {
            equality.class = index;
        }
    }
}

/// Adds what follows from the equalities: others between relations, and filters on one relation.
fn imply(equalities: &mut Vec<Equality>, filters: &mut Vec<(Expr, Set)>) {
    let mut members: BTreeMap<usize, Vec<(Expr, Set)>> = BTreeMap::new();
    for equality in equalities.iter() {
        let sides = [(&equality.left, equality.left_set), (&equality.right, equality.right_set)];
        for (side, set) in sides.into_iter().filter(|(side, _)| is_column(side)) {
            let class = members.entry(equality.class).or_default();
            if !class.iter().any(|(member, _)| member == side) {
                class.push((side.clone(), set));
            }
        }
    }
    for (class, members) in members.into_iter().filter(|(_, members)| members.len() > 2) {
        for (index, (left, left_set)) in members.iter().enumerate() {
            for (right, right_set) in members.iter().skip(index + 1) {
                let (left, right) = (left.clone(), right.clone());
                if left_set == right_set {
                    filters.push((left.eq(right), *left_set));
                } else {
                    equalities.push(Equality { left, right, left_set: *left_set, right_set: *right_set, class });
                }
            }
        }
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(_))
}
