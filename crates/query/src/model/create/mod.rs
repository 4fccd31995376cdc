//! CREATE MODEL: from a query to a saved, versioned model.
//!
//! The statement is checked as far as possible before a row is read: the query is planned, the options and the
//! TRANSFORM clause are checked against its columns. Then the rows are read, split, transformed and learned from on
//! a thread of their own; saving the artifact is the one commit. An error, a cancellation or a crash before it
//! leaves nothing.

mod read;
mod summary;
mod train;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, ident};
use lakemill_base::ErrorKind;
use lakemill_lake::{LineageInput, LineageRecord, ModelDraft, ModelName, SaveMode, Securable};
use lakemill_learn::{OptionValue, TrainSpec};
use serde_json::{Value, json};
use sqlparser::ast::ObjectName;

use super::language;
use super::parse::{CreateModel, LocatedOption};
use super::transform::{TransformPlan, position};
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::outcome::{Outcome, Summary};
use crate::session::StatementScope;
use crate::{Error, Result};

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
    save(scope, create, &name, trained).await
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

async fn save(scope: &StatementScope, create: &CreateModel, name: &ModelName, trained: Trained) -> Result<Outcome> {
    let model = &trained.model;
    let mut artifact = model.to_artifact()?;
    if let Some(transform) = &trained.transform {
        transform.save(&trained.passthrough, &mut artifact)?;
    }
    let lineage = lineage(scope, create);
    artifact.set_section("lineage", lineage.clone())?;
    let draft = ModelDraft {
        model_type: model.model_type().as_str().to_owned(),
        files: artifact.files,
        lineage,
        summary: summary::catalog(&trained),
    };
    let mode = match (create.or_replace, create.if_not_exists) {
        (true, _) => SaveMode::Replace,
        (_, true) => SaveMode::IfNotExists,
        _ => SaveMode::Create,
    };
    let Some(version) = scope.lake().save_model(name, draft, mode).await? else {
        return Ok(Outcome::Done(Summary::new(format!("model {name} exists already; nothing to do"))));
    };
    scope.made(&Securable::model(name)).await?;
    record(scope, name, version.version, &trained).await?;
    Ok(Outcome::Done(summary::message(name, version.version, &trained)))
}

/// What the model was made from, as the artifact and the catalog keep it.
fn lineage(scope: &StatementScope, create: &CreateModel) -> Value {
    let reads = scope.reads();
    let inputs = reads.iter().map(|(object, version)| {
        json!({ "kind": object.kind.as_str(), "name": object.name, "version": version.to_string() })
    });
    json!({
        "statement": scope.statement().text,
        "query": create.query_text,
        "transform": create.transform.as_ref().map(|transform| transform.text.clone()),
        "inputs": inputs.collect::<Vec<_>>(),
        "lakemill_version": env!("CARGO_PKG_VERSION"),
    })
}

async fn record(scope: &StatementScope, name: &ModelName, version: u64, trained: &Trained) -> Result<()> {
    let object = ObjectRef::model(format!("{}.{}", name.namespace, name.model));
    let inputs = scope.reads().into_iter().map(|(object, version)| LineageInput {
        kind: object.kind.as_str().to_owned(),
        name: object.name,
        version: version.to_string(),
    });
    let record = LineageRecord {
        kind: "model".to_owned(),
        namespace: name.namespace.clone(),
        name: name.model.clone(),
        version,
        statement: scope.statement().text.clone(),
        inputs: inputs.collect(),
        options: summary::options(&trained.model),
        seed: Some(trained.model.spec().seed()),
        at_ms: scope.session().clock().now_ms(),
    };
    scope.lake().record_lineage(&record).await?;
    scope.record_write(object, ObjectVersion::Version(version));
    Ok(())
}
