//! How many rows a plan makes, from the statistics of its tables.
//!
//! Rough where nothing better is known: what counts is which of two relations is the larger one. Column values are
//! taken as spread evenly between the bounds, and conditions as independent of each other.

use std::collections::HashMap;

use datafusion::common::stats::Precision;
use datafusion::common::{Column, ScalarValue, Statistics};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, Join, JoinType, LogicalPlan, TableScan};

use super::shares::share;

/// What is known of a plan's rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimate {
    rows: f64,
    unfiltered: f64,
    columns: HashMap<Column, Values>,
}

/// What is known of a column's values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    /// How many there are at most.
    pub(super) distinct: f64,
    /// The least and the greatest of a number or date.
    pub(super) bounds: Option<(f64, f64)>,
}

impl Estimate {
    /// Rows that the plan makes.
    pub(super) fn rows(&self) -> f64 {
        self.rows
    }

    /// Rows of its largest table, before filters.
    pub(super) fn unfiltered(&self) -> f64 {
        self.unfiltered
    }

    /// How many values an expression has, before filters.
    pub(super) fn values(&self, expr: &Expr) -> f64 {
        self.column(expr).map_or(self.unfiltered, |column| column.distinct)
    }

    /// What is known of a column, or of a cast of one.
    pub(super) fn column(&self, expr: &Expr) -> Option<Values> {
        match expr {
            Expr::Column(column) => self.columns.get(column).copied(),
            Expr::Cast(cast) => self.column(&cast.expr),
            Expr::TryCast(cast) => self.column(&cast.expr),
            Expr::Alias(alias) => self.column(&alias.expr),
            _ => None,
        }
    }

    fn one_row() -> Self {
        Self { rows: 1.0, unfiltered: 1.0, columns: HashMap::new() }
    }

    fn limited(mut self, rows: f64) -> Self {
        self.rows = self.rows.min(rows);
        self
    }

    fn filtered<'a>(mut self, conditions: impl IntoIterator<Item = &'a Expr>) -> Self {
        let conditions: Vec<&Expr> = conditions.into_iter().collect();
        self.rows = (self.rows * share(&conditions, &self)).max(1.0);
        self
    }
}

/// What is known of `plan`; `None` where a table does not know its size.
pub(super) fn estimate(plan: &LogicalPlan) -> Option<Estimate> {
    match plan {
        LogicalPlan::TableScan(scan) => Some(table(scan)?.filtered(&scan.filters)),
        LogicalPlan::Filter(filter) => {
            let conditions = split_conjunction(&filter.predicate);
            // A filter that a table takes inexactly stands above it, too.
            match &*filter.input {
                LogicalPlan::TableScan(scan) => {
                    let exact = scan.filters.iter().filter(|known| !conditions.contains(known));
                    Some(table(scan)?.filtered(exact.chain(conditions.iter().copied())))
                }
                input => Some(estimate(input)?.filtered(conditions)),
            }
        }
        LogicalPlan::SubqueryAlias(alias) => renamed(estimate(&alias.input)?, &alias.input, plan),
        LogicalPlan::Projection(projection) => {
            let input = estimate(&projection.input)?;
            let known = plan.schema().columns().into_iter().zip(&projection.expr);
            let columns = known.filter_map(|(column, expr)| Some((column, input.column(expr)?))).collect();
            Some(Estimate { columns, ..input })
        }
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate, plan),
        LogicalPlan::Join(join) => joined(join),
        LogicalPlan::Sort(sort) => estimate(&sort.input),
        LogicalPlan::Repartition(repartition) => estimate(&repartition.input),
        LogicalPlan::Window(window) => estimate(&window.input),
        LogicalPlan::Distinct(distinct) => estimate(distinct.input()),
        LogicalPlan::Limit(limit) => {
            let input = estimate(&limit.input)?;
            match limit.fetch.as_deref() {
                Some(Expr::Literal(fetch, _)) => Some(number(fetch).map_or(input.clone(), |rows| input.limited(rows))),
                _ => Some(input),
            }
        }
        LogicalPlan::Values(values) => {
            let rows = values.values.len() as f64;
            Some(Estimate { rows, unfiltered: rows, columns: HashMap::new() })
        }
        LogicalPlan::EmptyRelation(_) => Some(Estimate::one_row()),
        _ => None,
    }
}

fn table(scan: &TableScan) -> Option<Estimate> {
    let statistics = source_as_provider(&scan.source).ok()?.statistics()?;
    let rows = *statistics.num_rows.get_value()? as f64;
    let schema = scan.source.schema();
    let columns = schema.fields().iter().enumerate().map(|(index, field)| {
        let column = Column::new(Some(scan.table_name.clone()), field.name());
        (column, values(&statistics, index, rows))
    });
    Some(Estimate { rows, unfiltered: rows, columns: columns.collect() })
}

fn values(statistics: &Statistics, index: usize, rows: f64) -> Values {
    let Some(column) = statistics.column_statistics.get(index) else { return Values { distinct: rows, bounds: None } };
    let bound = |value: &Precision<ScalarValue>| value.get_value().and_then(number);
    let bounds = bound(&column.min_value).zip(bound(&column.max_value));
    let discrete = column.min_value.get_value().is_some_and(is_discrete);
    let range = bounds.filter(|_| discrete).map_or(rows, |(min, max)| max - min + 1.0);
    let distinct = column.distinct_count.get_value().map_or(range, |distinct| *distinct as f64);
    Values { distinct: distinct.min(rows).max(1.0), bounds }
}

fn is_discrete(value: &ScalarValue) -> bool {
    value.data_type().is_integer() || matches!(value, ScalarValue::Date32(_))
}

/// A number, date or time as a number.
pub(super) fn number(value: &ScalarValue) -> Option<f64> {
    match value {
        ScalarValue::Int8(value) => value.map(f64::from),
        ScalarValue::Int16(value) => value.map(f64::from),
        ScalarValue::Int32(value) | ScalarValue::Date32(value) => value.map(f64::from),
        ScalarValue::UInt8(value) => value.map(f64::from),
        ScalarValue::UInt16(value) => value.map(f64::from),
        ScalarValue::UInt32(value) => value.map(f64::from),
        ScalarValue::UInt64(value) => value.map(|value| value as f64),
        ScalarValue::Float32(value) => value.map(f64::from),
        ScalarValue::Float64(value) => *value,
        ScalarValue::Int64(value)
        | ScalarValue::Date64(value)
        | ScalarValue::TimestampSecond(value, _)
        | ScalarValue::TimestampMillisecond(value, _)
        | ScalarValue::TimestampMicrosecond(value, _)
        | ScalarValue::TimestampNanosecond(value, _) => value.map(|value| value as f64),
        _ => None,
    }
}

/// The same rows under other names.
fn renamed(input: Estimate, from: &LogicalPlan, to: &LogicalPlan) -> Option<Estimate> {
    let names = from.schema().columns().into_iter().zip(to.schema().columns());
    let columns = names.filter_map(|(old, new)| Some((new, *input.columns.get(&old)?))).collect();
    Some(Estimate { columns, ..input })
}

fn grouped(aggregate: &Aggregate, plan: &LogicalPlan) -> Option<Estimate> {
    let input = estimate(&aggregate.input)?;
    if aggregate.group_expr.is_empty() {
        return Some(Estimate::one_row());
    }
    let groups: f64 = aggregate.group_expr.iter().map(|expr| input.values(expr)).product();
    let rows = groups.min(input.rows);
    let keys = plan.schema().columns().into_iter().zip(&aggregate.group_expr);
    let columns = keys.filter_map(|(column, expr)| Some((column, input.column(expr)?))).collect();
    Some(Estimate { rows, unfiltered: groups.min(input.unfiltered), columns })
}

fn joined(join: &Join) -> Option<Estimate> {
    let (left, right) = (estimate(&join.left)?, estimate(&join.right)?);
    let values = |(one, other): &(Expr, Expr)| left.values(one).min(right.values(other));
    let compound: f64 = join.on.iter().map(values).product();
    let distinct = compound.min(left.unfiltered).min(right.unfiltered).max(1.0);
    let matches = left.rows * right.rows / distinct;
    // The share of one side's rows that find a partner.
    let met = |other: &Estimate| (other.rows / distinct).min(1.0);
    let rows = match join.join_type {
        JoinType::Inner => matches,
        JoinType::Left => matches.max(left.rows),
        JoinType::Right => matches.max(right.rows),
        JoinType::Full => matches.max(left.rows).max(right.rows),
        JoinType::LeftSemi => left.rows * met(&right),
        JoinType::RightSemi => right.rows * met(&left),
        JoinType::LeftAnti => left.rows * (1.0 - met(&right)),
        JoinType::RightAnti => right.rows * (1.0 - met(&left)),
        JoinType::LeftMark => left.rows,
        JoinType::RightMark => right.rows,
    };
    let unfiltered = match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left.unfiltered,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.unfiltered,
        _ => left.unfiltered.max(right.unfiltered),
    };
    let columns = left.columns.into_iter().chain(right.columns).collect();
    let joined = Estimate { rows: rows.max(1.0), unfiltered, columns };
    Some(joined.filtered(join.filter.iter().flat_map(split_conjunction)))
}
