//! CREATE MODEL: from a query to a saved, versioned model.
//!
//! The statement is checked as far as possible before a row is read: the query is planned, the options and the
//! TRANSFORM clause are checked against its columns. Then the rows are read, split, transformed and learned from on
//! a thread of their own; saving the artifact is the one commit. An error, a cancellation or a crash before it
//! leaves nothing.

mod read;
mod save;
mod summary;
mod train;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, ident};
use lakemill_base::ErrorKind;
use lakemill_lake::ModelName;
use lakemill_learn::{OptionValue, TrainSpec};
use sqlparser::ast::ObjectName;

use super::language;
use super::parse::{CreateModel, LocatedOption};
use super::transform::{TransformPlan, position};
use crate::outcome::{Outcome, Summary};
use crate::session::StatementScope;
use crate::{Error, Result};

pub(super) use save::{Made, save};
use train::Trained;

/// What is to be trained, checked.
struct Training {
    plan: LogicalPlan,
    spec: TrainSpec,
    transform: Option<TransformPlan>,
    passthrough: Vec<String>,
}

/// Executes CREATE MODEL.
pub(super) async fn execute(scope: &Arc<StatementScope>, create: &CreateModel) -> Result<Outcome> {
    let name = scope.model_name(&ObjectName::from(create.name.clone()))?;
    if let Some(version) = existing(scope, &name).await? {
        if create.if_not_exists {
            return Ok(Outcome::Done(Summary::new(format!(
                "model {name} exists already (version {version}); nothing to do"
            ))));
        }
        if !create.or_replace {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "model {name} exists already (version {version}); write CREATE OR REPLACE MODEL to train a new version"
                ),
            ));
        }
    }
    if let Some(kind) = language::imports(create) {
        return language::create(scope, create, &name, kind).await;
    }
    let training = check(scope, create).await?;
    let trained = train(scope, training).await?;
    keep(scope, create, &name, trained).await
}

async fn existing(scope: &StatementScope, name: &ModelName) -> Result<Option<u64>> {
    match scope.lake().model(name, None).await {
        Ok(entry) => Ok(Some(entry.version.version)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn check(scope: &StatementScope, create: &CreateModel) -> Result<Training> {
    let Some(query) = &create.query else {
        return Err(Error::invalid(
            "CREATE MODEL needs the query that gives its training rows: CREATE MODEL m OPTIONS (..) AS SELECT ..",
        ));
    };
    let plan = scope.plan_query(query).await?;
    let schema = columns(&plan)?;
    let options: Vec<(String, OptionValue)> =
        create.options.iter().map(|option| (option.name.clone(), option.value.clone())).collect();
    let locate = |error: lakemill_learn::Error| locate_option(scope, &create.options, error);
    let passthrough = lakemill_learn::passthrough_columns(&options, &schema).map_err(locate)?;
    let transform = create
        .transform
        .as_ref()
        .map(|text| {
            TransformPlan::new(text, Arc::clone(&schema), &passthrough, scope.state())
                .map_err(|error| scope.shifted(error).at(scope_position(scope, text.start)))
        })
        .transpose()?;
    let trained_on = transform.as_ref().map_or(&schema, TransformPlan::output);
    let spec = TrainSpec::parse(&options, trained_on).map_err(locate)?;
    let plan = match &transform {
        None => plan,
        Some(transform) => {
            // Columns that TRANSFORM leaves out need not be read, and must not influence the split.
            let used = transform.used_columns(scope.state())?;
            let kept = schema.fields().iter().filter(|field| used.contains(field.name()));
            LogicalPlanBuilder::from(plan).project(kept.map(|field| ident(field.name())))?.build()?
        }
    };
    Ok(Training { plan, spec, transform, passthrough })
}

/// The columns of a query by their bare names.
fn columns(plan: &LogicalPlan) -> Result<SchemaRef> {
    let fields: Vec<Field> = plan.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|earlier| earlier.name() == field.name()) {
            let message = format!("the training query has two columns named '{}'; rename one with AS", field.name());
            return Err(Error::invalid(message));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// An error about an option, at the option's place.
fn locate_option(scope: &StatementScope, options: &[LocatedOption], error: lakemill_learn::Error) -> Error {
    let named = error.option_name().map(str::to_lowercase);
    let option = options.iter().find(|option| Some(&option.name) == named.as_ref());
    scope.locate(error.into(), option.map(|option| position(option.at)))
}

fn scope_position(scope: &StatementScope, at: sqlparser::tokenizer::Location) -> crate::Position {
    scope.statement().script_position(position(at))
}

async fn train(scope: &Arc<StatementScope>, training: Training) -> Result<Trained> {
    let rows = read::read(scope, &training.plan).await?;
    train::run(scope, training.spec, training.transform, training.passthrough, rows)
        .await
        .map_err(|error| scope.shifted(error))
}

async fn keep(scope: &StatementScope, create: &CreateModel, name: &ModelName, trained: Trained) -> Result<Outcome> {
    let model = &trained.model;
    let mut artifact = model.to_artifact()?;
    if let Some(transform) = &trained.transform {
        transform.save(&trained.passthrough, &mut artifact)?;
    }
    artifact.set_section("lineage", save::lineage(scope, create))?;
    let made = Made {
        model_type: model.model_type().as_str().to_owned(),
        files: artifact.files,
        summary: summary::catalog(&trained),
        options: summary::options(model),
        seed: Some(model.spec().seed()),
    };
    save(scope, create, name, made, |version| summary::message(name, version, &trained)).await
}
