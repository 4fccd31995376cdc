//! Relations that apply a model to rows.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, cast};
use lakemill_lake::sql_type;
use sqlparser::ast::{Query, TableFactor};

use super::arguments::Arguments;
use super::stored;
use crate::model::drift;
use crate::model::evaluate::{EvaluateNode, Measure};
use crate::model::language::{LanguageHandle, LanguageNode, Task};
use crate::model::loaded::LoadedModel;
use crate::model::predict::{Outputs, PredictNode};
use crate::{Error, Result};

/// Bins of ML.CALIBRATION, unless told otherwise.
const CALIBRATION_BINS: u32 = 10;

/// ML.PREDICT
pub(super) fn predict(
    model: &Arc<LoadedModel>,
    arguments: Arguments,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let threshold = arguments.threshold()?;
    check_threshold(model, arguments.function, threshold)?;
    let input = rows(arguments, context)?;
    let outputs = Outputs::new(threshold);
    for field in outputs.fields(&model.handle) {
        if input.schema().fields().iter().any(|given| given.name() == field.name()) {
            return Err(Error::invalid(format!(
                "the input of ML.PREDICT has a column '{0}' already, which the prediction is called; \
                 leave it out with SELECT * EXCEPT ({0}) or rename it",
                field.name()
            )));
        }
    }
    let features = model.features(input.schema())?;
    let node = PredictNode::new(input, Arc::clone(&model.handle), features, outputs)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// ML.GENERATE_TEXT and ML.GENERATE_EMBEDDING
pub(super) fn generate(
    handle: &Arc<LanguageHandle>,
    arguments: Arguments,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let (task, function) = (arguments.task()?, arguments.function);
    handle.expect(task.kind(), function)?;
    let input = rows(arguments, context)?;
    for field in task.fields() {
        if input.schema().fields().iter().any(|given| given.name() == field.name()) {
            return Err(Error::invalid(format!(
                "the input of {function} has a column '{0}' already, which an answer is called; \
                 leave it out with SELECT * EXCEPT ({0}) or rename it",
                field.name()
            )));
        }
    }
    let column = if task == Task::Embedding { "content" } else { "prompt" };
    let prompt = prompt(column, &task, &input)?;
    let node = LanguageNode::new(input, Arc::clone(handle), Arc::new(task), prompt)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The column of texts.
fn prompt(name: &str, task: &Task, input: &LogicalPlan) -> Result<Expr> {
    let (schema, function) = (input.schema(), task.function());
    let Some((qualifier, field)) = schema.iter().find(|(_, field)| field.name() == name) else {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(Error::invalid(format!(
            "{function} needs a column '{name}' of texts, which the input does not have; it has: {}",
            names.join(", ")
        )));
    };
    let column = Expr::Column(Column::new(qualifier.cloned(), name));
    match field.data_type() {
        DataType::Struct(_) if *task != Task::Embedding => Ok(column),
        other if task.reorders_fields() => Err(Error::invalid(format!(
            "reorder_fields is for a prompt that is a STRUCT, whose fields are its lines; the input's prompt is {}",
            sql_type(other)
        ))),
        DataType::Utf8 => Ok(column),
        DataType::Null | DataType::LargeUtf8 | DataType::Utf8View => Ok(cast(column, DataType::Utf8)),
        DataType::Dictionary(_, value) if value.is_string() => Ok(cast(column, DataType::Utf8)),
        other => Err(Error::invalid(format!(
            "the column '{name}' of {function} is a text{}, and the input has it as {}; CAST it in the input",
            if *task == Task::Embedding { "" } else { " or a STRUCT of its lines" },
            sql_type(other)
        ))),
    }
}

/// ML.TRANSFORM: the features, then the label where the input has it.
pub(super) fn transform(
    model: &Arc<LoadedModel>,
    arguments: Arguments,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let input = rows(arguments, context)?;
    let mut exprs = named_features(model, &input)?;
    if let Ok(label) = model.label(input.schema()) {
        exprs.push(label.alias(model.model().label()));
    }
    Ok(LogicalPlanBuilder::from(input).project(exprs)?.build()?)
}

/// ML.VALIDATE_DATA_SKEW: how far the features of rows are from those of training.
pub(super) fn skew(
    model: &Arc<LoadedModel>,
    arguments: Arguments,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let thresholds = arguments.deviations()?;
    let Some(profile) = model.model().profile() else {
        return Err(Error::invalid(format!(
            "model {} is of before models kept how their training rows were distributed; train it again, or compare with \
             its training rows by ML.VALIDATE_DATA_DRIFT",
            model.handle
        )));
    };
    let input = rows(arguments, context)?;
    let features = named_features(model, &input)?;
    drift::from_profile(LogicalPlanBuilder::from(input).project(features)?.build()?, profile, &thresholds)
}

/// ML.VALIDATE_DATA_DRIFT: how far rows are from other rows.
pub(super) fn between(mut arguments: Arguments, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let thresholds = arguments.deviations()?;
    let (study, base) = (arguments.rows.pop(), arguments.rows.pop());
    let base = relation(arguments.function, base, context)?;
    let study = relation(arguments.function, study, context)?;
    drift::between(base, study, &thresholds)
}

/// The features of rows, by the model's names.
fn named_features(model: &LoadedModel, input: &LogicalPlan) -> Result<Vec<Expr>> {
    let names = model.model().features().iter().map(|field| field.name().clone());
    let features = model.features(input.schema())?;
    Ok(features.into_iter().zip(names).map(|(feature, name)| feature.alias(name)).collect())
}

/// ML.EVALUATE and its kind: over rows, or as measured on the held-out rows when the model was trained.
pub(super) fn measure(
    model: &Arc<LoadedModel>,
    arguments: Arguments,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let measure = match arguments.function {
        "ML.CONFUSION_MATRIX" => Measure::ConfusionMatrix { threshold: arguments.threshold()? },
        "ML.ROC_CURVE" => Measure::RocCurve { thresholds: arguments.thresholds()? },
        "ML.CALIBRATION" => Measure::Calibration { bins: arguments.bins(CALIBRATION_BINS)? },
        _ => Measure::Evaluate { threshold: arguments.threshold()? },
    };
    check_measure(model, &measure)?;
    if arguments.rows.is_empty() {
        return stored::measured(model, &measure, arguments.has_settings());
    }
    let input = rows(arguments, context)?;
    let mut exprs = model.features(input.schema())?;
    exprs.push(model.label(input.schema())?);
    let node = EvaluateNode::new(input, Arc::clone(&model.handle), exprs, measure)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

fn check_measure(model: &LoadedModel, measure: &Measure) -> Result<()> {
    let kind = model.model().model_type().as_str();
    let classes = model.model().class_labels().map_or(0, |labels| labels.len());
    match measure {
        Measure::Evaluate { threshold } => check_threshold(model, measure.name(), *threshold),
        Measure::ConfusionMatrix { threshold } if classes > 0 => check_threshold(model, measure.name(), *threshold),
        Measure::ConfusionMatrix { .. } => Err(Error::invalid(format!(
            "ML.CONFUSION_MATRIX is for classifiers, and model {} is a {kind}; ML.EVALUATE measures a regressor",
            model.handle.name
        ))),
        Measure::RocCurve { .. } | Measure::Calibration { .. } if classes == 2 => Ok(()),
        Measure::RocCurve { .. } | Measure::Calibration { .. } => Err(Error::invalid(format!(
            "{} is for classifiers of two classes, and model {} is a {kind}{}",
            measure.name(),
            model.handle.name,
            if classes > 0 { format!(" of {classes}") } else { String::new() }
        ))),
    }
}

fn check_threshold(model: &LoadedModel, function: &str, threshold: Option<f64>) -> Result<()> {
    if threshold.is_some() && model.model().class_labels().is_none_or(|labels| labels.len() != 2) {
        return Err(Error::invalid(format!(
            "{function} takes a threshold for classifiers of two classes, which model {} is not",
            model.handle.name
        )));
    }
    Ok(())
}

/// Plans the rows of a relation that takes one.
fn rows(mut arguments: Arguments, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    relation(arguments.function, arguments.rows.pop(), context)
}

/// Plans rows, their columns under their bare names.
pub(in crate::model) fn relation(
    function: &str,
    query: Option<Query>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let Some(query) = query else { return Err(Error::internal(format!("{function} has no rows"))) };
    let plan = plan_rows(Box::new(query), context)?;
    if plan.contains_outer_reference() {
        return Err(Error::invalid(format!(
            "the input of {function} names a column of the query around it; join the result instead"
        )));
    }
    let schema = plan.schema();
    for (index, field) in schema.fields().iter().enumerate() {
        if schema.fields()[..index].iter().any(|earlier| earlier.name() == field.name()) {
            return Err(Error::invalid(format!(
                "the input of {function} has two columns named '{}'; rename one with AS",
                field.name()
            )));
        }
    }
    Ok(LogicalPlanBuilder::from(plan).alias(TableReference::bare("input"))?.build()?)
}

fn plan_rows(subquery: Box<Query>, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    Ok(context.plan(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })?)
}
