//! The session: a lake, DataFusion's context tuned for it, and what USE, SET and PREPARE have changed.

mod catalog;
mod config;
mod information;
mod memory;
mod order_all;
mod planner;
mod rewrite;
mod scope;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use lakemill_base::Clock;
use lakemill_lake::{DEFAULT_NAMESPACE, Lake, TableName};
use parking_lot::RwLock;

use memory::MemoryLimit;
pub(crate) use memory::parse_size;
pub(crate) use scope::{
    ModelArgument, StatementScope, digest, full_name, ident_position, position_of, spanned_position,
};

use crate::dialect::{Grammar, Parsed, parse_script};
use crate::error::Result;
use crate::model::SessionModels;
use crate::observer::{NoObserver, Observer};
use crate::outcome::{Executed, Outcome};
use crate::statement;

/// How a session uses the machine.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// The most memory that queries take before they spill or fail; by default 70 % of the machine's.
    pub memory_bytes: Option<usize>,
    /// Partitions that a query runs in; by default the machine's cores.
    pub threads: Option<usize>,
    /// Where queries spill; by default the system's folder for temporary files.
    pub spill_dir: Option<PathBuf>,
    /// The namespace of names that give none.
    pub default_namespace: String,
    /// Whether CREATE TABLE makes tables that live in memory and end with the session.
    pub create_tables_in_memory: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            threads: None,
            spill_dir: None,
            default_namespace: DEFAULT_NAMESPACE.to_owned(),
            create_tables_in_memory: false,
        }
    }
}

/// A session. Clones share its variables, its temporary tables and its prepared statements.
#[derive(Clone, Debug)]
pub struct Session {
    inner: Arc<SessionInner>,
}

struct SessionInner {
    lake: Lake,
    options: SessionOptions,
    context: SessionContext,
    namespace: RwLock<String>,
    prepared: RwLock<HashMap<String, Parsed>>,
    models: SessionModels,
    /// Tables that live in memory and end with the session.
    temporary: RwLock<HashMap<TableName, Arc<dyn TableProvider>>>,
}

impl std::fmt::Debug for SessionInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { lake, options, namespace, .. } = self;
        f.debug_struct("Session").field("lake", lake).field("options", options).field("namespace", namespace).finish()
    }
}

impl Session {
    /// Opens a session on a lake. Nothing of the lake is read yet.
    ///
    /// # Errors
    /// If the spill folder cannot be used.
    pub fn open(lake: Lake, options: SessionOptions) -> Result<Self> {
        let context = config::context(&lake, &options, &MemoryLimit::new(options.memory_bytes))?;
        let namespace = RwLock::new(options.default_namespace.clone());
        let inner = SessionInner {
            lake,
            options,
            context,
            namespace,
            prepared: RwLock::default(),
            models: SessionModels::default(),
            temporary: RwLock::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Parses a script. Nothing is looked up yet.
    ///
    /// # Errors
    /// What the grammar does not allow, with its line and column.
    pub fn parse(&self, script: &str) -> Result<Vec<Parsed>> {
        let in_memory = self.inner.options.create_tables_in_memory;
        parse_script(script, &self.namespace(), if in_memory { Grammar::DataFusion } else { Grammar::Lake })
    }

    /// Executes one statement. Rows of a query come as they are polled; everything else is done, and committed,
    /// when this returns.
    ///
    /// # Errors
    /// Whatever was wrong, with its line and column in the script where that is known.
    pub async fn execute(&self, parsed: &Parsed, observer: Arc<dyn Observer>) -> Result<Executed> {
        statement::execute(self, parsed, observer).await
    }

    /// Plans a query for somebody else to run, such as a scheduler that sends parts of it elsewhere: the plan, whose
    /// operators [`crate::ModelCodec`] encodes, and the context that it runs in.
    ///
    /// # Errors
    /// Invalid: the statement is no query, or is wrong.
    pub async fn plan(&self, parsed: &Parsed) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        Box::pin(statement::plan(self, parsed)).await
    }

    /// Runs a script and gives the rows of its last statement, none where that has no rows.
    ///
    /// # Errors
    /// The first statement's that fails; later ones are not run.
    pub async fn sql(&self, script: &str) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        for parsed in self.parse(script)? {
            let executed = self.execute(&parsed, Arc::new(NoObserver)).await.map_err(|e| e.with_script(script))?;
            batches = match executed.outcome {
                Outcome::Rows(rows) => rows.try_collect().await?,
                Outcome::Done(_) => Vec::new(),
            };
        }
        Ok(batches)
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.inner.lake
    }

    /// The options it was opened with.
    pub fn options(&self) -> &SessionOptions {
        &self.inner.options
    }

    /// The namespace of names that give none.
    pub fn namespace(&self) -> String {
        self.inner.namespace.read().clone()
    }

    /// The number of threads that queries and training use.
    pub fn threads(&self) -> usize {
        self.state().config().target_partitions()
    }

    /// The clock that stamps lineage.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.lake.options().clock
    }

    /// DataFusion's state as the session's variables have made it.
    pub(crate) fn state(&self) -> SessionState {
        self.inner.context.state()
    }

    pub(crate) fn context(&self) -> &SessionContext {
        &self.inner.context
    }

    /// Makes `bytes` the most memory that statements take together from now on; `None`: what the session was opened
    /// with.
    ///
    /// # Errors
    /// If the spill folder cannot be used.
    pub(crate) fn set_memory_limit(&self, bytes: Option<usize>) -> Result<()> {
        let pool = MemoryLimit::new(bytes.or(self.inner.options.memory_bytes)).pool();
        let state = self.inner.context.state_ref();
        let mut state = state.write();
        let runtime = RuntimeEnvBuilder::from_runtime_env(state.runtime_env()).with_memory_pool(pool).build_arc()?;
        *state = SessionStateBuilder::from(state.clone()).with_runtime_env(runtime).build();
        Ok(())
    }

    pub(crate) fn set_namespace(&self, namespace: String) {
        *self.inner.namespace.write() = namespace;
    }

    pub(crate) fn temporary(&self) -> &RwLock<HashMap<TableName, Arc<dyn TableProvider>>> {
        &self.inner.temporary
    }

    /// The models that were loaded so far.
    pub(crate) fn models(&self) -> &SessionModels {
        &self.inner.models
    }

    pub(crate) fn prepared(&self) -> &RwLock<HashMap<String, Parsed>> {
        &self.inner.prepared
    }
}
