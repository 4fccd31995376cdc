//! The session: a lake, DataFusion's context tuned for it, whose it is, and what USE, SET and PREPARE have changed.
//!
//! What other crates await of a session is `boxed`, and what a session is made of is behind a trait: whether a future may go
//! to another thread is then known by a name, and not proven anew, through all of DataFusion's types, wherever a session is
//! held. That took minutes of a build.

mod catalog;
mod config;
mod confinement;
mod extension;
mod information;
mod memory;
mod order_all;
mod permission;
mod planner;
mod principal;
mod rewrite;
mod scope;
mod temporary;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::{FutureExt, TryStreamExt};
use lakemill_base::Clock;
use lakemill_lake::{DEFAULT_NAMESPACE, Lake, ModelName, TableName};
use parking_lot::RwLock;

pub use confinement::Confinement;
pub use extension::Extension;
use memory::MemoryLimit;
pub(crate) use memory::parse_size;
pub(crate) use permission::Need;
use principal::Access;
pub use principal::{Auditor, Principal};
pub(crate) use scope::{
    ModelArgument, StatementScope, digest, full_name, ident_position, position_of, spanned_position,
};
pub(crate) use temporary::{Temporaries, Temporary};

use crate::dialect::{Grammar, Parsed, parse_script};
use crate::error::{Error, Result};
use crate::language::{Kind, ModelInfo, Models, ModelsOptions};
use crate::model::{Scorer, Segments, SessionModels, info_of_entry};
use crate::observer::{NoObserver, Observer};
use crate::outcome::{Description, Executed, Outcome};
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
    /// What statements may reach beside the lake; `None`: all that the process may.
    pub confinement: Option<Confinement>,
    /// How many language models are kept loaded, and in how much memory.
    pub language: ModelsOptions,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            threads: None,
            spill_dir: None,
            default_namespace: DEFAULT_NAMESPACE.to_owned(),
            create_tables_in_memory: false,
            confinement: None,
            language: ModelsOptions::default(),
        }
    }
}

impl SessionOptions {
    /// Whether statements may read or write files here.
    ///
    /// # Errors
    /// Invalid, naming what may be reached.
    fn check_location(&self, location: &str) -> Result<()> {
        self.confinement.as_ref().map_or(Ok(()), |confinement| confinement.check(location))
    }
}

/// A session. Clones share its variables, its temporary relations and its prepared statements.
#[derive(Clone, Debug)]
pub struct Session {
    parts: Arc<dyn Parts>,
}

/// What a session is made of, behind a name that says that it may go to other threads.
trait Parts: std::fmt::Debug + Send + Sync {
    fn get(&self) -> &SessionInner;
}

impl Parts for SessionInner {
    fn get(&self) -> &SessionInner {
        self
    }
}

struct SessionInner {
    lake: Lake,
    options: SessionOptions,
    context: SessionContext,
    namespace: RwLock<String>,
    prepared: RwLock<HashMap<String, Parsed>>,
    models: Arc<SessionModels>,
    language: Models,
    segments: Segments,
    extension: Extension,
    access: Access,
    temporary: Temporaries,
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
        let memory = Arc::clone(&context.runtime_env().memory_pool);
        let language = Models::new(options.language.clone(), memory, Arc::clone(&lake.options().clock));
        let inner = SessionInner {
            lake,
            options,
            context,
            namespace,
            prepared: RwLock::default(),
            models: Arc::default(),
            language,
            segments: Segments::default(),
            extension: Extension::default(),
            access: Access::Open,
            temporary: Temporaries::default(),
        };
        Ok(Self { parts: Arc::new(inner) })
    }

    /// A session for another client: it shares the lake, the memory limit and the models that are loaded; variables,
    /// temporary relations and prepared statements are its own. Its variables begin as this session's are now. It is the
    /// same user's; where nobody has logged in, it has a lock of its own.
    #[must_use]
    pub fn client(&self) -> Self {
        self.another(
            self.state(),
            self.inner().extension.clone(),
            self.inner().access.for_client(),
            Temporaries::default(),
        )
    }

    /// A session for a client that is this user.
    #[must_use]
    pub fn client_as(&self, principal: Principal) -> Self {
        self.another(self.state(), self.inner().extension.clone(), Access::of(principal), Temporaries::default())
    }

    /// A session for a client that has yet to say who it is: until [`Session::log_in`] every statement is refused.
    #[must_use]
    pub fn locked(&self) -> Self {
        self.another(self.state(), self.inner().extension.clone(), Access::locked(), Temporaries::default())
    }

    /// Makes a locked session this user's, and what [`Session::extended`] has made of it. That is done once.
    ///
    /// # Errors
    /// Internal: the session is somebody's already, or is locked to nobody.
    pub fn log_in(&self, principal: Principal) -> Result<()> {
        match &self.inner().access {
            Access::User(user) if user.set(principal).is_ok() => Ok(()),
            _ => Err(Error::internal("a session is logged into twice")),
        }
    }

    /// The same client's session with schemas of a face's own, and with the functions that `set_up` registers: who logs
    /// into one has logged into both, and temporary relations are of both.
    ///
    /// # Errors
    /// What `set_up` gives.
    pub fn extended(
        &self,
        extension: Extension,
        set_up: impl FnOnce(&SessionContext) -> datafusion::error::Result<()>,
    ) -> Result<Self> {
        let context = SessionContext::new_with_state(self.state());
        set_up(&context)?;
        let temporary = self.inner().temporary.clone();
        Ok(self.another(context.state(), extension, self.inner().access.clone(), temporary))
    }

    fn another(&self, state: SessionState, extension: Extension, access: Access, temporary: Temporaries) -> Self {
        let inner = SessionInner {
            lake: self.inner().lake.clone(),
            options: self.inner().options.clone(),
            context: SessionContext::new_with_state(state),
            namespace: RwLock::new(self.inner().options.default_namespace.clone()),
            prepared: RwLock::default(),
            models: Arc::clone(&self.inner().models),
            language: self.inner().language.clone(),
            segments: self.inner().segments.clone(),
            extension,
            access,
            temporary,
        };
        Self { parts: Arc::new(inner) }
    }

    fn inner(&self) -> &SessionInner {
        self.parts.get()
    }

    /// The user whose session it is; `None`: nobody's in particular, and everything is allowed.
    ///
    /// # Errors
    /// Denied: nobody has logged in.
    pub fn principal(&self) -> Result<Option<&Principal>> {
        self.inner().access.principal()
    }

    /// Parses a script. Nothing is looked up yet.
    ///
    /// # Errors
    /// What the grammar does not allow, with its line and column.
    pub fn parse(&self, script: &str) -> Result<Vec<Parsed>> {
        let in_memory = self.inner().options.create_tables_in_memory;
        parse_script(script, &self.namespace(), if in_memory { Grammar::DataFusion } else { Grammar::Lake })
    }

    /// Executes one statement. Rows of a query come as they are polled; everything else is done, and committed,
    /// when this returns.
    ///
    /// # Errors
    /// Whatever was wrong, with its line and column in the script where that is known.
    pub async fn execute(&self, parsed: &Parsed, observer: Arc<dyn Observer>) -> Result<Executed> {
        statement::execute(self, parsed, observer).boxed().await
    }

    /// A model made ready for rows that come one by one; `name` may have its namespace before it, and without a
    /// `version` it is the newest.
    ///
    /// # Errors
    /// Not found, with a suggestion; Data if its files are damaged.
    pub async fn scorer(&self, name: &str, version: Option<u64>) -> Result<Scorer> {
        let name = match name.split_once('.') {
            Some((namespace, model)) => ModelName::new(namespace, model),
            None => ModelName::new(self.namespace(), name),
        };
        self.may_predict(&name).boxed().await?;
        Scorer::load(self, &name, version).boxed().await
    }

    /// The registry of language models, which all clients of the session share.
    pub fn language(&self) -> &Models {
        &self.inner().language
    }

    /// The language models and encoders that the session's user may know of: the newest versions of those in the catalog, and
    /// those that were added to the registry.
    ///
    /// # Errors
    /// Unavailable: the catalog does not answer.
    pub async fn language_models(&self) -> Result<Vec<ModelInfo>> {
        async {
            let entries = self.models_for(self.rights().await?.as_ref()).await?;
            let of_catalog = entries.iter().filter(|entry| Kind::of(&entry.model_type).is_some());
            let mut models = of_catalog.map(info_of_entry).collect::<Result<Vec<_>>>()?;
            models.extend(self.language().added());
            Ok(models)
        }
        .boxed()
        .await
    }

    /// One of them by its name, the namespace of names that give none left out or not.
    ///
    /// # Errors
    /// Denied without PREDICT on it; NotFound, with a suggestion; Invalid: it is a predictive model.
    pub async fn language_model(&self, name: &str) -> Result<ModelInfo> {
        self.find_language_model(name).boxed().await
    }

    async fn find_language_model(&self, name: &str) -> Result<ModelInfo> {
        if let Some(added) = self.language().added().into_iter().find(|model| model.name == name) {
            // Who serves a model without a catalog entry serves it to every user.
            self.principal()?;
            return Ok(added);
        }
        let name = match name.split_once('.') {
            Some((namespace, model)) => ModelName::new(namespace, model),
            None => ModelName::new(self.namespace(), name),
        };
        self.may_predict(&name).await?;
        let entry = self.lake().model(&name, None).await?;
        match Kind::of(&entry.model_type) {
            Some(_) => info_of_entry(&entry),
            None => Err(Error::invalid(format!(
                "model {name} is of type {}, which writes no text; predict with it",
                entry.model_type
            ))),
        }
    }

    /// The columns of a relation. Unlike a statement it leaves no trace in the audit log.
    ///
    /// # Errors
    /// Not found; Denied; what is wrong with a view.
    pub async fn columns(&self, name: &TableName) -> Result<SchemaRef> {
        statement::columns(self, name).boxed().await
    }

    /// What a statement takes and gives, without running it.
    ///
    /// # Errors
    /// Whatever planning finds wrong.
    pub async fn describe(&self, parsed: &Parsed) -> Result<Description> {
        statement::describe(self, parsed).boxed().await
    }

    /// Plans a query for somebody else to run, such as a scheduler that sends parts of it elsewhere: the plan, whose
    /// operators [`crate::ModelCodec`] encodes, and the context that it runs in.
    ///
    /// # Errors
    /// Invalid: the statement is no query, or is wrong.
    pub async fn plan(&self, parsed: &Parsed) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        statement::plan(self, parsed).boxed().await
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

    /// The memory that statements hold now, in bytes.
    pub fn memory_used_bytes(&self) -> usize {
        self.inner().context.runtime_env().memory_pool.reserved()
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.inner().lake
    }

    /// The options it was opened with.
    pub fn options(&self) -> &SessionOptions {
        &self.inner().options
    }

    /// The namespace of names that give none.
    pub fn namespace(&self) -> String {
        self.inner().namespace.read().clone()
    }

    /// The number of threads that queries and training use.
    pub fn threads(&self) -> usize {
        self.state().config().target_partitions()
    }

    /// The clock that stamps lineage.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner().lake.options().clock
    }

    /// DataFusion's state as the session's variables have made it.
    pub(crate) fn state(&self) -> SessionState {
        self.inner().context.state()
    }

    pub(crate) fn context(&self) -> &SessionContext {
        &self.inner().context
    }

    /// Makes `bytes` the most memory that statements take together from now on; `None`: what the session was opened
    /// with.
    ///
    /// # Errors
    /// If the spill folder cannot be used.
    pub(crate) fn set_memory_limit(&self, bytes: Option<usize>) -> Result<()> {
        let pool = MemoryLimit::new(bytes.or(self.inner().options.memory_bytes)).pool();
        let state = self.inner().context.state_ref();
        let mut state = state.write();
        let runtime = RuntimeEnvBuilder::from_runtime_env(state.runtime_env()).with_memory_pool(pool).build_arc()?;
        *state = SessionStateBuilder::from(state.clone()).with_runtime_env(runtime).build();
        Ok(())
    }

    /// Makes `namespace` that of names that give none, as USE does; it is not asked whether it exists.
    pub fn set_namespace(&self, namespace: String) {
        *self.inner().namespace.write() = namespace;
    }

    /// Makes a table known to this session alone, in the namespace of names that give none.
    pub fn add_temporary(&self, name: &str, table: Arc<dyn TableProvider>) {
        self.inner().temporary.insert(TableName::new(self.namespace(), name), Temporary::Table(table));
    }

    /// Forgets a table of this session.
    pub fn remove_temporary(&self, name: &str) {
        self.inner().temporary.remove(&TableName::new(self.namespace(), name));
    }

    pub(crate) fn temporary(&self) -> &Temporaries {
        &self.inner().temporary
    }

    /// What a face has added.
    pub(crate) fn extension(&self) -> &Extension {
        &self.inner().extension
    }

    /// The models that were loaded so far.
    pub(crate) fn models(&self) -> &SessionModels {
        &self.inner().models
    }

    /// The segments of indexes that were loaded so far.
    pub(crate) fn segments(&self) -> &Segments {
        &self.inner().segments
    }

    pub(crate) fn prepared(&self) -> &RwLock<HashMap<String, Parsed>> {
        &self.inner().prepared
    }
}
