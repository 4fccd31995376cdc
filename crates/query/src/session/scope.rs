//! One statement's view of the lake: every table at one version from the first use to the last.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProviderList, TableProvider};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::{CopyToSource, Statement as DFStatement};
use futures::future::BoxFuture;
use lakemill_lake::{At, ExternalEntry, Lake, ModelName, Relation, Rights, TableName, ViewEntry, external};
use parking_lot::Mutex;
use sqlparser::ast::{self, ExprWithAlias, Ident, ObjectName, Query, Spanned, Statement, TableVersion};
use tokio::sync::OnceCell;

use super::catalog::{LakeCatalogs, MemoryCatalogs, Pins};
use super::rewrite::{FileFunction, pin_names, pinned_file, pinned_version};
use super::{Session, Temporary, order_all};
use crate::dialect::{Listing, Names, Parsed, RelationUse, file_name, normalized, parse_query_text};
use crate::error::{Error, Position, Result};
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::model::{self, Indexes, Planning};
use crate::observer::Observer;
use crate::optimizer::Interrupt;

/// Views that read views deeper than this are taken for a circle.
const VIEW_DEPTH_MAX: usize = 32;

/// A model that a text names as an argument of a relation.
#[derive(Clone, Debug)]
pub(crate) struct ModelArgument {
    /// Its full name.
    pub(crate) name: ModelName,
    /// The name and the version as the text has them.
    pub(crate) reference: model::ModelReference,
    /// Where the text names it.
    pub(crate) position: Option<Position>,
}

/// One statement's view of the lake.
#[derive(Debug)]
pub(crate) struct StatementScope {
    session: Session,
    state: SessionState,
    pins: Arc<Pins>,
    observer: Arc<dyn Observer>,
    statement: Parsed,
    reads: Mutex<Vec<(ObjectRef, ObjectVersion)>>,
    writes: Mutex<Vec<(ObjectRef, ObjectVersion)>>,
    /// What the user may do, once it was asked for.
    pub(super) rights: OnceCell<Option<Rights>>,
    /// What the user was last refused: the action and its object.
    pub(super) refused: Mutex<Option<(String, String)>>,
    /// What MODELS keeps for the length of the statement.
    pub(crate) models: model::ScopeModels,
}

impl StatementScope {
    /// The scope of a statement that begins now.
    pub(crate) fn new(session: &Session, statement: &Parsed, observer: Arc<dyn Observer>) -> Arc<Self> {
        let pins = Arc::new(Pins::default());
        let mut state = session.state();
        let catalogs: Arc<dyn CatalogProviderList> = match session.options().create_tables_in_memory {
            true => Arc::new(MemoryCatalogs::new(Arc::clone(state.catalog_list()), &state, Arc::clone(&pins))),
            false => Arc::new(LakeCatalogs(Arc::clone(&pins))),
        };
        state.register_catalog_list(catalogs);
        // The lake's catalog has an information_schema of its own.
        let in_memory = session.options().create_tables_in_memory;
        let settings = state.config_mut().options_mut();
        settings.catalog.information_schema &= in_memory;
        if !in_memory {
            settings.extensions.insert(Interrupt(Arc::clone(&observer)));
            settings.extensions.insert(Indexes::new(session.lake(), session.segments()));
        }
        Arc::new(Self {
            session: session.clone(),
            state,
            pins,
            observer,
            statement: statement.clone(),
            reads: Mutex::default(),
            writes: Mutex::default(),
            rights: OnceCell::new(),
            refused: Mutex::default(),
            models: model::ScopeModels::default(),
        })
    }

    /// The lake.
    pub(crate) fn lake(&self) -> &Lake {
        self.session.lake()
    }

    /// The session.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// DataFusion's state, with the lake as its catalog.
    pub(crate) fn state(&self) -> &SessionState {
        &self.state
    }

    /// Who watches the statement.
    pub(crate) fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// The statement itself.
    pub(crate) fn statement(&self) -> &Parsed {
        &self.statement
    }

    /// Records that something was read; the first version recorded of it counts.
    pub(crate) fn record_read(&self, object: ObjectRef, version: ObjectVersion) {
        let mut reads = self.reads.lock();
        if !reads.iter().any(|(known, at)| *known == object && *at == version) {
            reads.push((object, version));
        }
    }

    /// Records that something was written.
    pub(crate) fn record_write(&self, object: ObjectRef, version: ObjectVersion) {
        self.writes.lock().push((object, version));
    }

    /// What was read so far.
    pub(crate) fn reads(&self) -> Vec<(ObjectRef, ObjectVersion)> {
        self.reads.lock().clone()
    }

    /// What was written so far.
    pub(crate) fn writes(&self) -> Vec<(ObjectRef, ObjectVersion)> {
        self.writes.lock().clone()
    }

    /// The full name that an object name stands for.
    ///
    /// # Errors
    /// If it has more than two parts, or three of which the first is not this lake.
    pub(crate) fn table_name(&self, name: &ObjectName) -> Result<TableName> {
        self.table_name_in(name, &self.session.namespace())
    }

    /// The full name of a model.
    ///
    /// # Errors
    /// As [`StatementScope::table_name`].
    pub(crate) fn model_name(&self, name: &ObjectName) -> Result<ModelName> {
        let TableName { namespace, table } = self.table_name(name)?;
        Ok(ModelName::new(namespace, table))
    }

    fn table_name_in(&self, name: &ObjectName, namespace: &str) -> Result<TableName> {
        let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(normalized).collect();
        match parts.as_slice() {
            [table] => Ok(TableName::new(namespace, table)),
            [namespace, table] => Ok(TableName::new(namespace, table)),
            [catalog, namespace, table] if catalog == super::config::CATALOG => Ok(TableName::new(namespace, table)),
            _ => Err(self.locate(
                Error::invalid(format!("name '{name}' has too many parts; write namespace.name")),
                position_of(name),
            )),
        }
    }

    /// Adds a place within the statement's text to an error.
    pub(crate) fn locate(&self, error: Error, inner: Option<Position>) -> Error {
        match inner {
            Some(inner) => error.at(self.statement.script_position(inner)),
            None => error,
        }
    }

    /// An error of DataFusion in the words of this crate, with its place in the script.
    pub(crate) fn error(&self, error: datafusion::error::DataFusionError) -> Error {
        self.shifted(Error::from(error))
    }

    /// An error whose place counts within the statement, with its place in the script.
    pub(crate) fn shifted(&self, mut error: Error) -> Error {
        error.shift(|inner| self.statement.script_position(inner));
        error
    }

    /// Plans a query of this statement.
    ///
    /// # Errors
    /// Names that do not exist and whatever planning finds, with their places.
    pub(crate) async fn plan_query(&self, query: &Query) -> Result<LogicalPlan> {
        self.plan(DFStatement::Statement(Box::new(Statement::Query(Box::new(query.clone()))))).await
    }

    /// Plans a statement of DataFusion's.
    ///
    /// # Errors
    /// As [`StatementScope::plan_query`].
    pub(crate) async fn plan(&self, mut statement: DFStatement) -> Result<LogicalPlan> {
        let namespace = self.session.namespace();
        let planning = self.bind(&mut statement, &namespace, 0).await?;
        let state = self.planning_state(planning, &namespace)?;
        order_all::count_columns(&state, &mut statement).await;
        state.statement_to_plan(statement).await.map_err(|error| self.error(error))
    }

    /// A state in which names of `namespace` need no prefix, and which knows the relations and functions of `planning`.
    pub(crate) fn planning_state(&self, planning: Planning, namespace: &str) -> Result<SessionState> {
        let mut state = self.state.clone();
        for planner in planning.relations {
            state.register_relation_planner(planner)?;
        }
        for function in planning.functions {
            state.register_udf(function)?;
        }
        if !self.session.options().create_tables_in_memory {
            state.config_mut().options_mut().catalog.default_schema = namespace.to_owned();
        }
        Ok(state)
    }

    async fn bind(&self, statement: &mut DFStatement, namespace: &str, depth: usize) -> Result<Planning> {
        match statement {
            DFStatement::Statement(statement) => {
                let names = Names::of(statement.as_ref());
                let mut planning = self.pin_all(&names, namespace, depth).await?;
                pin_names(statement.as_mut());
                order_all::number_columns(statement.as_mut());
                planning.rewrite_calls(statement.as_mut()).map_err(|error| self.shifted(error))?;
                Ok(planning)
            }
            DFStatement::Explain(explain) => Box::pin(self.bind(&mut explain.statement, namespace, depth)).await,
            DFStatement::CopyTo(copy) => match &mut copy.source {
                CopyToSource::Query(query) => {
                    let names = Names::of(query.as_ref());
                    let mut planning = self.pin_all(&names, namespace, depth).await?;
                    pin_names(query.as_mut());
                    order_all::number_columns(query.as_mut());
                    planning.rewrite_calls(query.as_mut()).map_err(|error| self.shifted(error))?;
                    Ok(planning)
                }
                CopyToSource::Relation(_) if self.session.options().create_tables_in_memory => Ok(Planning::default()),
                CopyToSource::Relation(name) => {
                    self.relation(&RelationUse { name: name.clone(), version: None, arguments: None }, namespace, 0)
                        .await?;
                    Ok(Planning::default())
                }
            },
            DFStatement::CreateExternalTable(_) | DFStatement::Reset(_) => Ok(Planning::default()),
        }
    }

    async fn pin_all(&self, names: &Names, namespace: &str, depth: usize) -> Result<Planning> {
        if self.session.options().create_tables_in_memory {
            let is_file = |relation: &&RelationUse| relation.arguments.is_some() || file_name(&relation.name).is_some();
            for file in names.relations.iter().filter(is_file) {
                self.relation(file, namespace, depth).await?;
            }
            return Ok(Planning::default());
        }
        if names.listing > Listing::Nothing {
            self.list_all(names.listing == Listing::Columns).await?;
        }
        for relation in &names.relations {
            self.relation(relation, namespace, depth).await?;
        }
        let mut models = Vec::with_capacity(names.models.len());
        for reference in &names.models {
            let TableName { namespace, table } = self.table_name_in(&reference.object_name(), namespace)?;
            let position = reference.position().map(|inner| self.statement.script_position(inner));
            let name = ModelName::new(namespace, table);
            models.push(ModelArgument { name, reference: reference.clone(), position });
        }
        model::planning(self, &models).await
    }

    /// Pins one relation and gives its provider.
    pub(crate) fn relation<'a>(
        &'a self,
        relation: &'a RelationUse,
        namespace: &'a str,
        depth: usize,
    ) -> BoxFuture<'a, Result<Arc<dyn TableProvider>>> {
        Box::pin(async move {
            let position = position_of(&relation.name);
            if let Some(arguments) = &relation.arguments {
                let function = FileFunction::parse(&relation.name, arguments);
                let function = function.map_err(|error| self.locate(error, position))?;
                let key = function.pinned_name();
                let position = arguments.first().and_then(spanned_position).or(position);
                let location = &function.entry.location;
                self.check_location(location).await.map_err(|error| self.locate(error, position))?;
                return self.file(key, function.entry, position).await;
            }
            if let Some(file) = file_name(&relation.name) {
                let key = pinned_file(file);
                if let Some(pinned) = self.pins.get(&key) {
                    return Ok(pinned);
                }
                self.check_location(file).await.map_err(|error| self.locate(error, position))?;
                let entry = external::entry_for(self.lake(), file).await;
                return self.file(key, entry.map_err(|error| self.locate(error.into(), position))?, position).await;
            }
            let name = self.table_name_in(&relation.name, namespace)?;
            if let Some(provider) = self.added(&relation.name, &name).await? {
                return Ok(provider);
            }
            match &relation.version {
                None => self.table(&name, At::Latest, name.clone(), position, depth).await,
                Some(version) => {
                    let at = self.at(version)?;
                    self.table(&name, at, pinned_version(&relation.name, version), position, depth).await
                }
            }
        })
    }

    /// The relation of a schema that a face has added, where the name means one.
    async fn added(&self, written: &ObjectName, name: &TableName) -> Result<Option<Arc<dyn TableProvider>>> {
        let extension = self.session.extension();
        let schema = match written.0.len() {
            1 => extension.schema_of(&name.table),
            _ => Some(name.namespace.as_str()),
        };
        let Some(schema) = schema.and_then(|schema| extension.schema(schema)) else { return Ok(None) };
        let Some(provider) = schema.table(&name.table).await.map_err(|error| self.error(error))? else {
            let names = schema.table_names();
            let message = lakemill_base::unknown("table", &name.table, names.iter().map(String::as_str));
            return Err(self.locate(Error::not_found(message), position_of(written)));
        };
        Ok(Some(self.pins.pin(name.clone(), provider)))
    }

    async fn table(
        &self,
        name: &TableName,
        at: At,
        key: TableName,
        position: Option<Position>,
        depth: usize,
    ) -> Result<Arc<dyn TableProvider>> {
        if let Some(pinned) = self.pins.get(&key) {
            return Ok(pinned);
        }
        if at == At::Latest
            && let Some(temporary) = self.session.temporary().get(name)
        {
            let provider = match temporary {
                Temporary::Table(table) => table,
                Temporary::View(view) => self.view(&view, position, depth).await?,
            };
            return Ok(self.pins.pin(key, provider));
        }
        self.may_read(name, position).await?;
        let relation = self.lake().resolve(name, at).await.map_err(|error| self.locate(error.into(), position))?;
        let object = ObjectRef::table(full_name(name));
        let provider: Arc<dyn TableProvider> = match relation {
            Relation::Table(table) => {
                self.record_read(object, ObjectVersion::Version(table.version()));
                table
            }
            Relation::View(view) => {
                self.record_read(object, ObjectVersion::Fingerprint(digest(&view.sql)));
                self.view(&view, position, depth).await?
            }
            Relation::External(entry) => {
                self.record_read(object, ObjectVersion::Fingerprint(external::fingerprint(self.lake(), &entry).await?));
                external::provider(self.lake(), &entry, &self.state)
                    .await
                    .map_err(|error| self.locate(error.into(), position))?
            }
        };
        Ok(self.pins.pin(key, provider))
    }

    async fn view(&self, view: &ViewEntry, position: Option<Position>, depth: usize) -> Result<Arc<dyn TableProvider>> {
        let in_view = |error: Error| {
            let message = format!("view '{}' cannot be read: {}", view.name, error.message());
            self.locate(Error::new(error.kind(), message).with_source(error), position)
        };
        if depth >= VIEW_DEPTH_MAX {
            return Err(in_view(Error::invalid("it reads itself")));
        }
        let query = parse_query_text(&view.sql).map_err(in_view)?;
        let mut statement = DFStatement::Statement(Box::new(Statement::Query(query)));
        let planning = self.bind(&mut statement, &view.name.namespace, depth + 1).await.map_err(in_view)?;
        let state = self.planning_state(planning, &view.name.namespace)?;
        let plan = state.statement_to_plan(statement).await.map_err(|error| in_view(Error::from(error)))?;
        Ok(Arc::new(ViewTable::new(plan, Some(view.sql.clone()))))
    }

    async fn file(
        &self,
        key: TableName,
        entry: ExternalEntry,
        position: Option<Position>,
    ) -> Result<Arc<dyn TableProvider>> {
        if let Some(pinned) = self.pins.get(&key) {
            return Ok(pinned);
        }
        let locate = |error: lakemill_lake::Error| self.locate(error.into(), position);
        let entry = external::infer(self.lake(), entry, &self.state).await.map_err(locate)?;
        let provider = external::provider(self.lake(), &entry, &self.state).await.map_err(locate)?;
        let fingerprint = external::fingerprint(self.lake(), &entry).await.map_err(locate)?;
        self.record_read(ObjectRef::file(&entry.location), ObjectVersion::Fingerprint(fingerprint));
        Ok(self.pins.pin(key, provider))
    }

    /// Makes the names of all namespaces known, and on demand their columns.
    async fn list_all(&self, with_columns: bool) -> Result<()> {
        let rights = self.rights().await?;
        for namespace in self.session.namespaces_for(rights).await? {
            let mut relations = BTreeMap::new();
            for relation in self.session.relations_for(rights, &namespace).await? {
                let name = ObjectName::from(vec![
                    Ident::with_quote('"', &relation.name.namespace),
                    Ident::with_quote('"', &relation.name.table),
                ]);
                let wanted = RelationUse { name, version: None, arguments: None };
                // Listed without columns: a view over a dropped table, an external table whose files are gone, and what
                // the user may write but not read.
                if with_columns && let Err(error) = self.relation(&wanted, &namespace, 0).await {
                    tracing::debug!(%error, relation = %relation.name, "a relation is listed without its columns");
                }
                relations.insert(relation.name.table, relation.kind);
            }
            self.pins.list(namespace, relations);
        }
        self.reads.lock().clear();
        Ok(())
    }

    /// The version that a time travel clause names.
    pub(crate) fn at(&self, version: &TableVersion) -> Result<At> {
        match version {
            TableVersion::VersionAsOf(expr) => self.at_version(expr),
            TableVersion::TimestampAsOf(expr) | TableVersion::ForSystemTimeAsOf(expr) => self.at_timestamp(expr),
            other => Err(Error::invalid(format!(
                "time travel by '{other}' is not supported; write VERSION AS OF or TIMESTAMP AS OF"
            ))),
        }
    }

    /// The version that a constant whole number names.
    pub(crate) fn at_version(&self, expr: &ast::Expr) -> Result<At> {
        match self.constant(expr)?.cast_to(&DataType::UInt64) {
            Ok(ScalarValue::UInt64(Some(version))) => Ok(At::Version(version)),
            _ => Err(Error::invalid(format!("'{expr}' is not a version; versions count from 0"))),
        }
    }

    /// The version that a constant time names; a time without a zone is UTC.
    pub(crate) fn at_timestamp(&self, expr: &ast::Expr) -> Result<At> {
        let milliseconds = DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, Some("UTC".into()));
        match self.constant(expr)?.cast_to(&milliseconds) {
            Ok(ScalarValue::TimestampMillisecond(Some(at_ms), _)) => Ok(At::TimestampMs(at_ms)),
            _ => Err(Error::invalid(format!("{expr} is not a time such as '2026-01-31 12:00:00'"))),
        }
    }

    /// The value of an expression without columns.
    pub(crate) fn constant(&self, expr: &ast::Expr) -> Result<ScalarValue> {
        let schema = DFSchema::empty();
        let position = spanned_position(expr);
        let wrapped = ExprWithAlias { expr: expr.clone(), alias: None };
        let planned =
            self.state.create_logical_expr_from_sql_expr(wrapped, &schema).map_err(|error| self.error(error))?;
        let context = SimplifyContext::builder().with_schema(Arc::new(schema)).with_current_time().build();
        match ExprSimplifier::new(context).simplify(planned) {
            Ok(Expr::Literal(value, _)) => Ok(value),
            Ok(_) => Err(self.locate(Error::invalid(format!("'{expr}' is not a constant")), position)),
            Err(error) => Err(self.error(error)),
        }
    }
}

/// `namespace.table`, the default namespace included.
pub(crate) fn full_name(name: &TableName) -> String {
    format!("{}.{}", name.namespace, name.table)
}

/// A digest of a text, short enough to read.
pub(crate) fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// Where a name stands in the text it was parsed from.
pub(crate) fn position_of(name: &ObjectName) -> Option<Position> {
    spanned_position(name)
}

/// Where an identifier stands in the text it was parsed from.
pub(crate) fn ident_position(ident: &Ident) -> Option<Position> {
    let start = ident.span.start;
    (start.line > 0).then_some(Position { line: start.line, column: start.column })
}

/// Where a piece of syntax begins in the text it was parsed from.
pub(crate) fn spanned_position(syntax: &impl Spanned) -> Option<Position> {
    let start = syntax.span().start;
    (start.line > 0).then_some(Position { line: start.line, column: start.column })
}
