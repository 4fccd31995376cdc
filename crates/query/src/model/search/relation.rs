//! `VECTOR_SEARCH` in FROM.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Extension, LogicalPlan};
use lakemill_base::unknown;
use lakemill_lake::sql_type;
use lakemill_learn::OptionValue;
use serde_json::Value;
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, ObjectName, Query, Spanned, TableFactor};
use std::sync::Arc;

use super::index::EF_SEARCH_MAX;
use super::{Distance, Search, SearchNode};
use crate::model::parse::{option_value, query_of};
use crate::model::relation::{complete, relation};
use crate::model::transform::position;
use crate::{Error, Result};

const FUNCTION: &str = "VECTOR_SEARCH";
const USAGE: &str = "VECTOR_SEARCH(TABLE base, 'column', TABLE q | (query) [, top_k => 10] [, distance_type => 'COSINE'] \
                     [, query_column_to_search => 'column'] [, options => '{..}'])";

/// What may be given by name.
const NAMED: [&str; 4] = ["top_k", "distance_type", "query_column_to_search", "options"];

/// What `options` may have, as JSON.
const OPTIONS: [&str; 2] = ["use_brute_force", "ef_search"];

/// BigQuery's default.
const TOP_K: usize = 10;
/// Rows kept for each row of a query: beyond, the ranks of a join are the better tool.
const TOP_K_MAX: i64 = 10_000;

/// Plans the relation.
#[derive(Debug)]
pub(crate) struct SearchRelation;

impl RelationPlanner for SearchRelation {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> DataFusionResult<RelationPlanning> {
        match relation {
            TableFactor::Table { name, alias, args: Some(args), .. } if is_search(&name) => {
                let at = position(name.span().start);
                let plan =
                    plan(args.args, context).map_err(|error| DataFusionError::External(Box::new(error.at(at))))?;
                let alias = alias.map(|alias| complete(alias, &plan));
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
            }
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

fn is_search(name: &ObjectName) -> bool {
    let [part] = name.0.as_slice() else { return false };
    part.as_ident().is_some_and(|ident| ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case(FUNCTION))
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("{FUNCTION} {what}; write {USAGE}"))
}

/// The arguments as written.
#[derive(Default)]
struct Arguments {
    base: Option<Query>,
    column: Option<String>,
    query: Option<Query>,
    query_column: Option<String>,
    top_k: Option<usize>,
    distance: Option<Distance>,
    brute_force: bool,
    breadth: Option<usize>,
}

impl Arguments {
    fn new(args: Vec<FunctionArg>) -> Result<Self> {
        let mut arguments = Self::default();
        for (place, argument) in args.into_iter().enumerate() {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.set(place, expr)?,
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                    let at = position(name.span.start);
                    arguments.set_named(&name.value.to_lowercase(), &expr).map_err(|error| error.at(at))?;
                }
                other => return Err(wrong(format!("does not take '{other}'"))),
            }
        }
        Ok(arguments)
    }

    fn set(&mut self, place: usize, expr: Expr) -> Result<()> {
        match place {
            0 => self.base = Some(rows("the base", expr)?),
            1 => self.column = Some(text("the base's column", &expr)?),
            2 => self.query = Some(rows("the query", expr)?),
            _ => return Err(wrong(format!("takes '{expr}' by its name alone"))),
        }
        Ok(())
    }

    fn set_named(&mut self, name: &str, expr: &Expr) -> Result<()> {
        match name {
            "top_k" => match option_value(expr) {
                Ok(OptionValue::Int(value @ 1..=TOP_K_MAX)) => self.top_k = usize::try_from(value).ok(),
                _ => return Err(Error::invalid(format!("top_k is a whole number from 1 to {TOP_K_MAX}, not {expr}"))),
            },
            "distance_type" => {
                let written = text("distance_type", expr)?;
                self.distance = Some(Distance::parse(&written)?);
            }
            "query_column_to_search" => self.query_column = Some(text(name, expr)?),
            "options" => self.set_options(&text(name, expr)?)?,
            other => return Err(Error::invalid(unknown("argument", other, NAMED))),
        }
        Ok(())
    }
}

impl Arguments {
    /// What is written as JSON, as BigQuery has it.
    fn set_options(&mut self, text: &str) -> Result<()> {
        let options: serde_json::Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            Error::invalid(format!(
                "options is a JSON object such as '{{\"use_brute_force\": true}}', not '{text}': {error}"
            ))
        })?;
        for (name, value) in &options {
            match (name.as_str(), value) {
                ("use_brute_force", Value::Bool(value)) => self.brute_force = *value,
                ("use_brute_force", other) => {
                    return Err(Error::invalid(format!("option 'use_brute_force' is true or false, not {other}")));
                }
                ("ef_search", value) => match value.as_i64() {
                    Some(value @ 1..=EF_SEARCH_MAX) => self.breadth = usize::try_from(value).ok(),
                    _ => {
                        return Err(Error::invalid(format!(
                            "option 'ef_search' is a whole number from 1 to {EF_SEARCH_MAX}, not {value}"
                        )));
                    }
                },
                (other, _) => return Err(Error::invalid(unknown("option", other, OPTIONS))),
            }
        }
        if self.brute_force && self.breadth.is_some() {
            return Err(Error::invalid(
                "option 'ef_search' is for a search by an index, and 'use_brute_force' is for one without",
            ));
        }
        Ok(())
    }
}

fn rows(what: &str, expr: Expr) -> Result<Query> {
    let query = query_of(expr).map_err(|other| wrong(format!("takes rows for {what}, not '{other}'")))?;
    Ok(*query)
}

fn text(what: &str, expr: &Expr) -> Result<String> {
    match option_value(expr) {
        Ok(OptionValue::String(text)) => Ok(text),
        _ => Err(wrong(format!("takes a quoted name for {what}, not '{expr}'"))),
    }
}

fn plan(args: Vec<FunctionArg>, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let arguments = Arguments::new(args)?;
    let (Some(base), Some(column), Some(query)) = (arguments.base, arguments.column, arguments.query) else {
        return Err(wrong("needs a base, its column of vectors and a query"));
    };
    let base = relation(FUNCTION, Some(base), context)?;
    let query = relation(FUNCTION, Some(query), context)?;
    let base_column = vectors("the base", &column, base.schema())?;
    let query_column = match arguments.query_column {
        Some(column) => vectors("the query", &column, query.schema())?,
        None => query_vectors(&column, query.schema())?,
    };
    let search = Search {
        base_column,
        query_column,
        top_k: arguments.top_k.unwrap_or(TOP_K),
        distance: arguments.distance.unwrap_or(Distance::Euclidean),
        brute_force: arguments.brute_force,
        breadth: arguments.breadth,
    };
    let node = SearchNode::new(query, base, search)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The place of a column of vectors.
fn vectors(of: &str, name: &str, schema: &DFSchema) -> Result<usize> {
    let Some(place) = schema.fields().iter().position(|field| field.name() == name) else {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(Error::invalid(unknown(&format!("column of {of}"), name, names)));
    };
    let kind = schema.field(place).data_type();
    match is_vector(kind) {
        true => Ok(place),
        false => Err(Error::invalid(format!(
            "column '{name}' of {of} is {}; a search needs an array of numbers",
            sql_type(kind)
        ))),
    }
}

/// The query's column of the base's name, or its only one of vectors.
fn query_vectors(name: &str, schema: &DFSchema) -> Result<usize> {
    let places = || schema.fields().iter().enumerate().filter(|(_, field)| is_vector(field.data_type()));
    if let Some((place, _)) = places().find(|(_, field)| field.name() == name) {
        return Ok(place);
    }
    let mut found = places().map(|(place, _)| place);
    match (found.next(), found.next()) {
        (Some(place), None) => Ok(place),
        (None, _) => Err(wrong("finds no array of numbers among the query's columns")),
        (Some(_), Some(_)) => Err(Error::invalid(
            "the query has several columns of vectors; name one: query_column_to_search => 'column'",
        )),
    }
}

pub(super) fn is_vector(kind: &DataType) -> bool {
    match kind {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_numeric()
        }
        _ => false,
    }
}
