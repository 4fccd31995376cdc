//! The share of rows that conditions leave.

use std::collections::HashMap;

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::estimate::{Estimate, Values, number};

/// Values of a text column that nothing is known of, at most.
const TEXTS: f64 = 25.0;
/// A range of which a bound is unknown.
const RANGE: f64 = 1.0 / 3.0;
const LIKE: f64 = 0.1;
const IS_NULL: f64 = 0.05;
/// Any other condition.
const OTHER: f64 = 0.3;

/// The share of rows for which all of `conditions` hold. Bounds on one column are taken together.
pub(super) fn share(conditions: &[&Expr], input: &Estimate) -> f64 {
    let mut ranges: HashMap<&Expr, (f64, f64)> = HashMap::new();
    let mut share = 1.0;
    for condition in conditions {
        match bound(condition, input) {
            Some((column, (low, high))) => {
                let range = ranges.entry(column).or_insert((f64::NEG_INFINITY, f64::INFINITY));
                *range = (range.0.max(low), range.1.min(high));
            }
            None => share *= of_condition(condition, input),
        }
    }
    for (column, (low, high)) in ranges {
        let Some(Values { bounds: Some((min, max)), distinct }) = input.column(column) else { continue };
        let covered = (high.min(max) - low.max(min)) / (max - min).max(1.0);
        share *= covered.clamp(1.0 / distinct, 1.0);
    }
    share.clamp(0.0, 1.0)
}

/// `column < number` and the like, for a column with known bounds: the range that it leaves.
fn bound<'a>(condition: &'a Expr, input: &Estimate) -> Option<(&'a Expr, (f64, f64))> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let (column, op, value) = match (&**left, &**right) {
        (column, Expr::Literal(value, _)) => (column, *op, value),
        (Expr::Literal(value, _), column) => (column, op.swap()?, value),
        _ => return None,
    };
    input.column(column)?.bounds?;
    let value = number(value)?;
    match op {
        Operator::Lt | Operator::LtEq => Some((column, (f64::NEG_INFINITY, value))),
        Operator::Gt | Operator::GtEq => Some((column, (value, f64::INFINITY))),
        _ => None,
    }
}

fn of_condition(condition: &Expr, input: &Estimate) -> f64 {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => of_condition(left, input) * of_condition(right, input),
            Operator::Or => {
                let (left, right) = (of_condition(left, input), of_condition(right, input));
                left + right - left * right
            }
            Operator::Eq => equality(left, right, input),
            Operator::NotEq => 1.0 - equality(left, right, input),
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => RANGE,
            _ => OTHER,
        },
        Expr::Not(inner) => 1.0 - of_condition(inner, input),
        Expr::InList(list) => {
            let share = (list.list.len() as f64 / distinct(&list.expr, input)).min(1.0);
            if list.negated { 1.0 - share } else { share }
        }
        Expr::Between(between) => {
            if between.negated {
                1.0 - RANGE
            } else {
                RANGE
            }
        }
        Expr::Like(like) => {
            if like.negated {
                1.0 - LIKE
            } else {
                LIKE
            }
        }
        Expr::IsNull(_) => IS_NULL,
        Expr::IsNotNull(_) => 1.0 - IS_NULL,
        Expr::Literal(value, _) if value.is_null() => 0.0,
        _ => OTHER,
    }
}

fn equality(left: &Expr, right: &Expr, input: &Estimate) -> f64 {
    match (left, right) {
        (Expr::Literal(..), expr) | (expr, Expr::Literal(..)) => 1.0 / distinct(expr, input),
        _ => 1.0 / distinct(left, input).max(distinct(right, input)),
    }
}

fn distinct(expr: &Expr, input: &Estimate) -> f64 {
    let known = input.column(expr).filter(|values| values.bounds.is_some() || values.distinct < input.unfiltered());
    known.map_or(input.unfiltered().min(TEXTS), |values| values.distinct).max(1.0)
}
