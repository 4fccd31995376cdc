//! How far rows are from those of training, or from other rows: `ML.VALIDATE_DATA_SKEW` and `ML.VALIDATE_DATA_DRIFT`.
//!
//! A relation of this kind is an ordinary aggregation, so that it runs in parallel, in little memory, and wherever else a
//! plan may run: [`aggregate`] counts one column, [`compare`] makes a list of deviations of the counts, which is unnested.

mod aggregate;
mod compare;

use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::{Column, TableReference};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::{AggregateUDF, Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF};
use lakemill_base::ErrorKind;
use lakemill_learn::drift::{ComparedColumn, Metric, Profile, compared_columns};

use crate::{Error, Result};

use aggregate::DistributionOf;
pub(crate) use compare::Deviations;
use compare::{Comparison, OUTPUT};

/// How columns are compared.
#[derive(Clone, Debug)]
pub(crate) struct Thresholds {
    /// Above which a number's deviation is an anomaly.
    pub(crate) numerical: f64,
    /// Above which a category's is.
    pub(crate) categorical: f64,
    /// How categories are compared.
    pub(crate) categorical_metric: Metric,
    /// Those of single columns.
    pub(crate) columns: Vec<(String, f64)>,
}

/// The aggregate functions, to be registered with a session.
pub(crate) fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    vec![Arc::new(AggregateUDF::new_from_impl(DistributionOf::new()))]
}

/// How far the rows of `study`, whose columns are a model's features, are from `profile`.
///
/// # Errors
/// A threshold of a column that is not compared.
pub(crate) fn from_profile(study: LogicalPlan, profile: &Profile, thresholds: &Thresholds) -> Result<LogicalPlan> {
    let columns = columns_of(&study)?;
    let comparisons = comparisons(&columns, &study, thresholds)?;
    let base = columns.iter().map(|column| match profile.column(&column.name) {
        Some(distribution) => Ok(distribution.to_json().to_string()),
        None => Err(Error::new(
            ErrorKind::Data,
            format!("the model does not say how its feature '{}' was distributed", column.name),
        )),
    });
    let function = Deviations::from(comparisons, base.collect::<Result<_>>()?);
    let counted = count(study, &columns, "study")?;
    deviations(counted, function, named("study", columns.len()))
}

/// How far the rows of `study` are from those of `base`, which have the same columns.
///
/// # Errors
/// A column that one of them lacks or has in another kind of type; a threshold of a column that is not compared.
pub(crate) fn between(base: LogicalPlan, study: LogicalPlan, thresholds: &Thresholds) -> Result<LogicalPlan> {
    let (columns, others) = (columns_of(&base)?, columns_of(&study)?);
    let comparisons = comparisons(&columns, &base, thresholds)?;
    let wrong = |have: &str, lack: &str, name: &str| {
        Error::invalid(format!(
            "ML.VALIDATE_DATA_DRIFT compares relations of the same columns: the {have} has '{name}' among those that \
             are compared, and the {lack} has not; SELECT the columns that both have"
        ))
    };
    let missing = |these: &[ComparedColumn], those: &[ComparedColumn]| {
        these.iter().find(|column| !those.contains(column)).map(|column| column.name.clone())
    };
    if let Some(name) = missing(&columns, &others) {
        return Err(wrong("first", "second", &name));
    }
    if let Some(name) = missing(&others, &columns) {
        return Err(wrong("second", "first", &name));
    }
    for (column, other) in columns.iter().map(|column| (column, kind(&base, column))) {
        if kind(&study, column) != other {
            return Err(Error::invalid(format!(
                "'{}' is a number in one relation and a category in the other; CAST it",
                column.name
            )));
        }
    }
    let counted = LogicalPlanBuilder::from(count(base, &columns, "base")?)
        .cross_join(count(study, &columns, "study")?)?
        .build()?;
    let both = named("base", columns.len()).into_iter().chain(named("study", columns.len())).collect();
    deviations(counted, Deviations::between(comparisons), both)
}

/// The columns of a relation that are compared. What no model takes is left out, as timestamps are.
fn columns_of(rows: &LogicalPlan) -> Result<Vec<ComparedColumn>> {
    let known = |field: &&Field| compared_columns(&[(*field).clone()]).is_ok();
    let fields: Vec<&Field> = rows.schema().fields().iter().map(AsRef::as_ref).collect();
    let fields: Vec<Field> = fields.iter().filter(|field| known(field)).map(|field| (*field).clone()).collect();
    let columns = compared_columns(&fields)?;
    if columns.is_empty() {
        return Err(Error::invalid("none of the columns is a number or a category, which are what is compared"));
    }
    Ok(columns)
}

/// Whether a column is one of numbers.
fn kind(rows: &LogicalPlan, column: &ComparedColumn) -> Option<bool> {
    let expr = value(column);
    let (_, field) = datafusion::logical_expr::ExprSchemable::to_field(&expr, rows.schema()).ok()?;
    DistributionOf::is_number(field.data_type())
}

fn comparisons(columns: &[ComparedColumn], rows: &LogicalPlan, thresholds: &Thresholds) -> Result<Vec<Comparison>> {
    for (name, _) in &thresholds.columns {
        if !columns.iter().any(|column| column.name == *name) {
            let names = columns.iter().map(|column| column.name.as_str());
            return Err(Error::invalid(lakemill_base::unknown("column of 'thresholds'", name, names)));
        }
    }
    let comparison = |column: &ComparedColumn| {
        let own = thresholds.columns.iter().find(|(name, _)| *name == column.name).map(|(_, threshold)| *threshold);
        let (metric, default) = match kind(rows, column) {
            Some(true) => (Metric::JensenShannonDivergence, thresholds.numerical),
            _ => (thresholds.categorical_metric, thresholds.categorical),
        };
        Comparison { input: column.name.clone(), metric, threshold: own.unwrap_or(default) }
    };
    Ok(columns.iter().map(comparison).collect())
}

/// One row with the distribution of each column, `side_0` and so on.
fn count(rows: LogicalPlan, columns: &[ComparedColumn], side: &str) -> Result<LogicalPlan> {
    let distribution = AggregateUDF::new_from_impl(DistributionOf::new());
    let counted = columns.iter().zip(names(side, columns.len()));
    let counted: Vec<Expr> = counted.map(|(column, name)| distribution.call(vec![value(column)]).alias(name)).collect();
    let counted = LogicalPlanBuilder::from(rows).aggregate(Vec::<Expr>::new(), counted)?;
    Ok(counted.alias(TableReference::bare(side))?.build()?)
}

/// A column, or a field of one.
fn value(column: &ComparedColumn) -> Expr {
    let mut path = column.path.iter();
    let top = Expr::Column(Column::from_name(path.next().cloned().unwrap_or_default()));
    path.fold(top, |expr, field| get_field(expr, field.as_str()))
}

fn names(side: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |index| format!("{side}_{index}"))
}

fn named(side: &str, count: usize) -> Vec<Expr> {
    names(side, count).map(|name| Expr::Column(Column::from_name(name))).collect()
}

/// A row for each column.
fn deviations(counted: LogicalPlan, function: Deviations, distributions: Vec<Expr>) -> Result<LogicalPlan> {
    const LIST: &str = "deviations";
    let function = ScalarUDF::new_from_impl(function);
    let fields = OUTPUT.iter().map(|name| get_field(Expr::Column(Column::from_name(LIST)), *name).alias(*name));
    let plan = LogicalPlanBuilder::from(counted)
        .project([function.call(distributions).alias(LIST)])?
        .unnest_column(LIST)?
        .project(fields)?;
    Ok(plan.build()?)
}
