//! Models in SQL: statements that train, show and export them, and relations that apply them.
//!
//! - [`parse`]: the grammar; every option keeps its place in the text.
//! - [`create`]: CREATE MODEL. [`transform`]: its TRANSFORM clause. [`statement`]: the other statements.
//! - [`relation`]: `ML.PREDICT(..)` and its kind in FROM, planned into [`predict`], [`evaluate`], [`drift`] or stored rows.
//! - [`codec`]: plans with models as bytes. [`unary`]: what the physical operators share.
//!
//! Not here: how models are fitted, measured and saved (`learn`), and where they are kept (`lake`).
//!
//! **Architecture invariant:** a version of a model is applied with the expressions that prepared its training rows,
//! to columns of the types it was trained on; there is no second description of a feature.

mod cache;
mod codec;
mod create;
mod drift;
mod evaluate;
mod loaded;
mod parse;
mod planner;
mod predict;
mod relation;
mod scorer;
mod statement;
mod transform;
mod unary;

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::planner::RelationPlanner;
use datafusion::physical_planner::ExtensionPlanner;
use sqlparser::ast::{VisitMut, VisitorMut};
use sqlparser::parser::{Parser, ParserError};

use crate::dialect::{Parsed, References, StatementKind};
use crate::error::Result;
use crate::outcome::Outcome;
use crate::session::{ModelArgument, StatementScope};

pub(crate) use cache::{ScopeModels, SessionModels};
pub use codec::ModelCodec;
pub(crate) use parse::{ModelReference, ModelStatement, parse_prefix, referenced_models};
pub use scorer::Scorer;
pub use transform::RELATIONS as ML_RELATIONS;
pub(crate) use transform::rewrite_calls;

impl ModelStatement {
    /// What it is, for callers that present it.
    pub(crate) fn kind(&self) -> StatementKind {
        match self {
            Self::Create(_) => StatementKind::Train,
            Self::Drop { .. } | Self::Export { .. } => StatementKind::Model,
            Self::Show | Self::Describe { .. } => StatementKind::Query,
        }
    }

    /// Changes the query that it trains on.
    pub(crate) fn visit_query(&mut self, visitor: &mut impl VisitorMut) {
        if let Self::Create(create) = self
            && let Some(query) = &mut create.query
        {
            let _ = query.visit(visitor);
        }
    }

    /// Adds what it reads and writes.
    pub(crate) fn add_references(&self, references: &mut References) {
        match self {
            Self::Create(create) => {
                if let Some(query) = &create.query {
                    references.add_query(query);
                }
                references.write_model(&create.name.clone().into());
            }
            Self::Drop { name, .. } => references.write_model(&name.clone().into()),
            Self::Describe { model } | Self::Export { model, .. } => {
                for model in referenced_models(model) {
                    references.read_model(&model.object_name());
                }
            }
            Self::Show => {}
        }
    }
}

/// Parses a statement about models; `None`, with nothing consumed, when the next words start none.
pub(crate) fn parse_statement(parser: &mut Parser<'_>) -> Option<Result<ModelStatement, ParserError>> {
    parse::parse_statement(parser).transpose()
}

/// Executes a statement about models.
pub(crate) async fn execute(
    scope: &Arc<StatementScope>,
    statement: &ModelStatement,
    _parsed: &Parsed,
) -> Result<Outcome> {
    match statement {
        ModelStatement::Create(create) => create::execute(scope, create).await,
        ModelStatement::Drop { name, if_exists } => statement::drop_model(scope, name, *if_exists).await,
        ModelStatement::Show => statement::show(scope).await,
        ModelStatement::Describe { model } => statement::describe(scope, model).await,
        ModelStatement::Export { model, options } => statement::export(scope, model, options).await,
    }
}

/// The planners of `ML.*` relations for one text (a statement or a view in it), with the models that it names
/// loaded: planning itself cannot wait for anything.
pub(crate) async fn relation_planners(
    scope: &StatementScope,
    arguments: &[ModelArgument],
) -> Result<Vec<Arc<dyn RelationPlanner>>> {
    let mut models = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let model =
            cache::load(scope, &argument.name, argument.reference.version).await.map_err(|error| {
                match argument.position {
                    Some(position) => error.at(position),
                    None => error,
                }
            })?;
        models.push((argument.reference.clone(), model));
    }
    Ok(vec![Arc::new(relation::ModelRelations::new(models))])
}

/// The planners from our logical nodes to physical operators.
pub(crate) fn extension_planners() -> Vec<Arc<dyn ExtensionPlanner + Send + Sync>> {
    vec![Arc::new(planner::ModelPlanner)]
}

/// Adds our functions and optimizer rules to a session.
pub(crate) fn extend(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    builder.scalar_functions().get_or_insert_default().extend(transform::scalar_functions());
    builder.aggregate_functions().get_or_insert_default().extend(drift::aggregate_functions());
    builder.with_optimizer_rule(Arc::new(predict::PrunePredictions))
}
