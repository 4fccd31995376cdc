//! Models in SQL: statements about them and relations that apply them.

use datafusion::logical_expr::planner::RelationPlanner;
use datafusion::physical_planner::ExtensionPlanner;
use sqlparser::parser::{Parser, ParserError};
use std::sync::Arc;

use crate::dialect::{Parsed, References, StatementKind};
use crate::error::Result;
use crate::outcome::Outcome;
use crate::session::{ModelArgument, StatementScope};

/// What a statement keeps of the models it uses, so that each is loaded once.
#[derive(Debug, Default)]
pub(crate) struct ScopeModels {}

/// A statement about models.
#[derive(Clone, Debug)]
pub(crate) enum ModelStatement {}

impl ModelStatement {
    /// What it is, for callers that present it.
    pub(crate) fn kind(&self) -> StatementKind {
        match *self {}
    }

    /// Adds what it reads and writes.
    pub(crate) fn add_references(&self, _references: &mut References) {
        match *self {}
    }
}

/// Parses a statement about models; `None`, with nothing consumed, when the next words start none.
pub(crate) fn parse_statement(_parser: &mut Parser<'_>) -> Option<Result<ModelStatement, ParserError>> {
    None
}

/// Executes a statement about models.
pub(crate) async fn execute(
    _scope: &Arc<StatementScope>,
    statement: &ModelStatement,
    _parsed: &Parsed,
) -> Result<Outcome> {
    match *statement {}
}

/// The planners of `ML.*` relations for one text (a statement or a view in it), with the models that it names
/// loaded: planning itself cannot wait for anything.
pub(crate) async fn relation_planners(
    _scope: &StatementScope,
    _models: &[ModelArgument],
) -> Result<Vec<Arc<dyn RelationPlanner>>> {
    Ok(Vec::new())
}

/// The planners from our logical nodes to physical operators.
pub(crate) fn extension_planners() -> Vec<Arc<dyn ExtensionPlanner + Send + Sync>> {
    Vec::new()
}
