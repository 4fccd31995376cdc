//! `ML.PREDICT` and its kind in FROM.
//!
//! All but one take `MODEL name [VERSION AS OF n | @n]`, most then take the rows, `TABLE t` or `(query)`, and some a
//! `STRUCT(value AS setting, ..)`. The models that a statement names are loaded before it is planned, since
//! planning cannot wait. Without an alias, a relation is called as its model is, so that
//! `FROM ML.EVALUATE(MODEL a), ML.EVALUATE(MODEL b)` can tell its columns apart.

mod apply;
mod arguments;
mod stored;

use std::sync::Arc;

use datafusion::common::{DataFusionError, TableReference};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use lakemill_base::unknown;
use sqlparser::ast::{FunctionArg, Ident, ObjectName, Spanned, TableAlias, TableAliasColumnDef, TableFactor};

use super::cache::AnyModel;
use super::parse::ModelReference;
use super::transform::{RELATIONS, position};
use crate::{Error, Result};

use arguments::Arguments;

pub(super) use apply::relation;

/// Plans the relations of one text, whose models are loaded.
#[derive(Debug)]
pub(super) struct ModelRelations {
    models: Vec<(ModelReference, AnyModel)>,
}

impl ModelRelations {
    /// A planner that knows `models` by the names under which the text has them.
    pub(super) fn new(models: Vec<(ModelReference, AnyModel)>) -> Self {
        Self { models }
    }

    fn model(&self, reference: &ModelReference) -> Result<&AnyModel> {
        let same = |known: &&(ModelReference, AnyModel)| {
            known.0.parts == reference.parts && known.0.version == reference.version
        };
        match self.models.iter().find(same) {
            Some((_, model)) => Ok(model),
            None => Err(Error::internal(format!("model {} was not loaded", reference.parts.join(".")))),
        }
    }

    fn relation(
        &self,
        function: &str,
        args: Vec<FunctionArg>,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<(LogicalPlan, String)> {
        let arguments = Arguments::new(function, args, |ident| context.normalize_ident(ident.clone()))?;
        let Some(model) = &arguments.model else {
            return Ok((apply::between(arguments, context)?, "drift".to_owned()));
        };
        let generates = matches!(function, "ML.GENERATE_TEXT" | "ML.GENERATE_EMBEDDING");
        let model = match self.model(model)? {
            AnyModel::Language(handle) if generates => {
                return Ok((apply::generate(handle, arguments, context)?, handle.model_name().model));
            }
            AnyModel::Language(handle) => return Err(handle.no_prediction()),
            AnyModel::Predictive(model) if generates => {
                let (name, kind) = (&model.handle.name, model.model().model_type().as_str());
                return Err(Error::invalid(format!(
                    "{function} is for language models, and model {name} is of type {kind}; ML.PREDICT takes it"
                )));
            }
            AnyModel::Predictive(model) => Arc::clone(model),
        };
        let name = model.handle.name.model.clone();
        let plan = match function {
            "ML.PREDICT" => apply::predict(&model, arguments, context),
            "ML.TRANSFORM" => apply::transform(&model, arguments, context),
            "ML.VALIDATE_DATA_SKEW" => apply::skew(&model, arguments, context),
            "ML.EVALUATE" | "ML.CONFUSION_MATRIX" | "ML.ROC_CURVE" | "ML.CALIBRATION" => {
                apply::measure(&model, arguments, context)
            }
            _ => stored::plan(&model, arguments),
        }?;
        Ok((plan, name))
    }

    fn plan(
        &self,
        function: &str,
        name: &ObjectName,
        args: Vec<FunctionArg>,
        alias: Option<TableAlias>,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<PlannedRelation> {
        let at = position(name.span().start);
        let (plan, model) = self.relation(function, args, context).map_err(|error| error.at(at))?;
        if let Some(alias) = alias {
            return Ok(PlannedRelation::new(plan.clone(), Some(complete(alias, &plan))));
        }
        let plan = LogicalPlanBuilder::from(plan).alias(TableReference::bare(model))?.build()?;
        Ok(PlannedRelation::new(plan, None))
    }
}

impl RelationPlanner for ModelRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> DataFusionResult<RelationPlanning> {
        let planned = match relation {
            TableFactor::Table { name, alias, args: Some(args), .. } if ml_name(&name).is_some() => {
                let function = known(&name)?;
                self.plan(&function, &name, args.args, alias, context)
            }
            TableFactor::Function { name, .. } if ml_name(&name).is_some() => Err(Error::invalid(format!(
                "{} cannot be LATERAL: its input is a relation of its own; join its result instead",
                known(&name)?
            ))
            .at(position(name.span().start))),
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        Ok(RelationPlanning::Planned(Box::new(planned.map_err(external)?)))
    }
}

/// As in PostgreSQL, an alias may name only the first columns: the others keep their names.
pub(super) fn complete(mut alias: TableAlias, plan: &LogicalPlan) -> TableAlias {
    if !alias.columns.is_empty() {
        let rest = plan.schema().fields().iter().skip(alias.columns.len());
        alias.columns.extend(
            rest.map(|field| TableAliasColumnDef { name: Ident::with_quote('"', field.name()), data_type: None }),
        );
    }
    alias
}

/// `ML.PREDICT` of `ml.predict`; `None` for names that do not begin with `ML`.
pub(super) fn ml_name(name: &ObjectName) -> Option<String> {
    let [prefix, function] = name.0.as_slice() else { return None };
    let (prefix, function) = (prefix.as_ident()?, function.as_ident()?);
    let ours = prefix.quote_style.is_none() && prefix.value.eq_ignore_ascii_case("ml");
    ours.then(|| format!("ML.{}", function.value.to_uppercase()))
}

fn known(name: &ObjectName) -> DataFusionResult<String> {
    let function = ml_name(name).unwrap_or_default();
    if RELATIONS.contains(&function.as_str()) {
        return Ok(function);
    }
    let at = position(name.span().start);
    let values = lakemill_learn::transform::transform_names();
    let message = if values.contains(&function.as_str()) {
        format!("{function} is a value, not a relation; write it in the select list or in TRANSFORM")
    } else {
        unknown("relation", &function, RELATIONS)
    };
    Err(external(Error::not_found(message).at(at)))
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
