//! Models in SQL: statements that train, show and export them, and relations that apply them.
//!
//! - [`parse`]: the grammar; every option keeps its place in the text.
//! - [`create`]: CREATE MODEL. [`transform`]: its TRANSFORM clause. [`statement`]: the other statements.
//! - [`relation`]: `ML.PREDICT(..)` and its kind in FROM, planned into [`predict`], [`evaluate`], [`drift`] or stored rows.
//! - [`language`]: language models and encoders, their relations and functions. [`search`]: VECTOR_SEARCH and
//!   its indexes.
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
mod language;
mod loaded;
mod parse;
mod planner;
mod predict;
mod relation;
mod scorer;
mod search;
mod statement;
mod transform;
mod unary;

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::RelationPlanner;
use datafusion::physical_planner::ExtensionPlanner;
use sqlparser::ast::{VisitMut, VisitorMut};
use sqlparser::parser::{Parser, ParserError};

use crate::dialect::{Parsed, References, StatementKind};
use crate::error::Result;
use crate::outcome::Outcome;
use crate::session::{ModelArgument, StatementScope};

use cache::AnyModel;
pub(crate) use cache::{ScopeModels, SessionModels};
pub use codec::ModelCodec;
pub(crate) use language::{Resume, info_of_entry, tokens_of};
pub(crate) use parse::{
    LocatedOption, ModelReference, ModelStatement, parse_clause as parse_options, parse_prefix, referenced_models,
};
pub use scorer::Scorer;
pub(crate) use search::{Indexes, Segments, execute_index, reindex};
pub use transform::RELATIONS as ML_RELATIONS;

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

/// What plans the `ML.*` relations and the `AI.*` functions of one text (a statement or a view in it).
#[derive(Debug, Default)]
pub(crate) struct Planning {
    /// Planners of relations.
    pub(crate) relations: Vec<Arc<dyn RelationPlanner>>,
    /// Functions that the text's calls were rewritten to.
    pub(crate) functions: Vec<Arc<ScalarUDF>>,
    models: Vec<(ModelReference, Arc<language::LanguageHandle>)>,
}

impl Planning {
    /// Rewrites the calls of `ML.*` and `AI.*` values in the text.
    ///
    /// # Errors
    /// There is no such function, or its arguments are wrong; with its place.
    pub(crate) fn rewrite_calls<T: VisitMut>(&mut self, syntax: &mut T) -> Result<()> {
        transform::rewrite_calls(syntax)?;
        self.functions.extend(language::rewrite_calls(syntax, &self.models)?);
        Ok(())
    }
}

/// The planning of one text, with the models that it names loaded: planning itself cannot wait for anything.
pub(crate) async fn planning(scope: &StatementScope, arguments: &[ModelArgument]) -> Result<Planning> {
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
    let language = models.iter().filter_map(|(reference, model)| match model {
        AnyModel::Language(handle) => Some((reference.clone(), Arc::clone(handle))),
        AnyModel::Predictive(_) => None,
    });
    Ok(Planning {
        models: language.collect(),
        functions: Vec::new(),
        relations: vec![Arc::new(relation::ModelRelations::new(models)), Arc::new(search::SearchRelation)],
    })
}

/// The planners from our logical nodes to physical operators.
pub(crate) fn extension_planners() -> Vec<Arc<dyn ExtensionPlanner + Send + Sync>> {
    vec![Arc::new(planner::ModelPlanner)]
}

/// Adds our functions and optimizer rules to a session.
pub(crate) fn extend(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    builder.scalar_functions().get_or_insert_default().extend(transform::scalar_functions());
    builder.aggregate_functions().get_or_insert_default().extend(drift::aggregate_functions());
    builder.with_analyzer_rule(Arc::new(language::AiRule)).with_optimizer_rule(Arc::new(predict::PrunePredictions))
}
