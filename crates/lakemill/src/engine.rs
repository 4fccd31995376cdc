//! Opens what a command needs, when it needs it: the runtime first, the lake and its session on first use.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::language::ModelsOptions;
use lakemill_query::{Confinement, NoObserver, Session, SessionOptions};
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::OnceCell;

use crate::cli::GlobalArgs;
use crate::failure::Problem;
use crate::interrupt::Interrupts;

/// How long the process waits for background work when it leaves.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(200);

/// The process's runtime, signals and lake.
#[derive(Debug)]
pub(crate) struct Engine {
    global: GlobalArgs,
    runtime: Option<Runtime>,
    confinement: Option<Confinement>,
    language: ModelsOptions,
    interrupts: Interrupts,
    session: OnceCell<Session>,
    /// Stands in while there is no lake: what only looks makes none.
    blank: OnceCell<Blank>,
}

/// An empty lake that goes when the process ends.
#[derive(Debug)]
struct Blank {
    session: Session,
    /// USE, SET and PREPARE, to be repeated on the lake once there is one.
    settings: Mutex<Vec<String>>,
    _folder: TempDir,
}

impl Engine {
    /// Starts the runtime. Nothing of the lake is touched.
    pub(crate) fn start(global: &GlobalArgs) -> Result<Self> {
        Self::confined(global, None, ModelsOptions::default())
    }

    /// The same, for sessions whose statements reach no more of this machine than `confinement` says, and whose language
    /// models run as `language` says.
    pub(crate) fn confined(
        global: &GlobalArgs,
        confinement: Option<Confinement>,
        language: ModelsOptions,
    ) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(global.threads())
            .thread_name("lakemill")
            .enable_all()
            .build()
            .context("cannot start threads")?;
        let interrupts = Interrupts::listen();
        Ok(Self {
            global: global.clone(),
            runtime: Some(runtime),
            confinement,
            language,
            interrupts,
            session: OnceCell::new(),
            blank: OnceCell::new(),
        })
    }

    pub(crate) fn global(&self) -> &GlobalArgs {
        &self.global
    }

    pub(crate) fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }

    /// The runtime's handle, for work that is spawned from elsewhere.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.runtime.as_ref().map(|runtime| runtime.handle().clone())
    }

    /// Runs a future on this thread, with the runtime's threads for what it spawns.
    pub(crate) fn block_on<T>(&self, future: LocalBoxFuture<'_, Result<T>>) -> Result<T> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(future),
            None => Err(Problem::invalid("the engine has stopped").into()),
        }
    }

    /// The session, opened on first use: the lake's or, while there is no lake, an empty one's.
    pub(crate) async fn session(&self) -> Result<&Session> {
        if self.session.initialized() || !self.lake_is_missing() {
            return self.lake_session().await;
        }
        Ok(&self.blank.get_or_try_init(|| blank(&self.global).boxed_local()).await?.session)
    }

    /// The session of the lake, which is made where there is none.
    pub(crate) async fn lake_session(&self) -> Result<&Session> {
        let open = async {
            let (location, catalog) = (&self.global.lake, self.global.catalog.clone());
            let session =
                open(&self.global, location, catalog, self.confinement.clone(), self.language.clone()).await?;
            if let Some(blank) = self.blank.get() {
                for setting in blank.settings() {
                    for parsed in session.parse(&setting)? {
                        session.execute(&parsed, Arc::new(NoObserver)).await?;
                    }
                }
            }
            Ok(session)
        };
        self.session.get_or_try_init(|| open.boxed_local()).await
    }

    /// Remembers a statement that changed the session alone.
    pub(crate) fn remember_setting(&self, sql: &str) {
        if let Some(blank) = self.blank.get().filter(|_| !self.session.initialized()) {
            blank.settings.lock().unwrap_or_else(PoisonError::into_inner).push(sql.to_owned());
        }
    }

    /// Whether the lake is a folder that does not exist yet.
    pub(crate) fn lake_is_missing(&self) -> bool {
        let location = &self.global.lake;
        !is_remote(location) && !Path::new(location.strip_prefix("file://").unwrap_or(location)).exists()
    }

    /// The session of a lake that must be there: commands that only look make none.
    pub(crate) async fn existing_session(&self) -> Result<&Session> {
        if self.lake_is_missing() {
            return Err(Problem::not_found(format!(
                "there is no lake at '{}'; `lakemill run DIR` or a CREATE TABLE in `lakemill sql` makes one, and --lake \
                 or LAKEMILL_LAKE names another place",
                self.global.lake
            ))
            .into());
        }
        self.lake_session().await
    }
}

/// Runs a command that looks into a lake, which must be there; gives the process's exit code.
pub(crate) fn look(global: &GlobalArgs, work: impl AsyncFnOnce(&Session) -> Result<()>) -> Result<u8> {
    let engine = Engine::start(global)?;
    let work = async { work(engine.existing_session().await?).await };
    engine.block_on(work.boxed_local()).map(|()| 0)
}

impl Blank {
    fn settings(&self) -> Vec<String> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(SHUTDOWN_GRACE);
        }
    }
}

impl GlobalArgs {
    /// The threads to use.
    pub(crate) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// Whether a lake's place is a URL.
fn is_remote(location: &str) -> bool {
    location.contains("://") && !location.starts_with("file://")
}

async fn blank(global: &GlobalArgs) -> Result<Blank> {
    let folder = TempDir::with_prefix("lakemill-").context("cannot make a temporary folder")?;
    let location = folder.path().to_string_lossy();
    let session = open(global, &location, None, None, ModelsOptions::default()).await?;
    Ok(Blank { session, settings: Mutex::default(), _folder: folder })
}

async fn open(
    global: &GlobalArgs,
    location: &str,
    catalog: Option<String>,
    confinement: Option<Confinement>,
    language: ModelsOptions,
) -> Result<Session> {
    let mut options = LakeOptions::new(location);
    options.catalog = catalog;
    let lake = Lake::open(options).await?;
    let mut options = SessionOptions {
        memory_bytes: usize::try_from(global.memory.bytes()).ok(),
        threads: Some(global.threads()),
        confinement,
        language: ModelsOptions { threads: Some(global.threads()), ..language },
        ..SessionOptions::default()
    };
    if let Some(namespace) = &global.namespace {
        options.default_namespace.clone_from(namespace);
    }
    Ok(Session::open(lake, options)?)
}
